import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisPool } from '../../src/index.js';
import { isFailover } from './support.js';

/** Longest time for one command of a pool under such a load. */
export const COMMAND_TIMEOUT_MS = 3_000;
const WAIT_MS = 1_000;

/** What became of the calls of one kind. */
export interface Outcome {
  done: number;
  failed: number;
  /** When the last one began that succeeded, on the clock of `performance.now()`. */
  lastBeganAt: number;
  /** How long the longest took, however it ended. */
  longestMs: number;
  /** What they failed with that nobody may expect during a failover. */
  readonly unexpected: Error[];
}

/** Callers of everything that a pool does, without a pause, from now until `stop()`. */
export interface MixedLoad {
  readonly outcomes: Readonly<Record<string, Outcome>>;
  /** Fences in the order in which locks were obtained. */
  readonly fences: readonly number[];
  stop(): Promise<void>;
}

type Call = (redis: RedisPool, caller: number, turn: number, fences: number[]) => Promise<unknown>;

const CALLS: Record<string, Call> = {
  command: (redis, caller) => redis.incr(`load:${caller}`),
  async transaction(redis, caller) {
    const key = `tx:${caller}`;
    await redis.transaction(
      async (own) =>
        own
          .multi()
          .set(key, String(await own.get(key)))
          .exec(),
      { watch: key },
    );
  },
  async blocking(redis, caller, turn) {
    const key = `list:${caller}`;
    await redis.rPush(key, String(turn));
    await redis.blPop(key, 1);
  },
  async lock(redis, _, __, fences) {
    const lock = await redis.getLocker().obtain('job', '2s', WAIT_MS);
    if (!lock) return;
    fences.push(lock.fence);
    await lock.release();
  },
  limit: (redis, caller, turn) => redis.getRateLimiter({ limit: 1e6, period: '1m' }).consume(`${caller}:${turn % 8}`),
  async cache(redis, caller, turn) {
    const cache = redis.getCache<number>({ prefix: 'load', ttl: '1m' });
    await cache.put(`${caller}`, turn);
    const value = await cache.get(`${caller}`);
    // A write that was confirmed can be lost with its master; what another caller wrote cannot be there.
    if (value !== undefined && value > turn) throw new Error(`${value} was never written`);
    await cache.getOrSet(`${caller}:${turn % 16}`, () => turn);
  },
};

/** Starts `callers` loops of each kind. */
export function startMixedLoad(redis: RedisPool, callers = 3): MixedLoad {
  const fences: number[] = [];
  const outcomes: Record<string, Outcome> = {};
  let stopped = false;
  const loops = Object.entries(CALLS).flatMap(([kind, call]) => {
    const outcome: Outcome = { done: 0, failed: 0, lastBeganAt: 0, longestMs: 0, unexpected: [] };
    outcomes[kind] = outcome;
    return Array.from({ length: callers }, async (_, caller) => {
      for (let turn = 0; !stopped; turn++) {
        const beganAt = performance.now();
        try {
          await call(redis, caller, turn, fences);
          outcome.done++;
          outcome.lastBeganAt = Math.max(outcome.lastBeganAt, beganAt);
        } catch (error) {
          outcome.failed++;
          if (!isFailover(error)) outcome.unexpected.push(error as Error);
          await sleep(2);
        }
        outcome.longestMs = Math.max(outcome.longestMs, performance.now() - beganAt);
      }
    });
  });
  return {
    outcomes,
    fences,
    async stop() {
      stopped = true;
      await Promise.all(loops);
    },
  };
}
