import { createKeyv } from '@keyv/redis';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { createCache } from 'cache-manager';
import { Redis } from 'ioredis';
import { Keyv } from 'keyv';
import { LRUCache } from 'lru-cache';
import { createClient } from 'redis';
import { Registry } from '../../dist/index.js';

/**
 * @typedef {{ host: string, port: number }} Address
 * @typedef {{
 *   get(key: string): unknown,
 *   set(key: string, value: object): Promise<unknown>,
 *   getMany?(keys: readonly string[]): Promise<unknown[]>,
 *   getOrSet?(key: string, load: () => object | Promise<object>): Promise<unknown>,
 *   close(): unknown,
 * }} Cache `get` gives a value, or the promise of one
 * @typedef {{ open: (address: Address, name: string) => Promise<Cache>, settings: string }} Contestant the name keeps its keys and
 *   messages apart from the others'
 */

const TTL_MS = 3_600_000;
const MAX_ITEMS = 10_000;

/** A pool and a cache with every default but the given. */
const lagoon =
  (options, load = {}) =>
  async ({ host, port }, prefix) => {
    const engine = new Registry().registerRedis(`${host}:${port}`).validate();
    await engine.connect();
    const cache = engine.getRedis().getCache({ prefix, ttl: TTL_MS, ...options });
    return {
      get: (key) => cache.get(key),
      set: (key, value) => cache.put(key, value),
      getMany: (keys) => cache.getMany(keys),
      getOrSet: (key, loader) => cache.getOrSet(key, loader, load),
      close: () => engine.close(),
    };
  };

/** What anybody writes who has no cache: GET and JSON.parse, on node-redis without its timeouts. */
async function nodeRedis({ host, port }) {
  const redis = createClient({ url: `redis://${host}:${port}`, commandOptions: { timeout: undefined } });
  await redis.connect();
  const parse = (text) => (text === null ? undefined : JSON.parse(text));
  return {
    get: async (key) => parse(await redis.get(`plain#${key}`)),
    set: (key, value) => redis.set(`plain#${key}`, JSON.stringify(value), { PX: TTL_MS }),
    getMany: async (keys) => (await redis.mGet(keys.map((key) => `plain#${key}`))).map(parse),
    close: () => redis.close(),
  };
}

/** Without Redis; what it gives is awaited like all the others'. */
async function bareLru() {
  const lru = new LRUCache({ max: MAX_ITEMS });
  return { get: (key) => lru.get(key), set: async (key, value) => lru.set(key, value), close: () => lru.clear() };
}

const bentocache =
  (connection, memory) =>
  async ({ host, port }, name) => {
    const redis = new Redis(port, host, connection);
    await redis.ping();
    const store = bentostore({ ttl: TTL_MS, prefix: name });
    if (memory) {
      store.useL1Layer(memoryDriver({ maxItems: MAX_ITEMS, ...memory }));
      store.useBus(redisBusDriver({ connection: { host, port } }));
    }
    store.useL2Layer(redisDriver({ connection: redis }));
    const cache = new BentoCache({ default: name, stores: { [name]: store } });
    return {
      get: (key) => cache.get({ key }),
      set: (key, value) => cache.set({ key, value }),
      getOrSet: (key, factory) => cache.getOrSet({ key, factory }),
      close: () => cache.disconnectAll(),
    };
  };

/** cache-manager's own tier in memory, which is a Keyv without a store. */
const memoryTier = (serializes) => async () => {
  const keyv = new Keyv();
  if (!serializes) {
    keyv.serialize = undefined;
    keyv.deserialize = undefined;
  }
  return cacheManager(keyv);
};

const onKeyv =
  (make) =>
  async ({ host, port }, namespace) => {
    const keyv = createKeyv({ url: `redis://${host}:${port}` }, { namespace, throwOnErrors: true });
    await keyv.get('connects');
    return make(keyv);
  };

function cacheManager(keyv) {
  const cache = createCache({ stores: [keyv], ttl: TTL_MS });
  return {
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getMany: (keys) => cache.mget(keys),
    getOrSet: (key, load) => cache.wrap(key, load),
    close: () => cache.disconnect(),
  };
}

function plainKeyv(keyv) {
  return {
    get: (key) => keyv.get(key),
    set: (key, value) => keyv.set(key, value, TTL_MS),
    getMany: (keys) => keyv.getMany(keys),
    close: () => keyv.disconnect(),
  };
}

const AUTO = { enableAutoPipelining: true };
const LOCAL = { local: true };

export const LAGOON = 'Lagoon';
export const LAGOON_LOCAL = 'Lagoon, local tier';
export const LAGOON_LOCK = 'Lagoon, lock: true';
export const LAGOON_NO_LOCK = 'Lagoon, without lock';
export const BARE_LRU = 'lru-cache';
export const NODE_REDIS = 'node-redis GET + JSON.parse, timeout off';
export const BENTOCACHE_TIERED = 'bentocache L1+L2';
export const BENTOCACHE_TIERED_FAST = 'bentocache L1+L2, serialize: false';
export const BENTOCACHE_REMOTE = 'bentocache L2';
export const BENTOCACHE_REMOTE_AUTO = 'bentocache L2, auto-pipelining';
export const MEMORY_TIER = 'cache-manager, in memory';
export const MEMORY_TIER_FAST = 'cache-manager, in memory, no serialization';
export const CACHE_MANAGER = 'cache-manager on Redis';
export const KEYV = 'Keyv on Redis';

/** @type {Record<string, Contestant>} */
export const CACHES = {
  [LAGOON]: { open: lagoon({}), settings: 'getCache({ prefix, ttl }) of a pool with every default' },
  [LAGOON_LOCAL]: { open: lagoon(LOCAL), settings: 'the same with local: true' },
  [LAGOON_NO_LOCK]: { open: lagoon(LOCAL), settings: 'getOrSet of the same' },
  [LAGOON_LOCK]: { open: lagoon(LOCAL, { lock: true }), settings: 'getOrSet of the same with lock: true' },
  [BARE_LRU]: { open: bareLru, settings: 'get, awaited; no Redis, no expiry, no copy' },
  [NODE_REDIS]: { open: nodeRedis, settings: 'commandOptions: { timeout: undefined }' },
  [BENTOCACHE_TIERED]: {
    open: bentocache(AUTO, {}),
    settings: 'memoryDriver, redisDriver on ioredis with enableAutoPipelining, redisBusDriver',
  },
  [BENTOCACHE_TIERED_FAST]: {
    open: bentocache(AUTO, { serialize: false }),
    settings: 'memoryDriver({ serialize: false }): reads only what this process wrote, throws for what came from L2',
  },
  [BENTOCACHE_REMOTE]: { open: bentocache({}), settings: 'redisDriver on ioredis with its defaults' },
  [BENTOCACHE_REMOTE_AUTO]: { open: bentocache(AUTO), settings: 'redisDriver on ioredis with enableAutoPipelining' },
  [MEMORY_TIER]: { open: memoryTier(true), settings: 'createCache() on a Keyv with its defaults' },
  [MEMORY_TIER_FAST]: { open: memoryTier(false), settings: 'the same, the Keyv without serialize and deserialize' },
  [CACHE_MANAGER]: { open: onKeyv(cacheManager), settings: 'createCache() on @keyv/redis' },
  [KEYV]: { open: onKeyv(plainKeyv), settings: 'createKeyv() of @keyv/redis' },
};

/**
 * Opens them.
 *
 * @param {Address} address
 * @param {readonly string[]} names
 * @returns {Promise<Record<string, Cache>>}
 */
export async function openAll(address, names) {
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await open(address, name)])));
}

/** @param {Address} address */
export function open(address, name) {
  return CACHES[name].open(address, name);
}

/** @param {Record<string, Cache>} caches */
export async function closeAll(caches) {
  for (const cache of Object.values(caches)) await cache.close();
}

/** About 200 bytes of JSON, and another one for every number. */
export function recordOf(i) {
  return {
    id: i,
    name: `User number ${i}`,
    email: `user.${i}@example.com`,
    roles: ['reader', 'writer'],
    address: { street: '12 Long Street', city: 'Springfield', postcode: '12345' },
    active: true,
  };
}
