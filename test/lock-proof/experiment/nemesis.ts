import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from '../../../src/testing/index.js';
import { now } from './clock.js';
import type { Fault, FaultKind } from './history.js';
import type { Random } from './random.js';
import type { Workers } from './workers.js';

/** Of the server that the nemesis is let loose on: what it writes survives kill -9, unless the nemesis takes it away. */
export const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** Longest time that something is stopped: more than any TTL, and more than a command may take. */
const LONGEST_MS = 1_400;
/** How long all is left in peace after a fault, so that it is seen whether everything recovers. */
const CALM_MS = { least: 200, most: 1_800 };

export interface Targets {
  readonly server: RedisServer;
  readonly workers: Workers;
  readonly random: Random;
}

const DEEDS: Readonly<Record<FaultKind, (targets: Targets) => Promise<{ worker?: string }>>> = {
  async 'stop worker'({ workers, random }) {
    const worker = random.pick(workers.names);
    workers.signal(worker, 'SIGSTOP');
    await sleep(random.between(100, LONGEST_MS));
    workers.signal(worker, 'SIGCONT');
    return { worker };
  },

  async 'kill worker'({ workers, random }) {
    const worker = random.pick(workers.names);
    await workers.replace(worker);
    return { worker };
  },

  async 'freeze server'({ server, random }) {
    await server.freeze();
    await sleep(random.between(100, LONGEST_MS));
    await server.thaw();
    return {};
  },

  async 'restart server'({ server, random }) {
    await server.kill();
    await sleep(random.between(0, 300));
    await server.restart();
    return {};
  },

  async 'lose server'({ server, random }) {
    const [, directory] = (await server.cli('CONFIG', 'GET', 'dir')) as [string, string];
    await server.kill();
    await rm(join(directory, 'appendonlydir'), { recursive: true });
    await sleep(random.between(0, 300));
    await server.restart();
    return {};
  },

  async 'cut commands'({ server }) {
    await server.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    return {};
  },

  async 'cut subscribers'({ server }) {
    await server.cli('CLIENT', 'KILL', 'TYPE', 'pubsub');
    return {};
  },

  async 'flush scripts'({ server }) {
    await server.cli('SCRIPT', 'FLUSH');
    return {};
  },

  async 'flush all'({ server }) {
    await server.cli('FLUSHALL');
    return {};
  },
};

/** Does one thing after the other, each kind as often as the others, until the time is over. Everything is undone then. */
export async function rage(targets: Targets, durationMs: number): Promise<Fault[]> {
  const { random } = targets;
  const faults: Fault[] = [];
  const endAt = now() + durationMs;
  let kinds: FaultKind[] = [];
  while (now() < endAt) {
    await sleep(random.between(CALM_MS.least, CALM_MS.most));
    if (kinds.length === 0) kinds = random.shuffle(Object.keys(DEEDS) as FaultKind[]);
    const kind = kinds.pop() as FaultKind;
    const from = now();
    const done = await DEEDS[kind](targets);
    faults.push({ kind, from, to: now(), ...done });
  }
  return faults;
}

/** Asks the server all the time how it is: a machine that is too busy to run it freezes it as well as any nemesis. */
export async function watch(server: RedisServer, signal: AbortSignal): Promise<Fault[]> {
  const faults: Fault[] = [];
  while (!signal.aborted) {
    const from = now();
    await server.cli('PING').catch(() => undefined);
    const to = now();
    if (to - from > SLOW_MS) faults.push({ kind: 'freeze server', from, to });
    await sleep(WATCH_EVERY_MS);
  }
  return faults;
}

const SLOW_MS = 100;
const WATCH_EVERY_MS = 20;
