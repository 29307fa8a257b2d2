import { describe, expectTypeOf, test } from 'vitest';
import {
  bufferCodec,
  type Cache,
  type CacheEvent,
  type CacheStats,
  type Codec,
  compressed,
  type LoadContext,
  type RedisPool,
  type StandardSchema,
  stringCodec,
  validated,
} from '../../src/index.js';

interface User {
  name: string;
  age?: number;
}

declare const redis: RedisPool;
declare const cache: Cache;
declare const users: Cache<User>;
declare const schema: StandardSchema<User>;
declare const dates: Codec<Date>;

describe('getCache', () => {
  test('makes a cache of anything, unless something says of what', () => {
    expectTypeOf(redis.getCache()).toEqualTypeOf<Cache<unknown>>();
    expectTypeOf(redis.getCache({ prefix: 'p', ttl: '1m', local: true })).toEqualTypeOf<Cache<unknown>>();
    expectTypeOf(redis.getCache<User>({ prefix: 'p' })).toEqualTypeOf<Cache<User>>();
  });

  test('takes the type of its codec', () => {
    expectTypeOf(redis.getCache({ codec: stringCodec })).toEqualTypeOf<Cache<string>>();
    expectTypeOf(redis.getCache({ codec: bufferCodec })).toEqualTypeOf<Cache<Buffer>>();
    expectTypeOf(redis.getCache({ codec: dates })).toEqualTypeOf<Cache<Date>>();
    expectTypeOf(redis.getCache({ codec: compressed(dates) })).toEqualTypeOf<Cache<Date>>();
    expectTypeOf(redis.getCache({ codec: validated(schema) })).toEqualTypeOf<Cache<User>>();
    expectTypeOf(redis.getCache({ codec: compressed(validated(schema)) })).toEqualTypeOf<Cache<User>>();
  });

  test('refuses what cannot be right at compile time', () => {
    // @ts-expect-error misspelt
    redis.getCache({ prefx: 'p' });
    // @ts-expect-error not a unit
    redis.getCache({ ttl: '1 minute' });
    // @ts-expect-error not one of the two
    redis.getCache({ whenDown: 'serve' });
    // @ts-expect-error misspelt
    redis.getCache({ local: { maxItem: 1 } });
    // @ts-expect-error other libraries call it so
    redis.getCache({ namespace: 'p' });
    // @ts-expect-error a codec of something else
    redis.getCache<User>({ codec: stringCodec });
    // @ts-expect-error not an algorithm
    compressed(stringCodec, { algorithm: 'lz4' });
    compressed(stringCodec, { maxBytes: 1_000_000 });
    // @ts-expect-error other libraries call it so
    compressed(stringCodec, { maxSize: 1_000_000 });
    // @ts-expect-error no Standard Schema
    validated({ parse: () => 1 });
  });

  test('tells events as a union', () => {
    redis.getCache({
      onEvent(event) {
        expectTypeOf(event).toEqualTypeOf<CacheEvent>();
        if (event.type === 'undecodable') expectTypeOf(event.error).toEqualTypeOf<Error>();
        // @ts-expect-error this one has no key
        if (event.type === 'local-up') event.key;
      },
    });
  });
});

describe('reading', () => {
  test('gives what the cache holds, or undefined', () => {
    expectTypeOf(users.get('k')).toEqualTypeOf<Promise<User | undefined>>();
    expectTypeOf(users.getDel('k')).toEqualTypeOf<Promise<User | undefined>>();
    expectTypeOf(users.getMany(['k'])).toEqualTypeOf<Promise<(User | undefined)[]>>();
    expectTypeOf(users.has('k')).toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(cache.get('k')).toEqualTypeOf<Promise<unknown>>();
    expectTypeOf(cache.get('k')).resolves.not.toBeAny();
  });

  test('gives what the caller says', () => {
    expectTypeOf(cache.get<User>('k')).toEqualTypeOf<Promise<User | undefined>>();
    expectTypeOf(cache.getMany<string | null>(['k'])).toEqualTypeOf<Promise<(string | null | undefined)[]>>();
    expectTypeOf(cache.getDel<number>('k')).toEqualTypeOf<Promise<number | undefined>>();
    // @ts-expect-error the cache holds users
    void users.get<string>('k');
  });

  test('makes one think of undefined', () => {
    // @ts-expect-error there may be none
    void users.get('k').then((user) => user.name);
  });
});

describe('writing', () => {
  test('takes what the cache holds', () => {
    void users.put('k', { name: 'a' });
    void users.put('k', { name: 'a' }, '1m');
    void users.put('k', { name: 'a' }, { ttl: '1m', tags: ['t'] as const, grace: 5, jitter: 0.1 });
    void users.putMany(new Map([['k', { name: 'a' }]]));
    void cache.put('k', null);
    void cache.put('k', 5);
    void cache.put('k', { any: ['thing'] });
    expectTypeOf(users.put('k', { name: 'a' })).toEqualTypeOf<Promise<void>>();
  });

  test('refuses others, and undefined', () => {
    // @ts-expect-error not a user
    void users.put('k', { nom: 'a' });
    // @ts-expect-error not a user
    void users.putMany([['k', 5]]);
    // @ts-expect-error undefined is no value
    void cache.put('k', undefined);
    // @ts-expect-error may be undefined
    void cache.put('k', 5 as number | undefined);
    // @ts-expect-error not a unit
    void cache.put('k', 5, '1 minute');
    // @ts-expect-error misspelt
    void cache.put('k', 5, { tag: ['t'] });
    // @ts-expect-error only getOrSet loads
    void cache.put('k', 5, { lock: true });
  });

  test('counts what it removed', () => {
    expectTypeOf(cache.remove('k')).toEqualTypeOf<Promise<number>>();
    expectTypeOf(cache.remove(['k', 'l'] as const)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(cache.removeByPattern('k*')).toEqualTypeOf<Promise<number>>();
    // @ts-expect-error one pattern at a time
    void cache.removeByPattern(['k*']);
    // @ts-expect-error no keys
    void cache.remove(/k.*/);
    expectTypeOf(cache.clear()).toEqualTypeOf<Promise<number>>();
    expectTypeOf(cache.removeByTag('t')).toEqualTypeOf<Promise<void>>();
    expectTypeOf(cache.keys()).toEqualTypeOf<Promise<string[]>>();
    expectTypeOf(cache.prefix()).toEqualTypeOf<string>();
    expectTypeOf(cache.stats()).toEqualTypeOf<CacheStats>();
  });
});

describe('getOrSet', () => {
  test('gives what the loader gives', () => {
    expectTypeOf(cache.getOrSet('k', () => 5)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(cache.getOrSet('k', async () => ({ a: 'x' }))).toEqualTypeOf<Promise<{ a: string }>>();
    const maybe = () => 5 as number | null | undefined;
    expectTypeOf(cache.getOrSet('k', maybe)).toEqualTypeOf<Promise<number | null | undefined>>();
    expectTypeOf(users.getOrSet('k', () => ({ name: 'a' }))).resolves.toExtend<User>();
    expectTypeOf(users.getOrSet<User>('k', async () => ({ name: 'a' }))).toEqualTypeOf<Promise<User>>();
    expectTypeOf(cache.getOrSet('k', () => JSON.parse('1') as unknown)).toEqualTypeOf<Promise<unknown>>();
  });

  test('tells the loader what it loads', () => {
    void cache.getOrSet('k', (context) => {
      expectTypeOf(context).toEqualTypeOf<LoadContext>();
      expectTypeOf(context.key).toEqualTypeOf<string>();
      expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
      return 1;
    });
  });

  test('refuses a loader of something else, and wrong options', () => {
    // @ts-expect-error not a user
    void users.getOrSet('k', () => 5);
    // @ts-expect-error no loader
    void cache.getOrSet('k');
    // @ts-expect-error misspelt
    void cache.getOrSet('k', () => 5, { negativeTTL: '1s' });
    // @ts-expect-error a flag
    void cache.getOrSet('k', () => 5, { lock: '10s' });
    const { signal } = new AbortController();
    void cache.getOrSet('k', () => 5, {
      ttl: '1m',
      grace: '1h',
      earlyRefresh: 0.5,
      lock: true,
      timeout: '100ms',
      loadTimeout: '10s',
      negativeTtl: '1s',
      backoff: '1s',
      jitter: 0.1,
      tags: ['t'],
      signal,
    });
  });
});
