import { expect, test } from 'vitest';
import type { Cache, CacheEvent } from '../../src/index.js';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

/** The local tier, and what other processes change. */
export function cacheLocal(site: Site): void {
  /** A cache with a local tier that is up, and the same without one in another process. */
  async function open(): Promise<{ near: Cache<string>; far: Cache<string>; prefix: string }> {
    const prefix = site.key('local').slice(1, -1);
    const events: CacheEvent['type'][] = [];
    const onEvent = ({ type }: CacheEvent) => events.push(type);
    const near = site.redis.getCache<string>({ prefix, ttl: '1m', local: true, onEvent });
    await eventually(() => events.includes('local-up'));
    return { near, far: site.elsewhere.getCache<string>({ prefix, ttl: '1m' }), prefix };
  }

  /** Whether a read of each key is served from this process. */
  async function servedHere(cache: Cache<string>, keys: readonly string[]): Promise<boolean> {
    const before = cache.stats().localHits;
    await cache.getMany(keys);
    return cache.stats().localHits === before + keys.length;
  }

  const KEYS = Array.from({ length: 60 }, (_, i) => `key:${i}`);

  test('what was read stays in this process, until another one changes it', async () => {
    const { near, far } = await open();
    await far.putMany(KEYS.map((key) => [key, 'old']));
    await eventually(() => servedHere(near, KEYS));
    expect(near.stats().items).toBe(KEYS.length);
    await far.putMany(KEYS.map((key) => [key, 'new']));
    await eventually(async () => (await near.getMany(KEYS)).every((value) => value === 'new'));
    await far.removeByPattern('key:*');
    await eventually(async () => (await near.getMany(KEYS)).every((value) => value === undefined));
    near.close();
  });

  test('its own writes are seen at once', async () => {
    const { near } = await open();
    for (const value of ['one', 'two', 'three']) {
      await near.put('key', value);
      expect(await near.get('key')).toBe(value);
    }
    await near.remove('key');
    expect(await near.get('key')).toBeUndefined();
    near.close();
  });

  test('whatever changes a key is told: commands, transactions, scripts, expiry', async () => {
    const { near, far, prefix } = await open();
    const { elsewhere } = site;
    const changes: Record<string, (name: string) => Promise<unknown>> = {
      command: (name) => elsewhere.del(name),
      transaction: (name) => elsewhere.multi().del(name).exec(),
      script: (name) => elsewhere.eval("return redis.call('DEL', KEYS[1])", { keys: [name] }),
      expiry: (name) => elsewhere.pExpire(name, 1),
    };
    for (const key of Object.keys(changes)) await far.put(key, 'value');
    await eventually(() => servedHere(near, Object.keys(changes)));
    for (const [key, change] of Object.entries(changes)) {
      await change(`${prefix}#${key}`);
      await eventually(async () => (await near.get(key)) === undefined);
    }
    near.close();
  });

  test('getOrSet and tags', async () => {
    const { near, far } = await open();
    let loads = 0;
    const ask = () => near.getOrSet<string>('key', () => `loaded ${++loads}`, { tags: ['tag'], lock: true });
    expect(await ask()).toBe('loaded 1');
    await eventually(() => servedHere(near, ['key']));
    await far.removeByTag('tag');
    await eventually(async () => (await ask()) === 'loaded 2');
    await far.put('key', 'put');
    await eventually(async () => (await ask()) === 'put');
    expect(loads).toBe(2);
    near.close();
  });
}
