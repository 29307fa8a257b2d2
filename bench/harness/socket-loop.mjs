import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * The limit of what a client in Node.js can reach: a bare socket that writes ready-made commands and only counts the
 * bytes that come back. No promise, no encoding, no decoding, no errors, no timeouts.
 *
 * @param {import('./clients.mjs').Server} server
 */
export async function openSocketLoop(server) {
  const socket = connect({ port: server.port, host: server.host, noDelay: true, writableHighWaterMark: 1024 * 1024 });
  await once(socket, 'connect');
  return {
    /**
     * @param {readonly string[]} command
     * @param {number} replyBytes the length of every reply, which must always be the same
     * @param {number} inFlight
     * @param {number} ms
     * @returns {Promise<number>} commands per second
     */
    async throughput(command, replyBytes, inFlight, ms) {
      const one = encode(command);
      const batch = Buffer.concat(Array.from({ length: inFlight }, () => one));
      const startedAt = performance.now();
      let count = 0;
      let owed = 0;
      let bytes = 0;
      const send = (commands) => {
        owed += commands;
        socket.write(batch.subarray(0, commands * one.length));
      };
      await new Promise((resolve) => {
        const onData = (chunk) => {
          bytes += chunk.length;
          const replies = Math.floor(bytes / replyBytes);
          bytes -= replies * replyBytes;
          count += replies;
          owed -= replies;
          if (performance.now() - startedAt < ms) {
            if (replies > 0) send(replies);
          } else if (owed === 0) {
            socket.off('data', onData);
            resolve(undefined);
          }
        };
        socket.on('data', onData);
        send(inFlight);
      });
      return (count * 1000) / (performance.now() - startedAt);
    },
    close: () => socket.destroy(),
  };
}

function encode(command) {
  return Buffer.from(`*${command.length}\r\n${command.map((part) => `$${part.length}\r\n${part}\r\n`).join('')}`);
}
