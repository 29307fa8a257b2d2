import { LockFactory } from '@verrou/core';
import { redisStore } from '@verrou/core/drivers/redis';
import { Redis } from 'ioredis';
import { Mutex } from 'redis-semaphore';
import Redlock4 from 'redlock4';
import Redlock5 from 'redlock5';
import { Registry } from '../../dist/index.js';

/**
 * @typedef {{ host: string, port: number }} Address
 * @typedef {{
 *   obtain(key: string): Promise<unknown>,
 *   wait(key: string): Promise<unknown>,
 *   release(handle: unknown): Promise<unknown>,
 *   close(): unknown,
 * }} Locker `obtain` tries once, `wait` waits until the lock is there; both reject if it is not, and `release` if it was lost
 * @typedef {{ open: (address: Address) => Promise<Locker>, settings: string, sent: string[] }} Contestant
 *   `sent`: the commands that it sends; those that its scripts call are not among them
 */

export const LAGOON = 'Lagoon';
export const LOCK_TTL_MS = 10_000;
const WAIT_MS = 600_000;

/** @param {Address} address */
export async function lagoonEngine({ host, port }) {
  const engine = new Registry().registerRedis(`${host}:${port}`).validate();
  await engine.connect();
  return engine;
}

async function lagoon(address) {
  const engine = await lagoonEngine(address);
  const locker = engine.getRedis().getLocker();
  const obtain = async (key, waitMs) => mustBe(await locker.obtain(key, LOCK_TTL_MS, waitMs));
  return {
    obtain: (key) => obtain(key, 0),
    wait: (key) => obtain(key, WAIT_MS),
    release: async (lock) => mustBe(await lock.release()),
    close: () => engine.close(),
  };
}

async function redlock4(address) {
  const redis = await ioredis(address);
  const once = new Redlock4([redis], { retryCount: 0 });
  const waiting = new Redlock4([redis], { retryCount: -1 });
  return {
    obtain: (key) => once.lock(key, LOCK_TTL_MS),
    wait: (key) => waiting.lock(key, LOCK_TTL_MS),
    release: (lock) => lock.unlock(),
    close: () => redis.disconnect(),
  };
}

async function redlock5(address) {
  const redis = await ioredis(address);
  const once = new Redlock5([redis], { retryCount: 0 });
  const waiting = new Redlock5([redis], { retryCount: -1 });
  // It tells of every attempt that failed, of which waiting is made.
  for (const redlock of [once, waiting]) redlock.on('error', () => {});
  return {
    obtain: (key) => once.acquire([key], LOCK_TTL_MS),
    wait: (key) => waiting.acquire([key], LOCK_TTL_MS),
    release: (lock) => lock.release(),
    close: () => redis.disconnect(),
  };
}

/** Without its timer for renewal, which nobody needs here, as Lagoon is without. */
const redisSemaphore = (retryInterval, connection) => async (address) => {
  const redis = await ioredis(address, connection);
  const options = { lockTimeout: LOCK_TTL_MS, acquireTimeout: WAIT_MS, refreshInterval: 0, retryInterval };
  const acquire = async (key, more) => {
    const mutex = new Mutex(redis, key, more);
    await mutex.acquire();
    return mutex;
  };
  const once = { ...options, acquireAttemptsLimit: 1 };
  return {
    obtain: (key) => acquire(key, once),
    wait: (key) => acquire(key, options),
    release: (mutex) => mutex.release(),
    close: () => redis.disconnect(),
  };
};

async function verrou(address) {
  const redis = await ioredis(address);
  const factory = new LockFactory(redisStore({ connection: redis }).factory());
  return {
    obtain: async (key) => {
      const lock = factory.createLock(key, LOCK_TTL_MS);
      mustBe(await lock.acquireImmediately());
      return lock;
    },
    wait: async (key) => {
      const lock = factory.createLock(key, LOCK_TTL_MS);
      mustBe(await lock.acquire());
      return lock;
    },
    release: (lock) => lock.release(),
    close: () => redis.disconnect(),
  };
}

/** Everyone, waiting as by default but without an end. @type {Record<string, Contestant>} */
export const LOCKERS = {
  [LAGOON]: { open: lagoon, settings: 'a pool with every default', sent: ['evalsha', 'eval', 'subscribe'] },
  'redlock 4': { open: redlock4, settings: 'polls every 200 ± 100 ms (its default)', sent: ['evalsha', 'eval'] },
  'redlock 5 beta': { open: redlock5, settings: 'polls every 200 ± 100 ms (its default)', sent: ['evalsha', 'eval'] },
  'redis-semaphore': {
    open: redisSemaphore(10),
    settings: 'Mutex; polls every 10 ms (its default); no renewal',
    sent: ['set', 'evalsha', 'eval'],
  },
  '@verrou/core': { open: verrou, settings: 'polls every 250 ms (its default)', sent: ['set', 'eval'] },
};

/** Peers made faster than they are by default, to see what that costs; no requirement refers to them. */
export const TUNED = {
  'redis-semaphore, auto-pipelining': {
    open: redisSemaphore(10, { enableAutoPipelining: true }),
    settings: 'the same on a connection with enableAutoPipelining',
    sent: ['set', 'evalsha', 'eval'],
  },
  'redis-semaphore, every 1 ms': {
    open: redisSemaphore(1),
    settings: 'the same, polling ten times as often',
    sent: ['set', 'evalsha', 'eval'],
  },
};

async function ioredis({ host, port }, options = {}) {
  const redis = new Redis(port, host, options);
  await redis.ping();
  return redis;
}

function mustBe(held) {
  if (!held) throw new Error('the lock was not obtained, or it was lost');
  return held;
}
