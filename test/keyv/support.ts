import { Keyv } from 'keyv';
import { afterAll, beforeAll } from 'vitest';
import type { Engine, RedisPool, Registry } from '../../src/index.js';
import { KeyvLagoon, type KeyvPool } from '../../src/keyv/index.js';

/** One pool for the tests of a file; the server is asked for once it runs. */
export function usePool(open: () => Registry): () => RedisPool {
  let engine: Engine | undefined;
  beforeAll(() => {
    engine = open().validate() as Engine;
  });
  afterAll(() => engine?.close({ timeout: 0 }));
  return () => {
    if (engine) return engine.getRedis();
    throw new Error('The pool of usePool() exists in tests and hooks only');
  };
}

/** Keyv as the documentation advises to make it: only the store puts the namespace before the key. */
export class PlainKeyv extends Keyv {
  constructor(options: ConstructorParameters<typeof Keyv>[0] = {}) {
    super({ ...options, useKeyPrefix: false });
  }
}

/** A store in a namespace, as a Keyv sets it. */
export function storeIn(redis: KeyvPool, namespace: string | undefined, prefix?: string): KeyvLagoon {
  const store = new KeyvLagoon(redis, prefix === undefined ? {} : { prefix });
  store.namespace = namespace;
  return store;
}

/** Stores `k0`: `v0`, `k1`: `v1` … */
export function fill(store: KeyvLagoon, count: number): Promise<void> {
  return store.setMany(Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: `v${i}` })));
}

/** What the iterator gives. */
export async function entries(store: KeyvLagoon, namespace?: string): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for await (const [key, value] of store.iterator(namespace)) all.set(key, value);
  return all;
}

/** Every key in Redis. */
export async function names(redis: RedisPool): Promise<string[]> {
  return (await redis.keys('*')).sort();
}
