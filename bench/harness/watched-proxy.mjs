import { connect, createServer } from 'node:net';

/**
 * Lies between clients and a server, counts round trips, and lets connections fall silent.
 *
 * @param {{ host: string, port: number }} server
 * @param {number} [replyMs] holds every reply back for so long: what a client sends meanwhile, it sent without waiting
 */
export async function startWatchedProxy(server, replyMs = 0) {
  const lines = new Set();
  let trips = 0;
  const listener = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: server.host, port: server.port, noDelay: true });
    const line = { near, far, sent: '', waits: false };
    lines.add(line);
    near.on('data', (chunk) => {
      // Enough to know it by the commands that it began with.
      if (line.sent.length < 4096) line.sent += chunk.toString('latin1').toUpperCase();
      if (!line.waits) trips++;
      line.waits = true;
      far.write(chunk);
    });
    far.on('data', (chunk) => {
      setTimeout(() => {
        line.waits = false;
        near.write(chunk);
      }, replyMs);
    });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on('error', () => to.destroy());
      from.on('close', () => {
        lines.delete(line);
        // After what is still held back.
        setTimeout(() => to.destroySoon(), replyMs);
      });
    }
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    address: { host: '127.0.0.1', port: listener.address().port },
    /** So far: a connection sent something while it waited for nothing. */
    roundTrips: () => trips,
    /**
     * Lets nothing through any more, in either direction, on connections that have sent this word; nobody is told.
     *
     * @returns {number} how many there are
     */
    mute(word) {
      const muted = [...lines].filter(({ sent }) => sent.includes(word));
      for (const { near, far } of muted) {
        near.pause();
        far.pause();
      }
      return muted.length;
    },
    /** Lets everything through again, and first what was held back. */
    unmute() {
      for (const { near, far } of lines) {
        near.resume();
        far.resume();
      }
    },
    async stop() {
      const closed = new Promise((resolve) => listener.close(resolve));
      for (const { near, far } of lines) {
        near.destroy();
        far.destroy();
      }
      await closed;
    },
  };
}
