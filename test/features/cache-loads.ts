import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { CacheEvent } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

/** getOrSet(): one loader at a time, grace, early refresh. */
export function cacheLoads(site: Site): void {
  const newPrefix = () => site.key('loads').slice(1, -1);

  /** A loader that counts its calls, and takes some time. */
  const counting = (takesMs = 20) => {
    let calls = 0;
    const load = async () => {
      calls++;
      await sleep(takesMs);
      return `loaded ${calls}`;
    };
    return { load, calls: () => calls };
  };

  test('one loader for all who ask at once, and what it gives is stored', async () => {
    const prefix = newPrefix();
    const [here, elsewhere] = [site.redis, site.elsewhere].map((redis) =>
      redis.getCache<string>({ prefix, ttl: '1m' }),
    );
    const { load, calls } = counting();
    const asked = Array.from({ length: 50 }, () => here?.getOrSet('key', load));
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['loaded 1']));
    expect(await elsewhere?.getOrSet('key', load)).toBe('loaded 1');
    expect(calls()).toBe(1);
    expect(
      await failure(here?.getOrSet('broken', () => Promise.reject(new Error('own'))) as Promise<string>),
    ).toMatchObject({
      message: 'own',
    });
    expect(await here?.get('broken')).toBeUndefined();
  });

  test('with lock: one loader in all processes, for each of many keys', async () => {
    const prefix = newPrefix();
    const caches = [site.redis, site.elsewhere, site.open().getRedis()].map((redis) =>
      redis.getCache<string>({ prefix, ttl: '1m' }),
    );
    const loads = new Map<string, number>();
    const keys = Array.from({ length: 20 }, (_, i) => `report:${i}`);
    const load = async ({ key }: { key: string }) => {
      loads.set(key, (loads.get(key) ?? 0) + 1);
      await sleep(50);
      return `loaded ${key}`;
    };
    const values = await Promise.all(
      keys.map((key) =>
        Promise.all(caches.flatMap((cache) => [1, 2, 3].map(() => cache.getOrSet(key, load, { lock: true })))),
      ),
    );
    expect(values.map((each) => [...new Set(each)])).toEqual(keys.map((key) => [`loaded ${key}`]));
    expect([...loads.values()]).toEqual(keys.map(() => 1));
  });

  test('with lock: the next process loads if the loader of the first fails', async () => {
    const prefix = newPrefix();
    const [here, elsewhere] = [site.redis, site.elsewhere].map((redis) =>
      redis.getCache<string>({ prefix, ttl: '1m' }),
    );
    let fail!: (error: Error) => void;
    const held = new Promise<string>((_, reject) => {
      fail = reject;
    });
    let began = false;
    const first = failure(
      here?.getOrSet(
        'key',
        () => {
          began = true;
          return held;
        },
        { lock: true },
      ) as Promise<string>,
    );
    await eventually(() => began);
    const second = elsewhere?.getOrSet('key', () => 'by the second', { lock: true });
    fail(new Error('own'));
    expect((await first)?.message).toBe('own');
    expect(await second).toBe('by the second');
  });

  test('null is kept for its own time, undefined not at all', async () => {
    const prefix = newPrefix();
    const cache = site.redis.getCache<string | null | undefined>({ prefix, ttl: '1h' });
    expect(await cache.getOrSet('nobody', () => null, { negativeTtl: '5s' })).toBeNull();
    const ttl = await site.redis.pTTL(`${prefix}#nobody`);
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(5_000);
    expect(await cache.getOrSet('nothing', () => undefined)).toBeUndefined();
    expect(await site.redis.exists(`${prefix}#nothing`)).toBe(0);
  });

  test('grace: a stale value serves while another is loaded, and while none can be', async () => {
    const events: CacheEvent['type'][] = [];
    const cache = site.redis.getCache<string>({ prefix: newPrefix(), onEvent: ({ type }) => events.push(type) });
    let answer = () => 'old';
    const ask = () => cache.getOrSet('key', () => answer(), { ttl: 50, grace: '1h', backoff: 50 });
    expect(await ask()).toBe('old');
    await eventually(async () => (await cache.get('key')) === undefined);
    answer = () => {
      throw new Error('closed');
    };
    await eventually(async () => {
      expect(await ask()).toBe('old');
      return events.includes('refresh-failed');
    });
    expect(cache.stats().staleServes).toBeGreaterThan(0);
    answer = () => 'new';
    await eventually(async () => (await ask()) === 'new');
  });

  test('early refresh loads before the end, while nobody waits', async () => {
    const cache = site.redis.getCache<string>({ prefix: newPrefix(), ttl: '10s' });
    const { load } = counting(50);
    await eventually(async () => (await cache.getOrSet('key', load, { earlyRefresh: 100, lock: true })) !== 'loaded 1');
    expect(cache.stats().misses).toBe(1);
  });

  test('what changes while a value is loaded is not overwritten by it', async () => {
    const prefix = newPrefix();
    const cache = site.redis.getCache<string>({ prefix, ttl: '1m' });
    const put = await cache.getOrSet('put', async () => {
      await cache.put('put', 'put meanwhile');
      return 'loaded';
    });
    expect([put, await cache.get('put')]).toEqual(['loaded', 'put meanwhile']);
    // By a tag, from another process too.
    const elsewhere = site.elsewhere.getCache<string>({ prefix, ttl: '1m' });
    await cache.getOrSet(
      'tagged',
      async () => {
        await elsewhere.removeByTag('tag');
        return 'loaded';
      },
      { tags: ['tag'] },
    );
    expect(await cache.get('tagged')).toBeUndefined();
  });

  test('a caller that stops waiting leaves the others their value', async () => {
    const cache = site.redis.getCache<string>({ prefix: newPrefix(), ttl: '1m' });
    const { load, calls } = counting(100);
    const controller = new AbortController();
    const aborted = failure(cache.getOrSet('key', load, { signal: controller.signal }));
    const patient = cache.getOrSet('key', load);
    await eventually(() => calls() === 1);
    controller.abort();
    expect((await aborted)?.name).toBe('AbortError');
    expect(await patient).toBe('loaded 1');
  });
}
