import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from '../../../src/index.js';
import { startRedis } from '../../../src/testing/index.js';
import type { Allowances } from './check.js';
import { storeLog } from './guarded-store.js';
import type { History } from './history.js';
import { DURABLE, rage, watch } from './nemesis.js';
import { Random } from './random.js';
import { Workers } from './workers.js';

const WORKERS = 4;
const COMMAND_TIMEOUT_MS = 1_000;
/** At the end, so that what the last fault did to the waiters shows. */
const LAST_CALM_MS = 1_500;
const END_WITHIN_MS = 15_000;

/** What the checker allows for in these experiments. */
export const ALLOWANCES: Allowances = {
  // One request that came too late and the one that gives it back, or a failed last attempt and leaving the queue.
  settleMs: 2 * COMMAND_TIMEOUT_MS * 1.1 + 500,
  // Connecting anew with its growing delays, subscribing again, asking again.
  recoveryMs: 1_500,
  // A look at a key of which nobody can say when it comes free, and a busy machine.
  idleMs: 500,
};

export interface Outcome {
  readonly history: History;
  /** What is wrong with the processes themselves. */
  readonly accidents: string[];
}

/** Lets real processes fight for locks while a nemesis rages, and resolves with what happened. */
export async function experiment(seed: number, durationMs: number): Promise<Outcome> {
  const random = new Random(seed);
  const directory = await mkdtemp(join(tmpdir(), 'lagoon-proof-'));
  await using server = await startRedis({ args: DURABLE });
  await using storeServer = await startRedis();
  const engine = new Registry().registerRedis(storeServer.address).validate();
  const orders = { locks: server.address, store: storeServer.address, commandTimeoutMs: COMMAND_TIMEOUT_MS };
  const workers = new Workers(orders, directory, random);
  const watching = new AbortController();
  try {
    await workers.start(WORKERS);
    const watched = watch(server, watching.signal);
    const raged = await rage({ server, workers, random }, durationMs);
    await sleep(LAST_CALM_MS);
    const accidents = await workers.stop(END_WITHIN_MS);
    watching.abort();
    const { attempts, accesses, faults } = await workers.records();
    const store = await storeLog(engine.getRedis());
    return { history: { attempts, accesses, store, faults: [...raged, ...faults, ...(await watched)] }, accidents };
  } finally {
    watching.abort();
    workers.kill();
    await engine.close();
    await rm(directory, { recursive: true, force: true });
  }
}
