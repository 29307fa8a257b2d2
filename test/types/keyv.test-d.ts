import { createCache } from 'cache-manager';
import { Keyv, type KeyvStoreAdapter } from 'keyv';
import { describe, expectTypeOf, test } from 'vitest';
import type { RedisPool } from '../../src/index.js';
import { KeyvLagoon } from '../../src/keyv/index.js';

declare const redis: RedisPool;

describe('KeyvLagoon', () => {
  test('is a store of Keyv', () => {
    expectTypeOf<KeyvLagoon>().toExtend<KeyvStoreAdapter>();
    const store: KeyvStoreAdapter = new KeyvLagoon(redis);
    void new Keyv(store);
    void new Keyv(new KeyvLagoon(redis, { prefix: 'app:' }), { namespace: 'users', useKeyPrefix: false });
  });

  test('serves cache-manager', () => {
    expectTypeOf(createCache).toBeCallableWith({ stores: [new Keyv({ store: new KeyvLagoon(redis) })] });
  });

  test('gives strings, or what the caller says', () => {
    const store = new KeyvLagoon(redis);
    expectTypeOf(store.get('key')).resolves.toEqualTypeOf<string | undefined>();
    expectTypeOf(store.get<'a' | 'b'>('key')).resolves.toEqualTypeOf<'a' | 'b' | undefined>();
    expectTypeOf(store.getMany(['key'])).resolves.toEqualTypeOf<(string | undefined)[]>();
  });

  test('refuses wrong arguments at compile time', () => {
    // @ts-expect-error not a pool
    void new KeyvLagoon('redis://localhost');
    // @ts-expect-error misspelt
    void new KeyvLagoon(redis, { prefx: 'app:' });
    // @ts-expect-error it is Buffers that this view of the pool gives
    void new KeyvLagoon(redis.withTypeMapping({ 36: Buffer }));
    // @ts-expect-error Keyv gives a number of ms
    void new KeyvLagoon(redis).set('key', 'value', '1m');
  });
});
