/*
 * A process that lies between clients and a server and holds back every byte, in both directions, for a time that is shorter
 * than a timer can measure. Task: { port, host, oneWayMs }; answers { port }, where it listens.
 */
import { connect, createServer } from 'node:net';

// Nothing is left of it when the bench is gone.
process.once('disconnect', () => process.exit());

process.once('message', ({ host, port, oneWayMs }) => {
  /** In the order in which they are due, as all are delayed alike. @type {{ due: number, to: import('node:net').Socket, chunk: Buffer }[]} */
  const held = [];
  let running = false;
  // Timers are good to a millisecond; so it looks at the clock in every turn of the loop while there is something to pass on.
  const passDue = () => {
    while (held.length > 0 && held[0].due <= performance.now()) {
      const { to, chunk } = held.shift();
      if (to.writable) to.write(chunk);
    }
    running = held.length > 0;
    if (running) setImmediate(passDue);
  };
  const forward = (from, to) => {
    from.on('data', (chunk) => {
      held.push({ due: performance.now() + oneWayMs, to, chunk });
      if (!running) passDue();
    });
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  };
  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ host, port, noDelay: true });
    forward(client, server);
    forward(server, client);
  });
  listener.listen(0, '127.0.0.1', () => process.send({ port: listener.address().port }));
});
