import { beforeEach, describe, expect, test } from 'vitest';
import { InvalidArgumentError, Registry } from '../../src/index.js';
import { KeyvLagoon } from '../../src/keyv/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { fill, names, PlainKeyv, storeIn, usePool } from './support.js';

const server = useRedis();
const pool = usePool(() => new Registry().registerRedis(server().address));

beforeEach(() => pool().flushAll());

describe('keys in Redis', () => {
  test('are namespace::key, as those of @keyv/redis', async () => {
    await new PlainKeyv({ store: new KeyvLagoon(pool()), namespace: 'users' }).set('7', 'ada');
    expect(await names(pool())).toEqual(['users::7']);
    expect(JSON.parse((await pool().get('users::7')) as string)).toEqual({ value: 'ada' });
  });

  test('begin with the prefix, in front of the namespace', async () => {
    await storeIn(pool(), 'users', 'app:').set('7', 'ada');
    await storeIn(pool(), undefined, 'app:').set('8', 'bob');
    await storeIn(pool(), undefined).set('9', 'eve');
    expect(await names(pool())).toEqual(['9', 'app:8', 'app:users::7']);
  });

  test('of one prefix are not seen with another', async () => {
    const [one, two] = [storeIn(pool(), 'keyv', 'one:'), storeIn(pool(), 'keyv', 'two:')];
    await one.set('key', '1');
    expect(await two.get('key')).toBeUndefined();
    await two.clear();
    expect(await one.get('key')).toBe('1');
  });
});

describe('the ttl', () => {
  test.each([
    [1_234, 1_234],
    [1_234.2, 1_235],
    [86_400_000, 86_400_000],
  ])('of %s ms is one of %i in Redis', async (ttl, expected) => {
    const store = storeIn(pool(), 'ttl');
    const from = await serverTime();
    await store.set('one', 'value', ttl);
    await store.setMany([{ key: 'many', value: 'value', ttl }]);
    const to = await serverTime();
    for (const name of ['ttl::one', 'ttl::many']) {
      const endsAt = await pool().pExpireTime(name);
      expect(endsAt).toBeGreaterThanOrEqual(from + expected);
      expect(endsAt).toBeLessThanOrEqual(to + expected);
    }
  });

  test.each([undefined, 0, Number.POSITIVE_INFINITY])('of %s is none', async (ttl) => {
    await storeIn(pool(), 'ttl').set('key', 'old', 60_000);
    await storeIn(pool(), 'ttl').set('key', 'value', ttl);
    expect(await pool().pTTL('ttl::key')).toBe(-1);
  });

  test.each([1, 0.1, -5])('of %s ms is over at once', async (ttl) => {
    await storeIn(pool(), 'ttl').set('key', 'old');
    expect(await storeIn(pool(), 'ttl').set('key', 'value', ttl)).toBe(true);
    await eventually(async () => expect(await names(pool())).toEqual([]));
  });

  test.each([Number.NaN, '5', null])('of %s is refused, nothing is sent', async (ttl) => {
    const error = await failure(storeIn(pool(), 'ttl').set('key', 'value', ttl as number));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(await names(pool())).toEqual([]);
  });
});

describe('many at once', () => {
  test('come in the order of their keys', async () => {
    const store = storeIn(pool(), 'many');
    await fill(store, 3);
    expect(await store.getMany(['k2', 'none', 'k0', 'k2'])).toEqual(['v2', undefined, 'v0', 'v2']);
    expect(await store.hasMany(['k2', 'none', 'k0'])).toEqual([true, false, true]);
    expect([await store.getMany([]), await store.hasMany([]), await store.deleteMany([])]).toEqual([[], [], false]);
  });

  test('are removed, and said to be if any was there', async () => {
    const store = storeIn(pool(), 'many');
    await fill(store, 3);
    expect(await store.deleteMany(['none', 'k1'])).toBe(true);
    expect(await store.deleteMany(['none', 'k1'])).toBe(false);
    expect(await names(pool())).toEqual(['many::k0', 'many::k2']);
  });

  test("give Keyv's setMany the booleans that it promises", async () => {
    const keyv = new PlainKeyv({ store: new KeyvLagoon(pool()) });
    const written = await keyv.setMany(['a', 'b'].map((key) => ({ key, value: key })));
    expect(written).toEqual([true, true]);
    expect(await keyv.getMany(['a', 'b'])).toEqual(['a', 'b']);
  });
});

describe('what it is given', () => {
  test('is a pool and a prefix, or refused', () => {
    expect(() => new KeyvLagoon('redis://localhost' as never)).toThrow(InvalidArgumentError);
    expect(() => new KeyvLagoon(undefined as never)).toThrow(InvalidArgumentError);
    expect(() => new KeyvLagoon(pool(), { prefix: 5 as never })).toThrow(InvalidArgumentError);
  });

  test.each([{ value: 1 }, 5, undefined, Buffer.from('x')])('is a serialized value, or refused: %j', async (value) => {
    expect(await failure(storeIn(pool(), 'keyv').set('key', value as never))).toBeInstanceOf(InvalidArgumentError);
    expect(await names(pool())).toEqual([]);
  });

  test('stays open when the Keyv disconnects', async () => {
    const keyv = new PlainKeyv({ store: new KeyvLagoon(pool()) });
    await keyv.disconnect();
    expect(await keyv.set('key', 'value')).toBe(true);
    expect(await pool().ping()).toBe('PONG');
  });
});

/** The clock of the server, in ms. */
async function serverTime(): Promise<number> {
  const [seconds = 0, microseconds = 0] = (await pool().sendCommand<string[]>(['TIME'])).map(Number);
  return seconds * 1_000 + Math.floor(microseconds / 1_000);
}
