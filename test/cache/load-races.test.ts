import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Cache, GetOrSetOptions } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { startGate } from './gate.js';
import { cacheOn, heldLoader, localCacheOn, newName, occupyFirstLane } from './support.js';

const server = useRedis();

/** What changes a key, and what it holds after that. */
const CHANGES: [string, (cache: Cache<unknown>) => Promise<unknown>, unknown][] = [
  ['put', (cache) => cache.put('k', 'put'), 'put'],
  ['putMany', (cache) => cache.putMany([['k', 'put']]), 'put'],
  ['remove', (cache) => cache.remove('k'), undefined],
  ['remove of a pattern', (cache) => cache.removeByPattern('[k]*'), undefined],
  ['removeByTag', (cache) => cache.removeByTag('t'), undefined],
  ['getDel', (cache) => cache.getDel('k'), undefined],
  ['clear', (cache) => cache.clear(), undefined],
];

describe.each<[string, GetOrSetOptions]>([
  ['a load', {}],
  ['a load under the lock', { lock: true }],
])('%s during which the key was changed', (_, options) => {
  test.each(CHANGES)('by %s is not stored, its callers have its value', async (_, change, left) => {
    const { cache } = cacheOn(server());
    const loader = heldLoader<string>();
    const loading = cache.getOrSet('k', loader.load, { ...options, tags: ['t'] });
    await loader.began;
    await change(cache);
    loader.give('loaded');
    expect(await loading).toBe('loaded');
    expect(await cache.get('k')).toBe(left);
  });

  test.each(CHANGES)('by %s while it was being stored does not come after the change', async (what, change, left) => {
    const gate = await startGate(server());
    const { cache, pool, name } = cacheOn(gate, {}, { pool: { lanes: 4 } });
    await cache.put('other', 1);
    await cache.put('other', 1, { ttl: '1m', tags: ['t'] });
    await cache.getOrSet('another', () => 'knows the script', options);
    // The lock of that is given back in a write of its own.
    await cache.has('other');
    const held = gate.holdCommand('EVALSHA', name('k'));
    const loading = cache.getOrSet('k', () => 'loaded', { ...options, tags: ['t'] });
    await held.reached;
    const busy = await occupyFirstLane(pool);
    const changing = change(cache);
    // Time in which a change that does not wait would overtake the SET on another lane.
    await Promise.race([changing, sleep(30)]);
    held.release();
    await changing;
    expect(await loading).toBe('loaded');
    await busy.over;
    expect(await cache.get('k')).toBe(left);
    if (what === 'clear') expect(await cache.keys()).toEqual([]);
  });

  test('does not serve those who ask after a put', async () => {
    const { cache } = cacheOn(server());
    const loader = heldLoader<string>();
    const loading = cache.getOrSet('k', loader.load, options);
    await loader.began;
    await cache.put('k', 'put');
    const after = Promise.race([cache.getOrSet('k', () => 'never'), sleep(500, 'waits for the old load')]);
    expect(await after).toBe('put');
    loader.give('loaded');
    expect(await loading).toBe('loaded');
  });

  test('is followed by another, for those who ask after the change', async () => {
    const { cache } = cacheOn(server());
    const [before, after] = [heldLoader<string>(), heldLoader<string>()];
    const first = cache.getOrSet('k', before.load);
    await before.began;
    await cache.remove('k');
    const second = cache.getOrSet('k', after.load);
    await after.began;
    const third = cache.getOrSet('k', () => 'never');
    after.give('after');
    expect(await Promise.all([second, third])).toEqual(['after', 'after']);
    before.give('before');
    expect(await first).toBe('before');
    expect(await cache.get('k')).toBe('after');
  });
});

describe('a refresh in the background during which the key was changed', () => {
  test.each(CHANGES)('by %s is not stored', async (_, change, left) => {
    const { cache, pool, name } = cacheOn(server());
    await cache.put('k', 'old', { ttl: 20, grace: '1m', tags: ['t'] });
    await eventually(async () => (await pool.pTTL(name('k'))) < 59_990);
    const loader = heldLoader<string>();
    expect(await cache.getOrSet('k', loader.load, { grace: '1m', tags: ['t'] })).toBe('old');
    await loader.began;
    await change(cache);
    loader.give('loaded');
    await sleep(20);
    expect(await cache.get('k')).toBe(left);
  });
});

describe('other keys', () => {
  test('are not concerned by a pattern, or a tag, that is not theirs', async () => {
    const { cache } = cacheOn(server());
    const loader = heldLoader<string>();
    const loading = cache.getOrSet('k', loader.load, { tags: ['t'] });
    await loader.began;
    await Promise.all([
      cache.removeByPattern('x*'),
      cache.remove('kk'),
      cache.removeByPattern('k?'),
      cache.removeByTag('u'),
    ]);
    await cache.put('x', 1);
    loader.give('loaded');
    await loading;
    expect(await cache.get('k')).toBe('loaded');
  });
});

describe('many callers, changes and loads at once', () => {
  test.each([false, true])('never leave a value that is older than the last change (lock: %s)', async (lock) => {
    const { cache } = await localCacheOn(server(), {}, { pool: { lanes: 4 } });
    const source = new Map<string, number>();
    const keys = Array.from({ length: 30 }, () => newName('key'));
    const work = async (key: string) => {
      for (let version = 1; version <= 15; version++) {
        source.set(key, version);
        const load = async () => {
          const read = source.get(key);
          await sleep(Math.random() * 3);
          return read;
        };
        const calls = [1, 2, 3].map(() => cache.getOrSet(key, load, { lock }));
        if (version % 2 === 0) await sleep(Math.random() * 3);
        source.set(key, version + 0.5);
        await (version % 3 === 0 ? cache.removeByPattern(`${key}*`) : cache.remove(key));
        await Promise.all(calls);
        const seen = await cache.getOrSet(key, load, { lock });
        if (seen !== version + 0.5) throw new Error(`${key}: ${seen} after ${version + 0.5} was made`);
      }
    };
    expect(await failure(Promise.all(keys.map(work)))).toBeUndefined();
  });
});
