import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { Registry } from '../../dist/index.js';
import { ioredis, nodeRedis } from './clients.mjs';

/**
 * @typedef {import('../../dist/testing/index.js').RedisServer} Server
 * @typedef {{ limit: number, periodMs: number }} Rule
 * @typedef {{
 *   decider(rule: Rule, expected: boolean): (key: string) => Promise<void>,
 *   close(): unknown,
 * }} Limiter `decider` makes what asks for one decision of a rule, and rejects if it is another than expected
 * @typedef {{ open: (server: Server, database: number) => Promise<Limiter>, settings: string }} Contestant
 *   with default prefixes, which is why those on one server need a database each
 */

export const LAGOON = 'Lagoon, sliding window';
export const RATE_LIMIT = 'Lagoon, rateLimit()';
export const GCRA = 'Lagoon, GCRA';
export const FIXED_WINDOW = 'Lagoon, fixed window';
const PEER = 'rate-limiter-flexible';
export const BARE = `${PEER}, node-redis, timeout off`;
export const IN_MEMORY = `${PEER}, inMemoryBlockOnConsumed`;

/** A duration of rate-limiter-flexible is in whole seconds. */
const SECOND_MS = 1000;

/** A pool with every default. */
async function lagoonPool({ address }, database) {
  const engine = new Registry().registerRedis(address, database).validate();
  await engine.connect();
  return { redis: engine.getRedis(), close: () => engine.close() };
}

const lagoon = (algorithm) => async (server, database) => {
  const { redis, close } = await lagoonPool(server, database);
  return {
    decider({ limit, periodMs }, expected) {
      const limiter = redis.getRateLimiter({ algorithm, limit, period: periodMs });
      return async (key) => {
        const { allowed } = await limiter.consume(key);
        if (allowed !== expected) throw unexpected(key, allowed);
      };
    },
    close,
  };
};

async function rateLimit(server, database) {
  const { redis, close } = await lagoonPool(server, database);
  return {
    decider: ({ limit, periodMs }, expected) => {
      return async (key) => {
        const allowed = await redis.rateLimit(key, periodMs, limit);
        if (allowed !== expected) throw unexpected(key, allowed);
      };
    },
    close,
  };
}

/** A denial rejects there, so that whoever asks has to catch it. */
const flexible = (connect, options) => async (server, database) => {
  const { redis, close } = await connect(server, database);
  return {
    decider({ limit, periodMs }, expected) {
      const duration = periodMs / SECOND_MS;
      const limiter = new RateLimiterRedis({ storeClient: redis, points: limit, duration, ...options(limit) });
      return async (key) => {
        let allowed = true;
        try {
          await limiter.consume(key);
        } catch (denial) {
          if (!(denial instanceof RateLimiterRes)) throw denial;
          allowed = false;
        }
        if (allowed !== expected) throw unexpected(key, allowed);
      };
    },
    close,
  };
};

const onNodeRedis = (options) => (server, database) => nodeRedis(server, { database, ...options });
const onIoredis = (options) => (server, database) => ioredis(server, { db: database, ...options });
const NO_TIMEOUT = { commandOptions: { timeout: undefined } };
const NODE_REDIS = () => ({ useRedisPackage: true });
const PLAIN = () => ({});

/** @type {Record<string, Contestant>} */
export const OURS = {
  [LAGOON]: { open: lagoon('sliding-window'), settings: 'getRateLimiter() of a pool with every default, consume()' },
  [RATE_LIMIT]: { open: rateLimit, settings: 'the same algorithm' },
  [GCRA]: { open: lagoon('gcra'), settings: 'as the first' },
  [FIXED_WINDOW]: { open: lagoon('fixed-window'), settings: 'as the first' },
};

/** rate-limiter-flexible, a fixed window, on every connection that it may have. @type {Record<string, Contestant>} */
export const PEERS = {
  [BARE]: {
    open: flexible(onNodeRedis(NO_TIMEOUT), NODE_REDIS),
    settings: 'RateLimiterRedis, useRedisPackage; commandOptions: { timeout: undefined }',
  },
  [`${PEER}, node-redis`]: {
    open: flexible(onNodeRedis({}), NODE_REDIS),
    settings: 'RateLimiterRedis, useRedisPackage',
  },
  [`${PEER}, ioredis, auto-pipelining`]: {
    open: flexible(onIoredis({ enableAutoPipelining: true }), PLAIN),
    settings: 'RateLimiterRedis; enableAutoPipelining',
  },
  [`${PEER}, ioredis`]: { open: flexible(onIoredis({}), PLAIN), settings: 'RateLimiterRedis' },
};

/** It answers denials without Redis, so that it does not matter on which connection. @type {Record<string, Contestant>} */
export const REMEMBERING = {
  [IN_MEMORY]: {
    open: flexible(onNodeRedis(NO_TIMEOUT), (limit) => ({ ...NODE_REDIS(), inMemoryBlockOnConsumed: limit })),
    settings: 'the same on node-redis, timeout off; remembers denials in the process until they end',
  },
};

/**
 * Opens them, each in a database of its own.
 *
 * @param {Server} server
 * @param {Record<string, Contestant>} contestants
 * @returns {Promise<Record<string, Limiter>>}
 */
export async function openAll(server, contestants) {
  const opened = Object.entries(contestants).map(async ([name, { open }], i) => [name, await open(server, i)]);
  return Object.fromEntries(await Promise.all(opened));
}

/** @param {Record<string, Limiter>} limiters */
export async function closeAll(limiters) {
  for (const limiter of Object.values(limiters)) await limiter.close();
}

function unexpected(key, allowed) {
  return new Error(`${key} was ${allowed ? 'allowed' : 'denied'}, which it should not have been`);
}
