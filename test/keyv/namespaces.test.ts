import { beforeEach, describe, expect, test } from 'vitest';
import { InvalidArgumentError, Registry } from '../../src/index.js';
import { KeyvLagoon, type KeyvPool } from '../../src/keyv/index.js';
import { engineOn, failure } from '../support/engine.js';
import { useRedis } from '../support/redis.js';
import { entries, fill, names, PlainKeyv, storeIn, usePool } from './support.js';

const SPECIAL = ['a*b', 'a?b', 'a[b', 'a]b', '[a-z]', '[^a]', '*', '?', '[', ']', '\\', '\\*', '{x}', 'a\nb', 'é'];
const server = useRedis();
const pool = usePool(() => new Registry().registerRedis(server().address));

beforeEach(() => pool().flushAll());

describe('clear', () => {
  test('removes the namespace whole, and nothing else', async () => {
    await fill(storeIn(pool(), 'full'), 2_500);
    await storeIn(pool(), 'other').set('key', 'value');
    await storeIn(pool(), 'fuller').set('key', 'value');
    await storeIn(pool(), 'a::full').set('key', 'value');
    await storeIn(pool(), undefined).set('full', 'value');
    await pool().hSet('full::hash', 'of', 'somebody else');
    await storeIn(pool(), 'full').clear();
    expect(await names(pool())).toEqual(['a::full::key', 'full', 'full::hash', 'fuller::key', 'other::key']);
  });

  test('without a namespace removes what begins with the prefix', async () => {
    await storeIn(pool(), undefined, 'app:').set('key', 'value');
    await storeIn(pool(), 'users', 'app:').set('key', 'value');
    await storeIn(pool(), 'users', 'apps:').set('key', 'value');
    await storeIn(pool(), undefined, 'app:').clear();
    expect(await names(pool())).toEqual(['apps:users::key']);
  });

  test.each([undefined, ''])('with neither (%j) is refused, as is the iterator', async (namespace) => {
    const store = storeIn(pool(), namespace);
    await store.set('key', 'value');
    expect(await failure(store.clear())).toBeInstanceOf(InvalidArgumentError);
    expect(await failure(entries(store))).toBeInstanceOf(InvalidArgumentError);
    expect(await names(pool())).toEqual(['key']);
  });

  test('goes on in the namespace that it began in', async () => {
    const store = storeIn(pool(), 'first');
    await fill(store, 1_200);
    await fill(storeIn(pool(), 'second'), 1_200);
    const clearing = store.clear();
    store.namespace = 'second';
    await clearing;
    expect((await names(pool())).filter((name) => name.startsWith('first'))).toEqual([]);
    expect(await names(pool())).toHaveLength(1_200);
  });
});

describe('the iterator', () => {
  test('gives every key of the namespace, without it, and its value', async () => {
    const store = storeIn(pool(), 'full');
    await fill(store, 2_500);
    await storeIn(pool(), 'other').set('key', 'value');
    await pool().hSet('full::hash', 'of', 'somebody else');
    const all = await entries(store);
    expect(all.size).toBe(2_500);
    for (const [key, value] of all) expect(value).toBe(key.replace('k', 'v'));
    expect(await entries(store, 'other')).toEqual(new Map([['key', 'value']]));
  });

  test('leaves out what is gone before it is read', async () => {
    await fill(storeIn(pool(), 'gone'), 5);
    const keyv = new PlainKeyv({ store: new KeyvLagoon(losing('gone::k3')), namespace: 'gone', deserialize: asValue });
    const found: string[] = [];
    for await (const [key] of keyv.iterator?.(undefined) ?? []) found.push(key);
    expect(found.sort()).toEqual(['k0', 'k1', 'k2', 'k4']);
  });
});

describe('glob characters', () => {
  test.each(SPECIAL)('%j in the namespace are literal', (name) => checkLiteral((own) => storeIn(pool(), own), name));
  test.each(SPECIAL)('%j in the prefix are literal', (name) =>
    checkLiteral((own) => storeIn(pool(), 'keyv', own), name),
  );
  test.each(SPECIAL)("%j in the pool's keyPrefix are literal", (name) =>
    checkLiteral((own) => storeIn(engineOn(server().address, { keyPrefix: own }).getRedis(), 'keyv'), name),
  );

  async function checkLiteral(open: (name: string) => KeyvLagoon, name: string): Promise<void> {
    const others = ['ab', 'axb', 'a', 'z', 'x', `x${name}`, `${name}x`].map(open);
    const store = open(name);
    for (const one of [store, ...others]) await one.set('key*', 'value');
    expect(await entries(store)).toEqual(new Map([['key*', 'value']]));
    await store.clear();
    expect(await store.has('key*')).toBe(false);
    for (const other of others) expect(await other.has('key*')).toBe(true);
  }
});

/** The pool, in which a key expires just before it is read. */
function losing(lost: string): KeyvPool {
  const redis = pool();
  return {
    exists: (keys) => redis.exists(keys),
    async get(name) {
      if (name === lost) await redis.unlink(lost);
      return redis.get(name);
    },
    scanIterator: (options) => redis.scanIterator(options),
    set: (...args) => redis.set(...args),
    unlink: (keys) => redis.unlink(keys),
    withReplicas() {
      return this;
    },
  };
}

/** Takes what is stored as the value, which these tests do not serialize. */
function asValue<Value>(value: string): { value: Value } {
  return { value: value as Value };
}
