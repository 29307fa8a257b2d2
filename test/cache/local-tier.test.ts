import { setTimeout as sleep } from 'node:timers/promises';
import createDebug from 'debug';
import { describe, expect, test } from 'vitest';
import { bufferCodec, type Codec, compressed, jsonCodec, stringCodec } from '../../src/index.js';
import { connectionsOf } from '../pool/support.js';
import { engineOn, failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { cacheOn, expectBetween, isUp, localCacheOn, newName, poolOn, servedLocally, warm } from './support.js';

const server = useRedis();

describe('a value in this process', () => {
  test('is served without asking Redis', async () => {
    const { cache, name } = await localCacheOn(server());
    await cache.put('k', { a: 1 });
    await warm(cache, 'k');
    await server().cli('CONFIG', 'RESETSTAT');
    for (let i = 0; i < 100; i++) expect(await cache.get('k')).toEqual({ a: 1 });
    expect(await cache.getMany(['k', 'k'])).toEqual([{ a: 1 }, { a: 1 }]);
    expect(await cache.has('k')).toBe(true);
    expect(await cache.getOrSet('k', () => 'never')).toEqual({ a: 1 });
    const stats = String(await server().cli('INFO', 'commandstats'));
    expect(stats).not.toMatch(/cmdstat_p?(get|ttl):/);
    expect(await server().cli('GET', name('k'))).toBe('{"a":1}');
    expect(cache.stats()).toMatchObject({ localHits: 105, loads: 0, items: 1 });
  });

  test('null is one', async () => {
    const { cache } = await localCacheOn(server());
    await cache.put('k', null);
    await warm(cache, 'k');
    expect(await cache.get('k')).toBeNull();
    expect(await cache.getOrSet('k', () => 'never')).toBeNull();
  });

  test('is not kept where there was none', async () => {
    const { cache, name } = await localCacheOn(server());
    expect(await cache.get('k')).toBeUndefined();
    expect(cache.stats().items).toBe(0);
    await server().cli('SET', name('k'), '1');
    expect(await cache.get('k')).toBe(1);
  });

  test('is never served past its TTL, even where the server is busy with 200,000 others', async () => {
    const { cache, pool, name } = await localCacheOn(server());
    await pool.eval(`for i = 1, 200000 do redis.call('SET', 'volatile:' .. i, 'x', 'PX', 20 + i % 400) end`);
    const late: number[] = [];
    const follow = async (key: string, ttl: number) => {
      await cache.put(key, 'v', ttl);
      // It cannot be there any longer after that, whatever the server gets round to remove and to tell.
      const over = performance.now() + ttl;
      for (;;) {
        const askedAt = performance.now();
        const value = await cache.get(key);
        if (value === undefined) break;
        if (askedAt > over + 1) late.push(askedAt - over);
        await sleep(1);
      }
    };
    await Promise.all(Array.from({ length: 50 }, (_, i) => follow(`key${i}`, 100 + 8 * i)));
    expect(late).toEqual([]);
    expect(cache.stats().localHits).toBeGreaterThan(500);
    await server().cli('PING', name(''));
  });

  test('is not kept longer than it has left, if it was there before', async () => {
    const { cache } = await localCacheOn(server());
    await cache.put('k', 'v', 800);
    const over = performance.now() + 800;
    await sleep(400);
    await warm(cache, 'k');
    await eventually(async () => (await cache.get('k')) === undefined, { interval: 1 });
    expect(performance.now()).toBeLessThan(over + 300);
  });

  test('is asked for again after local.ttl', async () => {
    const { cache, count } = await localCacheOn(server(), { local: { ttl: 60 }, ttl: '1h' });
    await cache.put('k', 'v');
    const keptAt = performance.now();
    await warm(cache, 'k');
    await eventually(async () => !(await servedLocally(cache, 'k')), { interval: 1 });
    expect(performance.now() - keptAt).toBeGreaterThanOrEqual(59);
    await warm(cache, 'k');
    expect(count('local-down')).toBe(0);
  });

  test('with local.ttl is not refreshed early before its end in Redis is near', async () => {
    const { cache, name } = await localCacheOn(server(), { local: { ttl: 50 }, ttl: '1h' });
    const options = { earlyRefresh: true };
    const load = () => sleep(100, 'v');
    await cache.getOrSet('k', load, options);
    const from = performance.now();
    while (performance.now() - from < 200) {
      await cache.getOrSet('k', load, options);
      await sleep(1);
    }
    expect(cache.stats().localHits).toBeGreaterThan(0);
    expect(cache.stats().loads).toBe(1);
    expect(await server().cli('EXISTS', name('k'))).toBe(1);
  });
});

describe('its bounds', () => {
  test('maxItems: the least recently used goes, and is counted', async () => {
    const { cache } = await localCacheOn(server(), { local: { maxItems: 3 } });
    for (const key of ['a', 'b', 'c']) {
      await cache.put(key, key);
      await warm(cache, key);
    }
    await cache.get('a');
    await cache.put('d', 'd');
    await warm(cache, 'd');
    expect(cache.stats()).toMatchObject({ items: 3, evictions: 1 });
    expect(await servedLocally(cache, 'a')).toBe(true);
    expect(await servedLocally(cache, 'b')).toBe(false);
  });

  test('maxBytes: as many as fit, with all that is kept of them counted', async () => {
    const { cache } = await localCacheOn(server(), { codec: stringCodec, local: { maxBytes: 4_000 } });
    for (let i = 0; i < 5; i++) {
      await cache.put(`k${i}`, 'x'.repeat(1_000));
      await cache.get(`k${i}`);
      await cache.get(`k${i}`);
    }
    expect(cache.stats()).toMatchObject({ items: 3, evictions: 2 });
    expectBetween(cache.stats().bytes, 3_000, 4_000);
  });

  test('a value that is bigger than all is served, and drives nothing out', async () => {
    const { cache } = await localCacheOn(server(), { codec: stringCodec, local: { maxBytes: 1_000 } });
    await cache.put('small', 'x');
    await warm(cache, 'small');
    await cache.put('big', 'y'.repeat(1_001));
    expect(await cache.get('big')).toHaveLength(1_001);
    expect(await servedLocally(cache, 'big')).toBe(false);
    expect(await servedLocally(cache, 'small')).toBe(true);
    expect(cache.stats()).toMatchObject({ items: 1, evictions: 0 });
  });

  test('a value that is compressed is kept as it is stored, not decoded as well', async () => {
    const codec = compressed(stringCodec);
    const { cache } = await localCacheOn<string>(server(), { codec, local: { maxBytes: 100_000 } });
    await cache.put('k', 'lorem ipsum '.repeat(100_000));
    await warm(cache, 'k');
    expect(await cache.get('k')).toHaveLength(1_200_000);
    expectBetween(cache.stats().bytes, 1_000, 20_000);
  });

  test.each<[string, unknown, number]>([
    ['many small objects', Array.from({ length: 1_000 }, () => ({})), 56_000],
    ['two-byte text', 'я'.repeat(10_000), 20_000],
    ['fractions', Array.from({ length: 1_000 }, (_, i) => i + 0.5), 24_000],
    ['objects with names of their own', Array.from({ length: 100 }, (_, i) => ({ [`name ${i}`]: i })), 20_000],
  ])('%s count as what they take in memory, more than in Redis', async (_, value, atLeast) => {
    const { cache } = await localCacheOn(server());
    await cache.put('k', value as object);
    await warm(cache, 'k');
    expectBetween(cache.stats().bytes, atLeast, 3 * atLeast);
  });

  test('long keys and tags count too', async () => {
    const { cache } = await localCacheOn(server());
    await cache.put('k'.repeat(50_000), 1, { tags: ['t'.repeat(40_000)] });
    await warm(cache, 'k'.repeat(50_000));
    expect(cache.stats().bytes).toBeGreaterThan(90_000);
  });

  test('a small Buffer keeps no larger one alive', async () => {
    const { cache } = await localCacheOn<Buffer>(server(), { codec: bufferCodec, local: { maxBytes: 2_000 } });
    for (let i = 0; i < 10; i++) {
      await cache.put(`k${i}`, Buffer.alloc(10, i));
      await warm(cache, `k${i}`);
    }
    expectBetween(cache.stats().items, 2, 4);
  });
});

describe('JSON that is nested 20,000 deep', () => {
  const deep = `${'['.repeat(20_000)}1${']'.repeat(20_000)}`;

  test('is read, kept and frozen', async () => {
    const { cache, pool, name } = await localCacheOn(server());
    await pool.set(name('k'), deep);
    await warm(cache, 'k');
    let depth = 0;
    for (let part = await cache.get('k'); Array.isArray(part); part = part[0] as unknown) {
      if (!Object.isFrozen(part)) throw new Error(`not frozen at ${depth}`);
      depth++;
    }
    expect(depth).toBe(20_000);
  });

  test('is refused by put if it cannot be encoded, and harms nothing', async () => {
    const { cache } = await localCacheOn(server());
    const error = await failure(cache.put('k', JSON.parse(deep) as object));
    if (error) expect(error).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    else await warm(cache, 'k');
  });
});

describe('what callers are given', () => {
  test('JSON is frozen all through', async () => {
    const { cache } = await localCacheOn<{ list: { deep: number[] }[] }>(server());
    await cache.put('k', { list: [{ deep: [1] }] });
    for (let i = 0; i < 3; i++) {
      const value = (await cache.get('k')) as { list: { deep: number[] }[] };
      expect(() => value.list[0]?.deep.push(2)).toThrow(TypeError);
      expect(() => value.list.pop()).toThrow(TypeError);
      expect(() => Object.assign(value, { more: 1 })).toThrow(TypeError);
    }
    expect(await cache.get('k')).toEqual({ list: [{ deep: [1] }] });
  });

  test.each<[string, Codec<Buffer>]>([
    ['Buffers', bufferCodec],
    ['Buffers that compressed() left as they are', compressed(bufferCodec)],
    ['Buffers of a codec that gives a part of what it is given', part(2)],
  ])('%s are copies', async (_, codec) => {
    const { cache } = await localCacheOn<Buffer>(server(), { codec });
    await cache.put('k', Buffer.from('value'));
    for (let i = 0; i < 3; i++) {
      const value = (await cache.get('k')) as Buffer;
      expect(value.toString()).toBe('value');
      value.fill('x');
    }
    const loaded = await cache.getOrSet('k', () => Buffer.from('other'));
    expect(loaded.toString()).toBe('value');
    loaded.fill('x');
    expect((await cache.get('k'))?.toString()).toBe('value');
  });

  test('objects of a codec of their own are made anew, and may be changed', async () => {
    const dates: Codec<Date> = { encode: (date) => date.toISOString(), decode: (text) => new Date(text) };
    const { cache } = await localCacheOn<Date>(server(), { codec: dates });
    await cache.put('k', new Date(5));
    for (let i = 0; i < 3; i++) {
      const date = (await cache.get('k')) as Date;
      expect(date.getTime()).toBe(5);
      date.setTime(7);
    }
  });

  test('what a loader gave is not frozen under its feet', async () => {
    const { cache } = await localCacheOn(server());
    const own = { n: 1 };
    await cache.getOrSet('k', () => own);
    await warm(cache, 'k');
    own.n = 2;
    expect(await cache.get('k')).toEqual({ n: 1 });
  });
});

describe('the connection that tracks', () => {
  test('is one of the pool, and close() gives it back while the cache works on', async () => {
    const { cache, pool, count } = await localCacheOn(server(), {}, { clientName: 'tracks', pool: { max: 2 } });
    await cache.put('k', 1);
    await warm(cache, 'k');
    expect(await connectionsOf(server(), 'tracks')).toHaveLength(2);
    cache.close();
    await eventually(async () => (await connectionsOf(server(), 'tracks')).length === 1);
    expect(cache.stats()).toMatchObject({ items: 0, bytes: 0 });
    expect(await servedLocally(cache, 'k')).toBe(false);
    expect(await cache.get('k')).toBe(1);
    await cache.put('k', 2);
    expect(await cache.get('k')).toBe(2);
    cache.close();
    expect(count('local-up')).toBe(1);
    expect(pool.stats().leases.inUse).toBe(0);
  });

  test('close() before it is there leaves none', async () => {
    const pool = poolOn(server(), { clientName: 'closes-early' });
    const cache = pool.getCache({ prefix: newName(), local: true });
    cache.close();
    await cache.put('k', 1);
    expect(await cache.get('k')).toBe(1);
    await eventually(() => pool.stats().leases.inUse === 0 && pool.stats().leases.waiting === 0);
    expect(cache.stats().localHits).toBe(0);
  });

  test('while the pool has no place for it, everything works without; it comes up as soon as there is one', async () => {
    const pool = poolOn(server(), { pool: { max: 2, acquireTimeout: 50 } });
    await pool.ping();
    const events: string[] = [];
    const onEvent = ({ type }: { type: string }) => events.push(type);
    const cache = await pool.isolated(async (own) => {
      await own.ping();
      const waiting = pool.getCache({ prefix: newName(), local: true, onEvent });
      await waiting.put('k', 1);
      const from = performance.now();
      while (performance.now() - from < 200) expect(await waiting.get('k')).toBe(1);
      expect(await waiting.getOrSet('other', () => 2)).toBe(2);
      expect(waiting.stats()).toMatchObject({ localHits: 0, items: 0 });
      expect(events).toEqual([]);
      return waiting;
    });
    await eventually(() => events.includes('local-up'));
    await warm(cache, 'k');
  });

  test('a server that refuses to track leaves the cache without its local tier', async () => {
    await server().cli('ACL', 'SETUSER', 'restricted', 'on', '>pw', '~*', '&*', '+@all', '-client|tracking');
    const probe = cacheOn(server(), { local: true }, { username: 'restricted', password: 'pw' });
    await probe.cache.put('k', 1);
    await sleep(100);
    expect(await probe.cache.get('k')).toBe(1);
    expect(probe.cache.stats().localHits).toBe(0);
    expect(probe.count('local-up')).toBe(0);
    await server().cli('ACL', 'SETUSER', 'restricted', '+client|tracking');
    await isUp(probe);
    await warm(probe.cache, 'k');
  });

  test('a cache made after the engine was closed does not try to connect for ever', async () => {
    const engine = engineOn(server().address);
    await engine.getRedis().ping();
    await engine.close();
    const lines: string[] = [];
    const { log } = createDebug;
    createDebug.log = (line: string) => void lines.push(line);
    createDebug.enable('lagoon:cache');
    try {
      const cache = engine.getRedis().getCache({ local: true });
      expect(await failure(cache.get('k'))).toMatchObject({ code: 'LAGOON_CLOSED' });
      await sleep(250);
      expect(lines.length).toBeLessThan(2);
      cache.close();
    } finally {
      createDebug.disable();
      createDebug.log = log;
    }
  });
});

// A codec that decodes to a view of the very bytes that it is given.
function part(header: number): Codec<Buffer> {
  return {
    binary: true,
    encode: (value) => Buffer.concat([Buffer.alloc(header, jsonCodec.encode(0)), value]),
    decode: (data) => data.subarray(header),
  };
}
