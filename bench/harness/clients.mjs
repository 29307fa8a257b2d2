import { createPool } from 'generic-pool';
import { Redis } from 'ioredis';
import { Redis as Valkey } from 'iovalkey';
import { createClient, createClientPool } from 'redis';
import { Registry } from '../../dist/index.js';

/**
 * @typedef {import('../../dist/testing/index.js').RedisServer} Server
 * @typedef {{
 *   get(key: string): Promise<string | null>,
 *   set(key: string, value: string): Promise<unknown>,
 *   close(): unknown,
 * }} Client
 */

/** Turns the timeout off that node-redis's defaults put on every command: an AbortSignal each. */
const NO_TIMEOUT = { commandOptions: { timeout: undefined } };
/** Connections of the pool with one command per lease: as many as a pool of Lagoon may have by default. */
const LEASES = 10;

/**
 * A pool of Lagoon as its users have it: every default, all timeouts on.
 *
 * @param {Server} server
 * @param {import('../../dist/index.js').PoolOptions} [options]
 */
export async function lagoon(server, options = {}) {
  const engine = new Registry().registerRedis(server.address, 0, 'default', options).validate();
  await engine.connect();
  const redis = engine.getRedis();
  return client(redis, () => engine.close());
}

/** @param {Server} server */
export async function nodeRedis(server, options = NO_TIMEOUT) {
  const redis = createClient({ url: server.url, ...options });
  await redis.connect();
  return client(redis, () => redis.close());
}

/** @param {Server} server */
async function nodeRedisPool(server) {
  const pool = createClientPool({ url: server.url });
  await pool.connect();
  return client(pool, () => pool.close());
}

/** @param {Server} server */
export async function ioredis(server, options = {}, Client = Redis) {
  const redis = new Client(server.port, server.host, options);
  await redis.ping();
  return client(redis, () => redis.disconnect());
}

/** @param {Server} server */
async function onePerLease(server) {
  const pool = createPool(
    { create: () => createClient({ url: server.url, ...NO_TIMEOUT }).connect(), destroy: (client) => client.close() },
    { max: LEASES },
  );
  return {
    get: (key) => pool.use((client) => client.get(key)),
    set: (key, value) => pool.use((client) => client.set(key, value)),
    close: () => pool.drain().then(() => pool.clear()),
  };
}

function client(redis, close) {
  return { redis, get: (key) => redis.get(key), set: (key, value) => redis.set(key, value), close };
}

export const LAGOON = 'Lagoon';
export const BARE = 'node-redis, timeout off';
export const DEFAULTS = 'node-redis';
export const POOL = 'node-redis createClientPool';
export const AUTO = 'ioredis, auto-pipelining';

/** Everyone whose GETs and SETs are compared. @type {Record<string, (server: Server) => Promise<Client>>} */
export const CLIENTS = {
  [LAGOON]: (server) => lagoon(server),
  [BARE]: (server) => nodeRedis(server),
  [DEFAULTS]: (server) => nodeRedis(server, {}),
  [POOL]: nodeRedisPool,
  [AUTO]: (server) => ioredis(server, { enableAutoPipelining: true }),
  ioredis: (server) => ioredis(server),
  'iovalkey, auto-pipelining': (server) => ioredis(server, { enableAutoPipelining: true }, Valkey),
  iovalkey: (server) => ioredis(server, {}, Valkey),
  'generic-pool, one command per lease': onePerLease,
};
