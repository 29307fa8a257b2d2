import { Keyv } from 'keyv';
import { describe, expect, test } from 'vitest';
import type { RedisPool } from '../../src/index.js';
import { KeyvLagoon } from '../../src/keyv/index.js';
import { engineOn, failure } from '../support/engine.js';
import { freePort } from '../support/redis.js';
import { entries, storeIn } from './support.js';

async function poolOnNothing(): Promise<RedisPool> {
  return engineOn(`127.0.0.1:${await freePort()}`, { commandTimeout: '200ms', connectTimeout: '200ms' }).getRedis();
}

describe('an error of Redis', () => {
  test('is a rejection of every method', async () => {
    const store = storeIn(await poolOnNothing(), 'keyv');
    const calls = [
      store.get('k'),
      store.getMany(['k', 'l']),
      store.set('k', 'v'),
      store.setMany([{ key: 'k', value: 'v' }]),
      store.delete('k'),
      store.deleteMany(['k', 'l']),
      store.has('k'),
      store.hasMany(['k', 'l']),
      store.clear(),
      entries(store),
    ];
    for (const error of await Promise.all(calls.map((call) => failure(call as Promise<unknown>)))) {
      expect(error?.code).toMatch(/^LAGOON_/);
    }
  });

  test('is an event of the Keyv, once, where that swallows it', async () => {
    const keyv = new Keyv({ store: new KeyvLagoon(await poolOnNothing()) });
    const told: unknown[] = [];
    keyv.on('error', (error: { code?: string }) => told.push(error.code));
    expect(await keyv.get('key')).toBeUndefined();
    expect(told).toEqual([expect.stringMatching(/^LAGOON_/)]);
    expect(await keyv.set('key', 'value')).toBe(false);
    expect(told).toHaveLength(2);
    expect(await keyv.setMany([{ key: 'key', value: 'value' }])).toEqual([false]);
    expect(told).toHaveLength(3);
    expect(await keyv.delete('key')).toBe(false);
    expect(told).toHaveLength(4);
    expect(await keyv.deleteMany(['key'])).toBe(false);
    expect(told).toHaveLength(5);
    await keyv.clear();
    expect(told).toHaveLength(6);
  });

  test('is thrown by a Keyv with throwOnErrors', async () => {
    const keyv = new Keyv({ store: new KeyvLagoon(await poolOnNothing()), throwOnErrors: true });
    const calls = [
      keyv.get('key'),
      keyv.set('key', 'value'),
      keyv.setMany([{ key: 'key', value: 'value' }]),
      keyv.delete('key'),
      keyv.deleteMany(['key']),
      keyv.clear(),
    ];
    for (const error of await Promise.all(calls.map((call) => failure(call as Promise<unknown>)))) {
      expect(error?.code).toMatch(/^LAGOON_/);
    }
  });

  test('is thrown by every Keyv where that has no other answer', async () => {
    const keyv = new Keyv({ store: new KeyvLagoon((await poolOnNothing()).withTimeout('100ms')) });
    const calls = [keyv.getMany(['key']), keyv.has('key'), keyv.hasMany(['key']), keyv.iterator?.(undefined).next()];
    for (const error of await Promise.all(calls.map((call) => failure(call as Promise<unknown>)))) {
      expect(error?.code).toMatch(/^LAGOON_/);
    }
  });

  test('is no longer told to who stopped to listen', async () => {
    const store = storeIn(await poolOnNothing(), 'keyv');
    const told: unknown[] = [];
    const listener = (error: unknown) => void told.push(error);
    store.on('error', listener).off('error', listener);
    expect(await failure(store.get('key'))).toBeDefined();
    expect(told).toEqual([]);
  });
});

test('many Keyvs on one store are no leak to warn of', async () => {
  const warnings: Error[] = [];
  const listener = (warning: Error) => void warnings.push(warning);
  process.on('warning', listener);
  const store = new KeyvLagoon(await poolOnNothing());
  for (let i = 0; i < 20; i++) new Keyv({ store });
  await new Promise(setImmediate);
  process.off('warning', listener);
  expect(warnings).toEqual([]);
});

describe('what can never be right is refused', () => {
  test.each<[string, unknown, RegExp]>([
    ['a misspelt option', { prefx: 'a' }, /"prefx" is not an option of KeyvLagoon; did you mean "prefix"/],
    ['an option of another store', { keyPrefix: 'a' }, /did you mean "prefix"/],
    ['options that are text', 'app:', /KeyvLagoon takes an object/],
    ['options that are null', null, /KeyvLagoon takes an object/],
    ['a prefix that UTF-8 cannot hold', { prefix: 'a\ud800' }, /lone surrogate/],
  ])('%s', async (_, options, message) => {
    const pool = await poolOnNothing();
    expect(() => new KeyvLagoon(pool, options as never)).toThrow(message);
  });

  test('a key that UTF-8 cannot hold, by every method', async () => {
    const store = storeIn(await poolOnNothing(), 'keyv');
    const key = 'user:\ud800';
    const calls = [
      () => store.get(key),
      () => store.getMany(['fine', key]),
      () => store.set(key, 'v'),
      () => store.setMany([{ key, value: 'v' }]),
      () => store.delete(key),
      () => store.deleteMany([key]),
      () => store.has(key),
      () => store.hasMany([key]),
    ];
    for (const call of calls) {
      const error = await failure(call() as Promise<unknown>);
      expect(error, String(call)).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
      expect(error?.message).toMatch(/lone surrogate/);
    }
  });
});
