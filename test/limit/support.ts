import { setImmediate } from 'node:timers/promises';
import type { PoolOptions, RateLimiter, RateLimiterOptions, RateLimitResult } from '../../src/index.js';
import { decide, type State } from '../../src/limit/algorithms.js';
import { type Quota, type RateLimitRule, resolveRule } from '../../src/limit/quota.js';
import { resultOf } from '../../src/limit/result.js';
import type { RedisServer } from '../../src/testing/index.js';
import { poolOn } from '../lock/support.js';

let keys = 0;
/** A key that no other test of the file uses. */
export function newKey(name = 'key'): string {
  return `${name}:${++keys}`;
}

/** A limiter on a pool that shares nothing with any other; closed after the test. */
export function limiterOn(
  server: { address: string },
  options: RateLimiterOptions,
  poolOptions: PoolOptions = {},
): RateLimiter {
  return poolOn(server, poolOptions).getRateLimiter(options);
}

/** So many calls in one turn of the event loop. */
export function together<T>(count: number, call: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => call(index)));
}

/** Sends what `first` asks for, then what `second` does, and lets the process read no reply until all are there. */
export async function readAtOnce<A, B>(server: RedisServer, first: () => A, second: () => B): Promise<[A, B]> {
  await server.freeze();
  const one = first();
  await setImmediate();
  const other = second();
  await setImmediate();
  await setImmediate();
  // Without an await, in which replies could be read.
  process.kill(server.pid, 'SIGCONT');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  await server.thaw();
  return [one, other];
}

export function allowedOf(results: readonly RateLimitResult[]): number {
  return results.filter(({ allowed }) => allowed).length;
}

export function quotaOf(rule: RateLimitRule & { limit: number }): Quota {
  return resolveRule(rule).quota(rule.limit);
}

/** One key in the pure algorithms: what a script call would leave in Redis, and answer. */
export class Reference {
  readonly #quotas: readonly Quota[];
  #states: readonly State[] = [];

  constructor(...rules: readonly (RateLimitRule & { limit: number })[]) {
    this.#quotas = rules.map(quotaOf);
  }

  consume(nowUs: number, cost = 1): RateLimitResult {
    const { accepted, states, standings } = decide(this.#states, this.#quotas, nowUs, cost, 1);
    if (accepted > 0) this.#states = states;
    return resultOf(this.#quotas, standings, cost, accepted > 0, 0);
  }

  set states(states: readonly State[]) {
    this.#states = states;
  }

  get states(): readonly State[] {
    return this.#states;
  }
}
