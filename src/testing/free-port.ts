import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { claimPort, giveUpPort } from './port-claims.js';

/*
 * Below the range that systems hand out to outgoing connections: a client that keeps trying to reach a killed server
 * would sooner or later be given that server's port as its own, connect to itself and block the restart.
 */
const LOWEST_PORT = 10_000;
const HIGHEST_PORT = 32_000;

/** What Redis adds to a node's port to get that of its cluster bus. */
export const BUS_OFFSET = 10_000;

/** A TCP port of 127.0.0.1 that was free a moment ago, and that no other process is given while this one has it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (await take(port)) return port;
  }
}

/** As {@link freePort}, for a node of a cluster: the port of its bus is taken too. */
export async function freeNodePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT - BUS_OFFSET);
    if (!(await take(port))) continue;
    if (await take(port + BUS_OFFSET)) return port;
    await giveUpPort(port);
  }
}

/** Gives up both ports of a node. */
export async function giveUpNodePort(port: number): Promise<void> {
  await Promise.all([giveUpPort(port), giveUpPort(port + BUS_OFFSET)]);
}

async function take(port: number): Promise<boolean> {
  if (!(await claimPort(port))) return false;
  if (await isFree(port)) return true;
  await giveUpPort(port);
  return false;
}

/** The port that was taken, if the server's log says so; it need not be the server's first one. */
export function takenPort(log: string): number | undefined {
  const match = /listening socket \S*?(\d+): bind: Address already in use|Failed listening on port (\d+)/i.exec(log);
  return match ? Number(match[1] ?? match[2]) : undefined;
}

/** Whether nothing listens at a TCP port of 127.0.0.1 now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
