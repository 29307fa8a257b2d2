import { type ChildProcess, fork } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Locker, PoolConfig, PoolOptions, RedisPool } from '../../src/index.js';
import type { RedisServer } from '../../src/testing/index.js';
import { engineOn } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import type { ContenderReply, ContenderRequest } from './contender.js';

/** A pool, and with it a locker, that shares nothing with any other; closed after the test. */
export function poolOn(server: { address: string }, options: PoolOptions = {}): RedisPool {
  return engineOn(server.address, options).getRedis();
}

export function lockerOn(server: { address: string }, options: PoolOptions = {}): Locker {
  return poolOn(server, options).getLocker();
}

let keys = 0;
/** A key that no other test of the file uses. */
export function newKey(name = 'lock'): string {
  return `${name}:${++keys}`;
}

/** Resolves once so many claims wait for the key. */
export function waitersOf(locker: Locker, key: string, count: number): Promise<unknown> {
  return eventually(async () => (await locker.inspect(key)).waiting === count, { timeout: 10_000 });
}

/**
 * Lets so many ask for a lock while another holds it, each when the one before it waits. Resolves with the order in which they had
 * it (-1 for one who had not), and their fences.
 */
export async function servedInTurn(
  locker: Locker,
  key: string,
  count: number,
  askerOf: (i: number) => Pick<Contender, 'obtain'> | Locker | undefined,
): Promise<{ order: number[]; fences: number[] }> {
  const holder = await locker.obtain(key, '1m');
  const order: number[] = [];
  const fences: number[] = [];
  const waiters: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    const wait = async () => {
      const lock = await askerOf(i)?.obtain(key, 60_000, 20_000);
      order.push(lock ? i : -1);
      fences.push(lock?.fence ?? 0);
      await lock?.release();
    };
    waiters.push(wait());
    await waitersOf(locker, key, i + 1);
  }
  await holder?.release();
  await Promise.all(waiters);
  return { order, fences };
}

/** The channels on which processes are told that it is their turn. */
export async function channels(server: RedisServer): Promise<readonly string[]> {
  return (await server.cli('PUBSUB', 'CHANNELS', 'lagoon:lock:*')) as string[];
}

/** Calls of scripts since the last CONFIG RESETSTAT: what Lagoon's locks send. */
export async function scriptCalls(server: RedisServer): Promise<number> {
  const stats = String(await server.cli('INFO', 'commandstats'));
  const calls = [...stats.matchAll(/^cmdstat_(?:evalsha|eval):calls=(\d+)/gm)];
  return calls.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** The commands that clients send from now on, without what scripts do; ends with the test. */
export async function watchCommands(server: RedisServer): Promise<string[]> {
  const commands: string[] = [];
  const socket = connect(server.socketPath);
  onTestFinished(() => void socket.destroy());
  let unread = '';
  const ready = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      const lines = (unread + chunk).split('\r\n');
      unread = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '+OK') resolve();
        else if (!/^\+[\d.]+ \[\d+ lua\]/.test(line)) commands.push(line);
      }
    });
  });
  socket.write('MONITOR\r\n');
  await ready;
  return commands;
}

/** A lock that another process holds. */
export interface RemoteLock {
  readonly fence: number;
  release(): Promise<boolean>;
}

/** Another process with a locker of its own; killed after the test if it still runs. */
export interface Contender {
  readonly pid: number;
  obtain(key: string | string[], ttl: number, waitTimeout: number): Promise<RemoteLock | null>;
  /** SIGKILL, and resolves once it is gone. */
  kill(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL('contender.ts', import.meta.url));

/** `pool`: where its locks are, a server or what a configuration says of a pool. */
export async function startContender(pool: { address: string } | PoolConfig): Promise<Contender> {
  const config = typeof pool === 'object' && 'address' in pool ? pool.address : pool;
  const child = fork(PROGRAM, [JSON.stringify(config)], {
    execArgv: ['--import', 'tsx'],
    env: { PATH: process.env.PATH },
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = () => {
    child.kill('SIGKILL');
    return gone;
  };
  onTestFinished(kill);
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('exit', () => reject(new Error('a contender ended before it was ready')));
  });
  const ask = requests(child);
  return {
    pid: child.pid as number,
    kill,
    async obtain(key, ttl, waitTimeout) {
      const { handle, fence } = await ask({ obtain: [key, ttl, waitTimeout] });
      if (handle === undefined || fence === undefined) return null;
      return { fence, release: async () => (await ask({ release: handle })).released === true };
    },
  };
}

function requests(child: ChildProcess): (request: ContenderRequest) => Promise<ContenderReply> {
  const open = new Map<number, (reply: ContenderReply) => void>();
  let next = 0;
  child.on('message', (reply: ContenderReply & { id: number }) => open.get(reply.id)?.(reply));
  return (request) =>
    new Promise((resolve, reject) => {
      const id = next++;
      open.set(id, (reply) => (reply.error === undefined ? resolve(reply) : reject(new Error(reply.error))));
      child.send({ id, ...request });
    });
}
