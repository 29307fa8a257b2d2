import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { commandCalls } from '../pool/support.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { startGate } from './gate.js';
import { cacheOn, expectBetween, localCacheOn, type Probe, poolOn, warm } from './support.js';

const server = useRedis();
const DAY_MS = 24 * 3_600_000;

/** The keys in Redis that hold versions of tags of a cache. */
function versionKeys({ pool, prefix }: Probe<unknown>): Promise<string[]> {
  return pool.keys(`lagoon:tags:${prefix}#*`);
}

describe.each([false, true])('tags (local: %s)', (local) => {
  const open = (prefix?: string) => {
    const options = prefix === undefined ? {} : { prefix };
    return local ? localCacheOn(server(), options) : Promise.resolve(cacheOn(server(), options));
  };

  test('removeByTag voids what has the tag, and nothing else', async () => {
    const { cache } = await open();
    await cache.put('a', 1, { tags: ['red', 'round'] });
    await cache.put('b', 2, { tags: ['round'] });
    await cache.put('c', 3, { tags: ['blue'] });
    await cache.put('d', 4);
    await cache.getOrSet('e', () => 5, { tags: ['red'] });
    for (const key of ['a', 'b', 'c', 'd', 'e']) expect(await cache.get(key)).toBeDefined();
    await cache.removeByTag('red');
    expect(await cache.getMany(['a', 'b', 'c', 'd', 'e'])).toEqual([undefined, 2, 3, 4, undefined]);
    await cache.removeByTag('round');
    await cache.removeByTag('unknown');
    expect(await cache.getMany(['a', 'b', 'c', 'd', 'e'])).toEqual([undefined, undefined, 3, 4, undefined]);
  });

  test('a value that is put again with the tag stands', async () => {
    const { cache } = await open();
    for (let i = 0; i < 20; i++) {
      await cache.put('k', i, { tags: ['t'] });
      expect(await cache.get('k')).toBe(i);
      await cache.removeByTag('t');
      expect(await cache.get('k')).toBeUndefined();
      expect(await cache.has('k')).toBe(false);
    }
  });

  test('a value that is put again without the tag is not concerned by it', async () => {
    const { cache } = await open();
    await cache.put('k', 1, { tags: ['t'] });
    await cache.get('k');
    await cache.put('k', 2);
    await cache.get('k');
    await cache.removeByTag('t');
    expect(await cache.get('k')).toBe(2);
  });

  test('another engine sees it', async () => {
    const one = await open();
    const two = await open(one.prefix);
    for (let i = 0; i < 20; i++) {
      await one.cache.put('k', i, { tags: ['t'] });
      await eventually(async () => (await two.cache.get('k')) === i);
      if (local) await warm(two.cache, 'k');
      await one.cache.removeByTag('t');
      await eventually(async () => (await two.cache.get('k')) === undefined);
      expect(await one.cache.get('k')).toBeUndefined();
    }
  });

  test.each<[string, (probe: Probe<unknown>) => Promise<unknown>]>([
    ['deleted', async (probe) => probe.pool.del(await versionKeys(probe))],
    ['expired', async (probe) => Promise.all((await versionKeys(probe)).map((key) => probe.pool.pExpire(key, 1)))],
    ['evicted with all others', (probe) => probe.pool.flushAll()],
  ])('a version that is %s is a miss, and no old value ever comes back', async (_, lose) => {
    const probe = await open();
    const { cache, pool, name } = probe;
    await cache.put('old', 'old', { tags: ['t'] });
    await cache.get('old');
    const stored = (await pool.get(name('old'))) as string;
    await lose(probe);
    await eventually(async () => (await cache.get('old')) === undefined);
    // Another value gives the tag a version again.
    await cache.put('new', 'new', { tags: ['t'] });
    await pool.set(name('old'), stored);
    expect(await cache.get('new')).toBe('new');
    expect(await cache.get('old')).toBeUndefined();
    expect(await cache.getDel('old')).toBeUndefined();
  });

  test('a put that races with removeByTag leaves either nothing or what came after', async () => {
    const { cache } = await open();
    for (let round = 0; round < 50; round++) {
      await cache.put('k', 'old', { tags: ['t', 'u'] });
      await cache.get('k');
      await Promise.all([cache.removeByTag('t'), cache.put('k', `new${round}`, { tags: ['t', 'u'] }), cache.get('k')]);
      expect([undefined, `new${round}`]).toContain(await cache.get('k'));
    }
  });

  test('a value whose versions were asked for before removeByTag is void if it is stored after it', async () => {
    const gate = await startGate(server());
    const { cache, name } = cacheOn(gate, { local }, { pool: { lanes: 4 } });
    await cache.put('k', 'first', { tags: ['t'] });
    const other = poolOn(server()).getCache({ prefix: cache.prefix() });
    const held = gate.holdCommand('SET', name('k'));
    const writing = cache.put('k', 'late', { tags: ['t'] });
    await held.reached;
    await other.removeByTag('t');
    held.release();
    await writing;
    expect(await other.get('k')).toBeUndefined();
    expect(await cache.get('k')).toBeUndefined();
  });

  test('a load that began before removeByTag in another process does not stand', async () => {
    const one = await open();
    const two = await open(one.prefix);
    const loading = one.cache.getOrSet(
      'k',
      async () => {
        await two.cache.removeByTag('t');
        return 'read before';
      },
      { tags: ['t'] },
    );
    expect(await loading).toBe('read before');
    expect(await one.cache.get('k')).toBeUndefined();
    expect(await two.cache.get('k')).toBeUndefined();
  });
});

describe('in Redis', () => {
  test('removeByTag is one command, however many values have the tag', async () => {
    const { cache } = cacheOn(server());
    const entries = Array.from({ length: 2_000 }, (_, i) => [`k${i}`, i] as const);
    await cache.putMany(entries, { tags: ['t'] });
    await server().cli('CONFIG', 'RESETSTAT');
    await cache.removeByTag('t');
    const { info: _info, config: _config, ...calls } = await commandCalls(server());
    expect(calls).toMatchObject({ unlink: 1 });
    expect(Object.values(calls).reduce((sum, n) => sum + n, 0)).toBeLessThanOrEqual(2);
    expect((await cache.getMany(entries.map(([key]) => key))).every((value) => value === undefined)).toBe(true);
  });

  test('a version outlives every value that has it', async () => {
    const probe = cacheOn(server());
    const { cache, pool } = probe;
    await cache.put('a', 1, { ttl: 1_000, tags: ['t'] });
    const [key = ''] = await versionKeys(probe);
    expectBetween(await pool.pTTL(key), 11_000, 22_000);
    await cache.put('b', 1, { ttl: 60_000, grace: 60_000, tags: ['t'] });
    expectBetween(await pool.pTTL(key), 130_000, 260_000);
    await cache.put('c', 1, { ttl: 1_000, tags: ['t'] });
    expectBetween(await pool.pTTL(key), 130_000, 260_000);
    await cache.put('d', 1, { tags: ['t'] });
    expectBetween(await pool.pTTL(key), 59 * DAY_MS, 60 * DAY_MS);
    expect(await cache.getMany(['a', 'b', 'c', 'd'])).toEqual([1, 1, 1, 1]);
    expect(await versionKeys(probe)).toHaveLength(1);
  });

  test.each<[string, (probe: Probe<unknown>) => Promise<unknown>]>([
    ['cleared', ({ cache }) => cache.clear()],
    ['removed', ({ cache }) => cache.removeByPattern('*')],
    ['replaced', ({ cache }) => cache.put('k', 'other')],
  ])('no version of a value that never expires stays for ever once it is %s', async (_, lose) => {
    const probe = cacheOn(server());
    const { cache, pool } = probe;
    await cache.put('k', 1, { tags: ['put'] });
    await cache.getOrSet('loaded', () => 1, { tags: ['loaded'], negativeTtl: '1s' });
    await lose(probe);
    const keys = await versionKeys(probe);
    expect(keys).toHaveLength(2);
    for (const key of keys) expectBetween(await pool.pTTL(key), 30 * DAY_MS, 60 * DAY_MS);
  });

  test.each([false, true])(
    'the version of a value that never expires is renewed when it is read (local: %s)',
    async (local) => {
      const one = cacheOn(server());
      await one.cache.put('k', 1, { tags: ['t'] });
      const [key = ''] = await versionKeys(one);
      await one.pool.pExpire(key, 5 * DAY_MS);
      const options = { prefix: one.prefix, local };
      const { cache } = local ? await localCacheOn(server(), options) : cacheOn(server(), options);
      expect(await cache.get('k')).toBe(1);
      await eventually(async () => (await one.pool.pTTL(key)) > 59 * DAY_MS);
      // In this process it is known to be renewed.
      await one.pool.pExpire(key, 5 * DAY_MS);
      expect(await cache.get('k')).toBe(1);
      expect(await cache.get('k')).toBe(1);
      await one.pool.ping();
      expectBetween(await one.pool.pTTL(key), 4 * DAY_MS, 5 * DAY_MS);
    },
  );

  test('the version of a value that expires is not renewed when it is read', async () => {
    const probe = cacheOn(server());
    const { cache, pool } = probe;
    await cache.put('k', 1, { ttl: '1m', tags: ['t'] });
    const [key = ''] = await versionKeys(probe);
    for (let i = 0; i < 3; i++) expect(await cache.get('k')).toBe(1);
    await pool.ping();
    expectBetween(await pool.pTTL(key), 70_000, 141_000);
  });

  test('tags are those of one cache', async () => {
    const { pool, cache } = cacheOn(server(), { prefix: 'one' });
    const other = pool.getCache({ prefix: 'other' });
    await Promise.all([cache.put('k', 1, { tags: ['t'] }), other.put('k', 2, { tags: ['t'] })]);
    await other.removeByTag('t');
    expect([await cache.get('k'), await other.get('k')]).toEqual([1, undefined]);
  });

  test('tags may hold any character, also on a pool with a keyPrefix', async () => {
    const { cache } = await localCacheOn(server(), {}, { keyPrefix: 'app:' });
    for (const tag of ['a#b', '*', '[x]', 'ä €', '__proto__', 'constructor', '{slot}']) {
      await cache.put('k', tag, { tags: [tag] });
      await warm(cache, 'k');
      expect(await cache.get('k')).toBe(tag);
      await cache.removeByTag(tag);
      expect(await cache.get('k')).toBeUndefined();
    }
  });

  test('a load that takes long and has tags is stored', async () => {
    const { cache } = cacheOn(server());
    await cache.getOrSet('k', () => sleep(60, 'v'), { ttl: 50, tags: ['t'] });
    expect(await cache.get('k')).toBe('v');
  });

  test('a tag that is none is refused', async () => {
    const { cache } = cacheOn(server());
    for (const tag of ['', 5, undefined, null]) {
      expect(await failure(cache.removeByTag(tag as string))).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    }
  });
});
