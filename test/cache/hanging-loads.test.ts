import { describe, expect, test } from 'vitest';
import { AbortError, type GetOrSetOptions, type LoadContext, LoadTimeoutError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { cacheOn, deferred, type Probe } from './support.js';

const server = useRedis();

/** A loader that never gives anything, whether its signal aborts or not, and its signal. */
function hangingLoader() {
  const began = deferred<AbortSignal>();
  let calls = 0;
  return {
    signal: began.promise,
    get calls() {
      return calls;
    },
    load: ({ signal }: LoadContext) => {
      calls++;
      began.resolve(signal);
      return new Promise<never>(() => {});
    },
  };
}

/** Stores a value that is stale when this resolves. */
async function stale({ cache, pool, name }: Probe<unknown>): Promise<void> {
  await cache.put('k', 'stale', { ttl: 1, grace: '1m' });
  await eventually(async () => (await pool.pTTL(name('k'))) < 60_000);
}

describe.each<[string, GetOrSetOptions]>([
  ['a refresh', {}],
  ['a refresh under the lock', { lock: true }],
  ['an early refresh', { earlyRefresh: 1e12 }],
  ['an early refresh under the lock', { earlyRefresh: 1e12, lock: true }],
])('%s that hangs', (_, options) => {
  const grace = { ...options, ttl: '1m', grace: '1m' } as const;

  /** Two processes, one of which has begun a refresh whose loader hangs. */
  async function hanging(more: GetOrSetOptions) {
    const one = cacheOn(server());
    const two = cacheOn(server(), { prefix: one.prefix });
    if (options.earlyRefresh) await one.cache.getOrSet('k', () => 'stale', grace);
    else await stale(one);
    const loader = hangingLoader();
    expect(await one.cache.getOrSet('k', loader.load, { ...grace, ...more })).toBe('stale');
    const signal = await loader.signal;
    return { one, two, loader, signal };
  }

  test('ends with its loadTimeout: its signal aborts, and another process loads', async () => {
    const { one, two, signal } = await hanging({ loadTimeout: 50 });
    await eventually(() => one.count('refresh-failed') === 1);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBeInstanceOf(LoadTimeoutError);
    expect(signal.reason).toMatchObject({ code: 'LAGOON_LOAD_TIMEOUT', timeoutMs: 50 });
    await eventually(async () => (await two.cache.getOrSet('k', () => 'fresh', grace)) === 'fresh');
  });

  test('leaves the loader in peace for its back-off then', async () => {
    const { one, loader } = await hanging({ loadTimeout: 20, backoff: '1m' });
    await eventually(() => one.count('refresh-failed') === 1);
    for (let i = 0; i < 5; i++) expect(await one.cache.getOrSet('k', loader.load, grace)).toBe('stale');
    await one.pool.ping();
    expect(loader.calls).toBe(1);
  });

  test('is given up with the last caller who waits for it, and the next one loads', async () => {
    const { one, two, signal } = await hanging({});
    await one.pool.del(one.name('k'));
    const { misses } = one.cache.stats();
    const aborts = [new AbortController(), new AbortController()];
    const calls = aborts.map(({ signal }) =>
      failure(one.cache.getOrSet('k', () => 'not called', { ...options, signal })),
    );
    await eventually(() => one.cache.stats().misses > misses);
    await one.pool.ping();
    aborts[0]?.abort();
    expect(await calls[0]).toBeInstanceOf(AbortError);
    expect(signal.aborted).toBe(false);
    aborts[1]?.abort();
    expect(await calls[1]).toBeInstanceOf(AbortError);
    expect(signal.aborted).toBe(true);
    expect(await one.cache.getOrSet('k', () => 'fresh', options)).toBe('fresh');
    expect(await two.cache.getOrSet('k', () => 'other', options)).toBe('fresh');
  });

  test('is waited for until its loadTimeout by those who cannot abort, who then load', async () => {
    const { one } = await hanging({ loadTimeout: 300 });
    await one.pool.del(one.name('k'));
    expect(await one.cache.getOrSet('k', () => 'fresh', options)).toBe('fresh');
  });
});

test('a refresh ends after 30 s if nothing else is said', async () => {
  const probe = cacheOn(server());
  const loader = hangingLoader();
  const { setTimeout } = globalThis;
  const waits: unknown[] = [];
  globalThis.setTimeout = ((callback: () => void, ms?: number) => {
    waits.push(ms);
    return setTimeout(callback, ms);
  }) as typeof setTimeout;
  try {
    await stale(probe);
    await probe.cache.getOrSet('k', loader.load, { grace: '1m' });
    await loader.signal;
    await probe.pool.ping();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  expect(waits).toContain(30_000);
});

describe('a load that callers wait for', () => {
  test.each([true, false])(
    'ends with the loadTimeout that is given, with an error for all of them (lock: %s)',
    async (lock) => {
      const one = cacheOn(server(), { loadTimeout: 50 });
      const two = cacheOn(server(), { prefix: one.prefix });
      const loader = hangingLoader();
      const calls = [1, 2, 3].map(() => failure(one.cache.getOrSet('k', loader.load, { lock })));
      for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(LoadTimeoutError);
      expect((await loader.signal).aborted).toBe(true);
      expect(loader.calls).toBe(1);
      expect(await two.cache.getOrSet('k', () => 'fresh', { lock })).toBe('fresh');
    },
  );

  test('gives its lock back once they have all aborted, even if the loader goes on', async () => {
    const one = cacheOn(server());
    const two = cacheOn(server(), { prefix: one.prefix });
    const loader = hangingLoader();
    const abort = new AbortController();
    const call = failure(one.cache.getOrSet('k', loader.load, { lock: true, signal: abort.signal }));
    await loader.signal;
    abort.abort();
    expect(await call).toBeInstanceOf(AbortError);
    expect(await two.cache.getOrSet('k', () => 'fresh', { lock: true })).toBe('fresh');
  });

  test('drops what a loader gives after its end', async () => {
    const { cache, name } = cacheOn(server());
    const late = deferred<string>();
    expect(await failure(cache.getOrSet('k', () => late.promise, { loadTimeout: 20 }))).toBeInstanceOf(
      LoadTimeoutError,
    );
    late.resolve('late');
    await late.promise;
    await cache.has('other');
    expect(await server().cli('EXISTS', name('k'))).toBe(0);
  });

  test('swallows the error of a loader after its end', async () => {
    const { cache } = cacheOn(server());
    const late = deferred<string>();
    expect(await failure(cache.getOrSet('k', () => late.promise, { loadTimeout: 20 }))).toBeInstanceOf(
      LoadTimeoutError,
    );
    late.reject(new Error('late'));
    expect(await cache.getOrSet('k', () => 'next')).toBe('next');
  });
});
