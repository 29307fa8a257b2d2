import { type Cache, createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { beforeEach, describe, expect, test } from 'vitest';
import { Registry } from '../../src/index.js';
import { KeyvLagoon } from '../../src/keyv/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { PlainKeyv, usePool } from './support.js';

const server = useRedis();
const pool = usePool(() => new Registry().registerRedis(server().address));

beforeEach(() => pool().flushAll());

function keyvOnPool(): Keyv {
  return new PlainKeyv({ store: new KeyvLagoon(pool()), namespace: 'cache' });
}

describe('cache-manager on a pool', () => {
  let cache: Cache;
  beforeEach(() => {
    cache = createCache({ stores: [keyvOnPool()] });
  });

  test('keeps values in Redis, with their ttl', async () => {
    await cache.set('user', { name: 'ada' }, 60_000);
    expect(await cache.get('user')).toEqual({ name: 'ada' });
    expect(await pool().pTTL('cache::user')).toBeGreaterThan(0);
    expect(await cache.ttl('user')).toBeGreaterThan(Date.now());
    expect(await createCache({ stores: [keyvOnPool()] }).get('user')).toEqual({ name: 'ada' });
    expect(await cache.get('nobody')).toBeUndefined();
  });

  test('forgets a value when its ttl is over', async () => {
    await cache.set('user', 'ada', 50);
    await eventually(async () => expect(await pool().exists('cache::user')).toBe(0));
    expect(await cache.get('user')).toBeUndefined();
  });

  test('reads, writes and removes many at once', async () => {
    await cache.mset([
      { key: 'a', value: 1 },
      { key: 'b', value: 2, ttl: 60_000 },
    ]);
    expect(await cache.mget(['a', 'none', 'b'])).toEqual([1, undefined, 2]);
    await cache.mdel(['a', 'b']);
    expect(await pool().keys('*')).toEqual([]);
  });

  test('wrap loads once, and what is stored serves from then on', async () => {
    let loads = 0;
    const load = async () => ({ loaded: ++loads });
    const first = await Promise.all(Array.from({ length: 20 }, () => cache.wrap('report', load, 60_000)));
    expect(first).toEqual(Array(20).fill({ loaded: 1 }));
    expect(await createCache({ stores: [keyvOnPool()] }).wrap('report', load, 60_000)).toEqual({ loaded: 1 });
    await cache.del('report');
    expect(await cache.wrap('report', load, 60_000)).toEqual({ loaded: 2 });
  });

  test('clears what is its own', async () => {
    await pool().set('other', 'value');
    await cache.mset([
      { key: 'a', value: 1 },
      { key: 'b', value: 2 },
    ]);
    await cache.clear();
    expect(await pool().keys('*')).toEqual(['other']);
  });

  test('leaves the pool open when it disconnects', async () => {
    await cache.disconnect();
    expect(await failure(pool().ping())).toBeUndefined();
  });

  test('serves from memory what the pool has lost', async () => {
    const tiers = createCache({ stores: [new Keyv(), keyvOnPool()] });
    await cache.set('user', 'ada', 60_000);
    expect(await tiers.wrap('user', () => 'loaded', 60_000)).toBe('ada');
    await pool().flushAll();
    expect(await cache.get('user')).toBeUndefined();
    expect(await tiers.get('user')).toBe('ada');
  });
});
