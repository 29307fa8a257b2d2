import keyvTestSuite, { keyvIteratorTests } from '@keyv/test-suite';
import { Keyv } from 'keyv';
import * as vitest from 'vitest';
import { type RedisPool, Registry } from '../../src/index.js';
import { KeyvLagoon } from '../../src/keyv/index.js';
import { type RedisCluster, startCluster } from '../../src/testing/index.js';
import { useRedis } from '../support/redis.js';
import { entries, fill, PlainKeyv, storeIn, usePool } from './support.js';

const { afterAll, beforeAll, describe, expect, test } = vitest;

function suite(pool: () => RedisPool, keyv: typeof Keyv): void {
  // Each describes its hooks beside its tests, so that each needs a block of its own.
  describe('API, values and namespaces', () => keyvTestSuite(vitest, keyv, () => new KeyvLagoon(pool())));
  describe('iterator', () => keyvIteratorTests(vitest, keyv, () => new KeyvLagoon(pool())));
}

describe("Keyv's own tests pass on a server", () => {
  const server = useRedis();
  const pool = usePool(() => new Registry().registerRedis(server().address));
  describe('with Keyv as it is by default', () => suite(pool, Keyv));
  describe('with useKeyPrefix: false', () => suite(pool, PlainKeyv));
});

describe('on a cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startCluster({ replicasPerMaster: 0 });
  }, 120_000);
  afterAll(() => cluster?.stop());
  const pool = usePool(() => new Registry().registerRedisCluster(cluster.addresses));

  describe("Keyv's own tests pass", () => suite(pool, PlainKeyv));

  test('many keys of all servers are stored, read, iterated and removed at once', async () => {
    const store = storeIn(pool(), 'spread');
    await fill(store, 300);
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    expect(await store.getMany(keys)).toEqual(keys.map((key) => key.replace('k', 'v')));
    expect([...(await entries(store)).keys()].sort()).toEqual([...keys].sort());
    expect(await store.deleteMany(keys.slice(0, 20))).toBe(true);
    expect((await store.hasMany(keys)).filter(Boolean)).toHaveLength(280);
    await store.clear();
    expect((await store.hasMany(keys)).filter(Boolean)).toEqual([]);
  });
});
