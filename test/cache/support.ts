import { expect } from 'vitest';
import type { Cache, CacheEvent, CacheOptions, PoolOptions, RedisPool } from '../../src/index.js';
import { engineOn } from '../support/engine.js';
import { eventually } from '../support/eventually.js';

let names = 0;
/** A prefix (or key) that no other test of the file uses. */
export function newName(name = 'cache'): string {
  return `${name}-${++names}`;
}

/** A pool that shares nothing with any other; closed after the test. */
export function poolOn(server: { address: string }, options: PoolOptions = {}): RedisPool {
  return engineOn(server.address, options).getRedis();
}

/** A cache on a pool of its own, and what there is to look at it. */
export interface Probe<T> {
  readonly cache: Cache<T>;
  readonly pool: RedisPool;
  readonly prefix: string;
  /** What it told so far. */
  readonly events: CacheEvent[];
  /** What a key is called in Redis. */
  name(key: string): string;
  /** How many events of a type there were. */
  count(type: CacheEvent['type']): number;
}

/** A cache with a prefix of its own unless told otherwise. */
export function cacheOn<T = unknown>(
  server: { address: string },
  options: CacheOptions<T> = {},
  poolOptions: PoolOptions = {},
): Probe<T> {
  const pool = poolOn(server, poolOptions);
  const prefix = options.prefix ?? newName();
  const events: CacheEvent[] = [];
  const cache = pool.getCache<T>({ ...options, prefix, onEvent: (event) => events.push(event) });
  return {
    cache,
    pool,
    prefix,
    events,
    name: (key) => (prefix === '' ? key : `${prefix}#${key}`),
    count: (type) => events.filter((event) => event.type === type).length,
  };
}

/** As {@link cacheOn}, with a local tier that is up. */
export async function localCacheOn<T = unknown>(
  server: { address: string },
  options: CacheOptions<T> = {},
  poolOptions: PoolOptions = {},
): Promise<Probe<T>> {
  const probe = cacheOn<T>(server, { local: true, ...options }, poolOptions);
  await isUp(probe);
  return probe;
}

export async function isUp({ count }: Pick<Probe<unknown>, 'count'>, times = 1): Promise<void> {
  await eventually(() => count('local-up') >= times);
}

/** Reads a key until it is served from this process. */
export async function warm<T>(cache: Cache<T>, key: string): Promise<void> {
  await eventually(() => servedLocally(cache, key));
}

/** Whether one read of a key is served from this process. */
export async function servedLocally<T>(cache: Cache<T>, key: string): Promise<boolean> {
  const before = cache.stats().localHits;
  await cache.get(key);
  return cache.stats().localHits > before;
}

/** A promise and what settles it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve(value: T): void; reject(error: Error): void } {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((ok, fail) => {
    resolve = ok;
    reject = fail;
  });
  return { promise, resolve, reject };
}

/** A loader that hangs until it is told what to give. */
export function heldLoader<T>() {
  const began = deferred();
  const result = deferred<T>();
  let calls = 0;
  return {
    began: began.promise,
    give: result.resolve,
    fail: result.reject,
    get calls() {
      return calls;
    },
    load: () => {
      calls++;
      began.resolve();
      return result.promise;
    },
  };
}

/** Lets I/O that is ready be handled so many times. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Fills the first lane, of which nothing is answered at the moment, so that what is sent next goes to another. */
export async function occupyFirstLane(pool: RedisPool): Promise<{ over: Promise<unknown> }> {
  let answered = 0;
  const pings = Array.from({ length: 200 }, async () => {
    await pool.ping();
    answered++;
  });
  await eventually(() => answered > 60);
  return { over: Promise.all(pings) };
}

/** Fails unless `value` is in [least, most]; the message has the number. */
export function expectBetween(value: number, least: number, most: number): void {
  expect(value).toBeGreaterThanOrEqual(least);
  expect(value).toBeLessThanOrEqual(most);
}
