import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { AbortError, type LoadContext } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { startGate } from './gate.js';
import { cacheOn, deferred, expectBetween, heldLoader, localCacheOn, warm } from './support.js';

const server = useRedis();

describe('one loader', () => {
  test('runs for 1,000 callers of a key, who all have its value', async () => {
    const { cache, name } = cacheOn(server(), { ttl: '1m' });
    let loads = 0;
    const load = async ({ key }: LoadContext) => {
      loads++;
      await sleep(10);
      return { of: key };
    };
    const values = await Promise.all(Array.from({ length: 1_000 }, () => cache.getOrSet('k', load)));
    expect(values).toEqual(Array.from({ length: 1_000 }, () => ({ of: 'k' })));
    expect(loads).toBe(1);
    expect(cache.stats()).toMatchObject({ loads: 1, misses: 1 });
    expect(await server().cli('GET', name('k'))).toBe('{"of":"k"}');
    expect(await cache.getOrSet('k', load)).toEqual({ of: 'k' });
    expect(loads).toBe(1);
  });

  test('runs for each key', async () => {
    const { cache } = cacheOn(server());
    const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
    const calls = [...keys, ...keys].map((key) => cache.getOrSet(key, ({ key: own }) => sleep(5, own)));
    expect(await Promise.all(calls)).toEqual([...keys, ...keys]);
    expect(cache.stats().loads).toBe(100);
  });

  test('at a time runs while a slow refresh outlives the value', async () => {
    const { cache } = cacheOn(server());
    let running = 0;
    let most = 0;
    const load = async () => {
      most = Math.max(most, ++running);
      await sleep(100);
      running--;
      return 'v';
    };
    await cache.put('k', 'old', { ttl: 10, grace: 40 });
    await sleep(15);
    const options = { grace: 40 };
    const end = performance.now() + 80;
    const calls: Promise<unknown>[] = [];
    while (performance.now() < end) {
      calls.push(cache.getOrSet('k', load, options));
      await sleep(5);
    }
    await Promise.all(calls);
    expect(most).toBe(1);
  });

  test('may give its value at once, and may give undefined, which is not stored', async () => {
    const { cache, name } = cacheOn(server());
    expect(await cache.getOrSet('k', () => 1)).toBe(1);
    expect(await cache.getOrSet('none', () => undefined)).toBeUndefined();
    expect(await cache.getOrSet('none', async () => undefined)).toBeUndefined();
    expect(await server().cli('EXISTS', name('none'))).toBe(0);
    expect(cache.stats().loads).toBe(3);
  });

  test('gives null, which is stored', async () => {
    const { cache } = cacheOn(server());
    expect(await cache.getOrSet('k', () => null)).toBeNull();
    expect(await cache.getOrSet('k', () => 'never')).toBeNull();
    expect(cache.stats().loads).toBe(1);
  });
});

describe('an error of the loader', () => {
  test.each<[string, (error: Error) => Promise<never>]>([
    [
      'thrown',
      (error) => {
        throw error;
      },
    ],
    ['of its promise', (error) => Promise.reject(error)],
  ])('%s reaches all who wait, as it is, and the next call loads again', async (_, fail) => {
    const { cache } = cacheOn(server());
    const error = Object.assign(new RangeError('no'), { extra: 1 });
    const calls = Array.from({ length: 100 }, () => cache.getOrSet('k', () => fail(error)));
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome.status === 'rejected' && outcome.reason).toBe(error);
    }
    expect(cache.stats().loads).toBe(1);
    expect(await cache.getOrSet('k', () => 'next')).toBe('next');
  });

  test('that is no Error comes as it is', async () => {
    const { cache } = cacheOn(server());
    expect(await failure(cache.getOrSet('k', () => Promise.reject('text')))).toBe('text');
    expect(await failure(cache.getOrSet('k', () => 1n as unknown))).toMatchObject({ message: /BigInt/ });
  });
});

describe('how long it is kept', () => {
  test('ttl of the call comes before that of the cache', async () => {
    const { cache, pool, name } = cacheOn(server(), { ttl: '1h' });
    await cache.getOrSet('a', () => 1);
    await cache.getOrSet('b', () => 1, { ttl: '1m' });
    expectBetween(await pool.pTTL(name('a')), 3_590_000, 3_600_000);
    expectBetween(await pool.pTTL(name('b')), 59_000, 60_000);
  });

  test('negativeTtl is for null only', async () => {
    const { cache, pool, name } = cacheOn(server(), { ttl: '1h' });
    const options = { negativeTtl: '10s' } as const;
    await cache.getOrSet('null', () => null, options);
    await cache.getOrSet('zero', () => 0, options);
    expectBetween(await pool.pTTL(name('null')), 9_000, 10_000);
    expectBetween(await pool.pTTL(name('zero')), 3_590_000, 3_600_000);
  });

  test('jitter takes off up to its part, at random, of put and of getOrSet', async () => {
    const { cache, pool, name } = cacheOn(server(), { ttl: 100_000 });
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
    await Promise.all(
      keys.map((key, i) =>
        i % 2 ? cache.put(key, 1, { jitter: 0.2 }) : cache.getOrSet(key, () => 1, { jitter: 0.2 }),
      ),
    );
    const ttls = (await Promise.all(keys.map((key) => pool.pTTL(name(key))))).sort((a, b) => a - b);
    expectBetween(ttls[0] as number, 78_000, 85_000);
    expectBetween(ttls.at(-1) as number, 95_000, 100_000);
    expect(new Set(ttls).size).toBeGreaterThan(100);
  });

  test('jitter 1 leaves at least 1 ms', async () => {
    const { cache } = cacheOn(server());
    for (let i = 0; i < 50; i++) await cache.put('k', 1, { ttl: 1, jitter: 1 });
  });
});

describe('early refresh', () => {
  /** How many of `calls` loaded anew, each in the background of a hit. */
  async function refreshes(beta: number | boolean, ttl: number, local: boolean): Promise<number> {
    const { cache, pool } = local ? await localCacheOn(server()) : cacheOn(server());
    let version = 0;
    const load = () => sleep(20, ++version);
    await cache.getOrSet('k', load, { ttl, earlyRefresh: true });
    if (local) await warm(cache, 'k');
    let refreshed = 0;
    for (let i = 0; i < 25; i++) {
      const { loads } = cache.stats();
      const stored = version;
      expect(await cache.getOrSet('k', load, { ttl, earlyRefresh: beta })).toBe(stored);
      // Whoever has the value from this process asks Redis before it loads.
      for (let pings = 0; pings < 3; pings++) await pool.ping();
      if (cache.stats().loads === loads) continue;
      refreshed++;
      await eventually(async () => expect(await cache.get('k')).toBe(version));
      if (local) await warm(cache, 'k');
    }
    return refreshed;
  }

  test.each([false, true])('always with a huge number, never with 0 or false (local: %s)', async (local) => {
    const [always, zero, no, long] = await Promise.all([
      refreshes(1e12, 60_000, local),
      refreshes(0, 60_000, local),
      refreshes(false, 60_000, local),
      refreshes(true, 60_000, local),
    ]);
    expect(always).toBe(25);
    expect([zero, no, long]).toEqual([0, 0, 0]);
  });

  test('is likelier near the end, and the likelier the longer loading took', async () => {
    const { cache, pool, name } = cacheOn(server());
    const share = async (loadMs: number, leftMs: number) => {
      const keys = Array.from({ length: 200 }, (_, i) => `${loadMs}-${leftMs}-${i}`);
      // As getOrSet stores it: how long it took to load stands beside the value.
      await Promise.all(keys.map((key) => pool.set(name(key), `\x01{"d":${loadMs}}\n1`, { PX: leftMs })));
      const { loads } = cache.stats();
      await Promise.all(keys.map((key) => cache.getOrSet(key, () => 1, { ttl: '1h', earlyRefresh: true })));
      return (cache.stats().loads - loads) / keys.length;
    };
    // exp(-left / load): 0.018, 0.61, 0.90
    expectBetween(await share(1_000, 4_000), 0, 0.12);
    expectBetween(await share(1_000, 500), 0.4, 0.8);
    expect(await share(5_000, 500)).toBeGreaterThan(0.75);
    expect(await share(10, 4_000)).toBe(0);
  });

  test('serves the old value meanwhile, refreshes once, and an error harms nobody', async () => {
    const { cache, events } = cacheOn(server());
    const always = { earlyRefresh: 1e12, ttl: '1m' } as const;
    await cache.getOrSet('k', () => sleep(5, 'old'), always);
    const loader = heldLoader<string>();
    const values = await Promise.all(Array.from({ length: 100 }, () => cache.getOrSet('k', loader.load, always)));
    expect(new Set(values)).toEqual(new Set(['old']));
    expect(loader.calls).toBe(1);
    const error = new Error('no');
    loader.fail(error);
    await eventually(() => events.length === 1);
    expect(events).toEqual([{ type: 'refresh-failed', key: 'k', error }]);
    expect(await cache.get('k')).toBe('old');
    // It failed just now: not again at once.
    expect(await cache.getOrSet('k', () => 'new', always)).toBe('old');
    expect(cache.stats()).toMatchObject({ loads: 2, staleServes: 0 });
  });
});

describe('a signal', () => {
  test('ends the wait of its caller only', async () => {
    const { cache } = cacheOn(server());
    const loader = heldLoader<string>();
    const abort = new AbortController();
    const impatient = failure(cache.getOrSet('k', loader.load, { signal: abort.signal }));
    const patient = cache.getOrSet('k', loader.load);
    await loader.began;
    const reason = new Error('enough');
    abort.abort(reason);
    expect(await impatient).toBeInstanceOf(AbortError);
    expect((await impatient)?.cause).toBe(reason);
    loader.give('v');
    expect(await patient).toBe('v');
    expect(await cache.get('k')).toBe('v');
  });

  test('of the loader aborts once all who wait are gone, and the next caller starts anew', async () => {
    const { cache } = cacheOn(server());
    const began = deferred<AbortSignal>();
    const load = ({ signal }: LoadContext) => {
      began.resolve(signal);
      return new Promise<string>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const aborts = [1, 2, 3].map(() => new AbortController());
    const calls = aborts.map(({ signal }) => failure(cache.getOrSet('k', load, { signal })));
    const signal = await began.promise;
    aborts[0]?.abort();
    aborts[1]?.abort();
    await sleep(5);
    expect(signal.aborted).toBe(false);
    aborts[2]?.abort();
    expect(signal.aborted).toBe(true);
    for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(AbortError);
    expect(await cache.getOrSet('k', () => 'next')).toBe('next');
  });

  test('does not abort the loader while one who cannot abort waits', async () => {
    const { cache } = cacheOn(server());
    const loader = heldLoader<string>();
    const abort = new AbortController();
    let own: AbortSignal | undefined;
    const call = failure(
      cache.getOrSet(
        'k',
        (context) => {
          own = context.signal;
          return loader.load();
        },
        { signal: abort.signal },
      ),
    );
    const other = cache.getOrSet('k', loader.load);
    await loader.began;
    abort.abort();
    await call;
    expect(own?.aborted).toBe(false);
    loader.give('v');
    expect(await other).toBe('v');
  });

  test('that is aborted before asks for nothing', async () => {
    const { cache } = cacheOn(server());
    const signal = AbortSignal.abort();
    expect(await failure(cache.getOrSet('k', () => 'never', { signal }))).toBeInstanceOf(AbortError);
    expect(cache.stats()).toMatchObject({ loads: 0, misses: 0 });
  });

  test('that aborts before there is anything to load starts no loader', async () => {
    const gate = await startGate(server());
    const { cache, name } = cacheOn(gate);
    await cache.has('k');
    const held = gate.holdCommand('MGET', name('k'));
    const abort = new AbortController();
    const call = failure(cache.getOrSet('k', () => 'never', { signal: abort.signal }));
    await held.reached;
    abort.abort();
    expect(await call).toBeInstanceOf(AbortError);
    held.release();
    await cache.has('other');
    await sleep(10);
    expect(cache.stats().loads).toBe(0);
  });
});
