import { expect, test } from 'vitest';
import type { Cache, CacheOptions } from '../../src/index.js';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

interface User {
  name: string;
}

const ADA: User = { name: 'Ada' };
const GRACE: User = { name: 'Grace' };

/** Values in Redis: put, get, remove, patterns, tags. */
export function cache(site: Site): void {
  /** A cache of its own, as two processes have it. */
  const open = <T = User>(options: CacheOptions<T> = {}): { here: Cache<T>; elsewhere: Cache<T>; prefix: string } => {
    const prefix = site.key('cache').slice(1, -1);
    const [here, elsewhere] = [site.redis, site.elsewhere].map((redis) =>
      redis.getCache<T>({ ttl: '1m', ...options, prefix }),
    );
    return { here: here as Cache<T>, elsewhere: elsewhere as Cache<T>, prefix };
  };

  test('what one process puts, all get', async () => {
    const { here, elsewhere, prefix } = open<User | null>();
    await here.put('1', ADA);
    await here.put('nobody', null);
    expect(await elsewhere.get('1')).toEqual(ADA);
    expect(await elsewhere.get('nobody')).toBeNull();
    expect(await elsewhere.get('2')).toBeUndefined();
    expect([await elsewhere.has('1'), await elsewhere.has('2')]).toEqual([true, false]);
    expect(here.prefix()).toBe(prefix);
    expect(await site.redis.exists(`${prefix}#1`)).toBe(1);
    expect(elsewhere.stats()).toMatchObject({ remoteHits: 3, misses: 2 });
  });

  test('a ttl of the cache, or of a value', async () => {
    const { here, prefix } = open();
    await here.put('long', ADA);
    await here.put('short', GRACE, 1_000);
    expect(await site.redis.pTTL(`${prefix}#long`)).toBeGreaterThan(50_000);
    expect(await here.get('short')).toEqual(GRACE);
    await eventually(async () => (await here.get('short')) === undefined);
    expect(await here.get('long')).toEqual(ADA);
  });

  test('many at once, wherever they are', async () => {
    const { here, elsewhere } = open<number>();
    const keys = Array.from({ length: 200 }, (_, i) => `user:${i}`);
    await here.putMany(keys.map((key, i) => [key, i]));
    expect(await elsewhere.getMany([...keys, 'none'])).toEqual([...keys.keys(), undefined]);
    expect((await here.keys()).sort()).toEqual([...keys].sort());
    expect((await here.keys('user:1?')).sort()).toEqual(keys.slice(10, 20).sort());
    expect(await elsewhere.removeByPattern('user:1*')).toBe(111);
    expect(await here.get('user:17')).toBeUndefined();
    expect(await here.get('user:27')).toBe(27);
    expect(await here.clear()).toBe(89);
    await here.putMany(keys.map((key, i) => [key, i]));
    expect(await elsewhere.remove([...keys.slice(50), 'none', 'user:*'])).toBe(150);
    expect(await here.getMany(['user:49', 'user:50'])).toEqual([49, undefined]);
    expect(await here.clear()).toBe(50);
    expect(await here.keys()).toEqual([]);
  });

  test('remove and getDel', async () => {
    const { here, elsewhere } = open();
    await here.put('1', ADA);
    expect(await elsewhere.remove('1')).toBe(1);
    expect(await elsewhere.remove('1')).toBe(0);
    await here.put('2', GRACE);
    const taken = await Promise.all([here.getDel('2'), elsewhere.getDel('2'), here.getDel('2')]);
    expect(taken.filter((value) => value !== undefined)).toEqual([GRACE]);
  });

  test('keys of other caches are left alone, whatever the prefix holds', async () => {
    const { here } = open();
    const prefix = `${site.key('glob').slice(1, -1)}[*]?`;
    const odd = site.redis.getCache<number>({ prefix, ttl: '1m' });
    await here.put('1', ADA);
    await odd.put('a*b', 1);
    await odd.put('axb', 2);
    expect((await odd.keys()).sort()).toEqual(['a*b', 'axb']);
    expect(await odd.clear()).toBe(2);
    expect(await here.get('1')).toEqual(ADA);
  });

  test('tags void what has them, in all processes', async () => {
    const { here, elsewhere } = open<string>();
    await here.put('/ada', 'about Ada', { tags: ['user:1'] });
    await elsewhere.put('/ada/orders', 'her orders', { tags: ['user:1', 'orders'] });
    await here.put('/grace/orders', 'other orders', { tags: ['user:2', 'orders'] });
    const paths = ['/ada', '/ada/orders', '/grace/orders'];
    expect(await here.getMany(paths)).toEqual(['about Ada', 'her orders', 'other orders']);
    await elsewhere.removeByTag('user:1');
    expect(await here.getMany(paths)).toEqual([undefined, undefined, 'other orders']);
    await here.put('/ada', 'anew', { tags: ['user:1'] });
    expect(await elsewhere.get('/ada')).toBe('anew');
    await here.removeByTag('orders');
    expect(await elsewhere.getMany(paths)).toEqual(['anew', undefined, undefined]);
  });
}
