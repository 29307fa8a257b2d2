import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/*
 * Below the range that systems hand out to outgoing connections: a client that keeps trying to reach a killed server
 * would sooner or later be given that server's port as its own, connect to itself and block the restart.
 */
const LOWEST_PORT = 10_000;
const HIGHEST_PORT = 32_000;

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (await isFree(port)) return port;
  }
}

/** Whether the server's log says that its port was taken. */
export function isBindConflict(log: string): boolean {
  return /bind: Address already in use|Failed listening on port/i.test(log);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
