import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  AbortError,
  CommandTimeoutError,
  InvalidArgumentError,
  LockLostError,
  LockNotReplicatedError,
  type PoolOptions,
  type RedisPool,
  Registry,
} from '../../src/index.js';
import { type RedisServer, type SentinelGroup, startSentinel } from '../../src/testing/index.js';
import { failure, timed } from '../support/engine.js';
import { startProxy } from '../support/proxy.js';
import { eventually } from '../support/redis.js';
import { newKey, poolOn, waitersOf } from './support.js';

let group: SentinelGroup;
let master: RedisServer;
let replicas: RedisServer[];

beforeAll(async () => {
  // One sentinel is too few for a failover, which nobody wants here.
  group = await startSentinel({ replicas: 2, sentinels: 1, quorum: 1 });
  master = await group.master();
  replicas = await group.replicas();
  expect(replicas).toHaveLength(2);
});
afterAll(() => group?.stop());

function open(options: PoolOptions = {}): RedisPool {
  return poolOn(master, options);
}

/** Times that WAIT was called since the statistics were reset. */
async function waits(): Promise<number> {
  const stats = String(await master.cli('INFO', 'commandstats'));
  return Number(/cmdstat_wait:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

async function expectNothingLeft(redis: RedisPool, ...keys: string[]): Promise<void> {
  await eventually(() => redis.stats().leases.inUse <= (redis.stats().subscriptions > 0 ? 1 : 0));
  for (const key of keys) {
    await eventually(async () =>
      expect(await redis.getLocker().inspect(key)).toMatchObject({ held: false, waiting: 0 }),
    );
  }
}

describe('a lock with replicas', () => {
  test('is at so many replicas when it is obtained, with its fence and its whole time', async () => {
    const redis = open();
    const key = newKey();
    await master.cli('CONFIG', 'RESETSTAT');
    const before = performance.now();
    const lock = await redis.getLocker().obtain(key, '10s', 0, { replicas: 2, token: 'mine' });
    expect(await waits()).toBe(1);
    for (const replica of replicas) expect(await replica.cli('GET', key)).toBe(`mine#${lock?.fence}`);
    expect(lock?.held).toBe(true);
    expect(lock?.expiresAt).toBeGreaterThan(before + 10_000);
    expect(lock?.expiresAt).toBeLessThanOrEqual(performance.now() + 10_000);
    expect(await lock?.release()).toBe(true);
    await expectNothingLeft(redis, key);
  });

  test('asks nothing of replicas if it is not told to', async () => {
    await master.cli('CONFIG', 'RESETSTAT');
    const redis = open();
    await (await redis.getLocker().obtain(newKey(), '10s'))?.release();
    expect(await waits()).toBe(0);
    expect(redis.stats().connections).toBe(1);
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', null])('cannot have %s of them', async (wrong) => {
    const redis = open();
    const error = await failure(redis.getLocker().obtain(newKey(), '10s', 0, { replicas: wrong as number }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error?.message).toContain(String(wrong));
    expect(redis.stats().connections).toBe(0);
  });

  test('is refused at once if the master has too few, and is free again', async () => {
    const redis = open();
    const key = newKey();
    await master.cli('CONFIG', 'RESETSTAT');
    const error = await failure(redis.getLocker().obtain(key, '1m', 0, { replicas: 3 }));
    expect(error).toBeInstanceOf(LockNotReplicatedError);
    expect(error).toMatchObject({ code: 'LAGOON_LOCK_NOT_REPLICATED', acknowledged: 2 });
    expect(error?.message).toContain(JSON.stringify(key));
    expect(await waits()).toBe(0);
    expect(await redis.exists(key)).toBe(0);
    await expectNothingLeft(redis, key);
  });

  test('is for any kind: several keys, readers and writers, permits, run', async () => {
    const redis = open();
    const locker = redis.getLocker();
    await master.cli('CONFIG', 'RESETSTAT');
    const keys = [newKey(), newKey()];
    const key = newKey();
    const options = { replicas: 2 };
    const locks = [
      await locker.obtain(keys, '10s', 0, options),
      await locker.readWriteLock(key).obtainRead('10s', 0, options),
      await locker.readWriteLock(key).obtainRead('10s', 0, options),
      await locker.semaphore(newKey(), 2).obtain('10s', 0, options),
    ];
    for (const lock of locks) expect(await lock?.ttl()).toBeGreaterThan(9_000);
    for (const lock of locks) expect(await lock?.release()).toBe(true);
    const write = await locker.readWriteLock(key).obtainWrite('10s', 0, options);
    expect(await write?.release()).toBe(true);
    const fence = await locker.run(key, { ttl: '10s', replicas: 2 }, (lock) => lock.fence);
    expect(fence).toBeGreaterThan(0);
    expect(await waits()).toBe(6);
    await expectNothingLeft(redis, key, ...keys);
  });

  test('is for those that wait for it too, in their order', async () => {
    const redis = open();
    const locker = redis.getLocker();
    const key = newKey();
    await master.cli('CONFIG', 'RESETSTAT');
    const first = await locker.obtain(key, '10s');
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (number) => {
      const lock = await locker.obtain(key, '10s', '10s', { replicas: 2 });
      order.push(number);
      for (const replica of replicas) expect(await replica.cli('GET', key)).toMatch(new RegExp(`#${lock?.fence}$`));
      expect(await lock?.release()).toBe(true);
    });
    await waitersOf(locker, key, 3);
    await first?.release();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
    expect(await waits()).toBe(3);
    await expectNothingLeft(redis, key);
  });

  test('shares the connections of the pool with many others', async () => {
    const redis = open({ pool: { max: 3 } });
    const keys = Array.from({ length: 20 }, () => newKey());
    const locks = await Promise.all(keys.map((key) => redis.getLocker().obtain(key, '10s', 0, { replicas: 1 })));
    expect(await Promise.all(locks.map((lock) => lock?.release()))).toEqual(keys.map(() => true));
    expect(redis.stats().connections).toBeLessThanOrEqual(3);
    await expectNothingLeft(redis, ...keys);
  });

  test('is lost if its time was over before a connection was free to confirm it on', async () => {
    const redis = open({ pool: { max: 2 } });
    const key = newKey();
    let free = () => {};
    const busy = redis.isolated(
      () =>
        new Promise<void>((resolve) => {
          free = resolve;
        }),
    );
    await eventually(() => redis.stats().leases.inUse === 1);
    const obtained = failure(redis.getLocker().obtain(key, 50, 0, { replicas: 1 }));
    await eventually(() => redis.stats().leases.waiting === 1);
    await eventually(async () => (await redis.exists(key)) === 0);
    free();
    expect(await obtained).toBeInstanceOf(LockLostError);
    await busy;
    await expectNothingLeft(redis, key);
  });

  test('does without ROLE for a user who may not ask', async () => {
    await master.cli('ACL', 'SETUSER', 'locker', 'on', '>secret', '~*', '&*', '+@all', '-role');
    const redis = open({ username: 'locker', password: 'secret' });
    const lock = await redis.getLocker().obtain(newKey(), '10s', 0, { replicas: 2 });
    expect(await lock?.release()).toBe(true);
    const error = await failure(redis.getLocker().obtain(newKey(), 400, 0, { replicas: 3 }));
    expect(error).toMatchObject({ code: 'LAGOON_LOCK_NOT_REPLICATED', acknowledged: 2 });
  });

  test('is there on Sentinel, with a prefix', async () => {
    const registry = new Registry().registerRedisSentinel(group.name, group.sentinels, 0, 'default', {
      keyPrefix: 'p:',
    });
    await using engine = registry.validate();
    const key = newKey();
    const lock = await engine.getRedis().getLocker().obtain(key, '10s', 0, { replicas: 2 });
    for (const replica of replicas) expect(await replica.cli('EXISTS', `p:${key}`)).toBe(1);
    expect(await lock?.release()).toBe(true);
  });
});

describe('with a replica that is frozen', () => {
  beforeAll(() => replicas[0]?.freeze());
  afterAll(() => replicas[0]?.thaw());
  afterEach(() => expect(replicas[0]?.running).toBe(true));

  test('a lock is given back in half of its time, and says how many have it', async () => {
    const redis = open();
    const key = newKey();
    const error = failure(redis.getLocker().obtain(key, '1s', 0, { replicas: 2 }));
    expect(await timed(error)).toBeLessThan(1_000);
    expect(await error).toBeInstanceOf(LockNotReplicatedError);
    expect(await error).toMatchObject({ acknowledged: 1 });
    expect((await error)?.message).toMatch(/1 of 2 replica\(s\) within 500 ms/);
    expect(await redis.getLocker().inspect(key)).toMatchObject({ held: false });
    const lock = await redis.getLocker().obtain(key, '1s', 0, { replicas: 1 });
    expect(await lock?.release()).toBe(true);
    await expectNothingLeft(redis, key);
  });

  test('nobody waits for longer than the timeout of commands, however long the lock is for', async () => {
    const redis = open({ commandTimeout: 300 });
    const error = failure(redis.getLocker().obtain(newKey(), '1h', 0, { replicas: 2 }));
    expect(await timed(error)).toBeLessThan(2_000);
    expect((await error)?.message).toContain('within 300 ms');
  });

  test('the next in line gets a lock that was handed over to one whom it failed', async () => {
    const redis = open();
    const locker = redis.getLocker();
    const key = newKey();
    const first = await locker.obtain(key, '10s');
    const failing = failure(locker.obtain(key, '600ms', '10s', { replicas: 2 }));
    await waitersOf(locker, key, 1);
    const next = locker.obtain(key, '10s', '10s', { replicas: 1 });
    await waitersOf(locker, key, 2);
    await first?.release();
    expect(await failing).toBeInstanceOf(LockNotReplicatedError);
    expect(await (await next)?.release()).toBe(true);
    await expectNothingLeft(redis, key);
  });

  test('an abort ends the wait at once, and the lock is free soon', async () => {
    const redis = open();
    const key = newKey();
    const abort = new AbortController();
    await master.cli('CONFIG', 'RESETSTAT');
    const obtaining = failure(redis.getLocker().obtain(key, '5s', 0, { replicas: 2, signal: abort.signal }));
    // It holds the lock, and waits for the replicas.
    await eventually(async () => String(await master.cli('CLIENT', 'LIST')).includes('cmd=wait'));
    expect(await redis.exists(key)).toBe(1);
    abort.abort();
    expect(await timed(obtaining)).toBeLessThan(1_000);
    expect(await obtaining).toBeInstanceOf(AbortError);
    await expectNothingLeft(redis, key);
  });

  test('a lock that was not confirmed is given back also if Redis cannot be asked at first', async () => {
    const proxy = await startProxy(master.address);
    try {
      const redis = poolOn(proxy, { commandTimeout: 500 });
      const key = newKey();
      const abort = new AbortController();
      const obtaining = failure(redis.getLocker().obtain(key, '1m', 0, { replicas: 2, signal: abort.signal }));
      await eventually(async () => String(await master.cli('CLIENT', 'LIST')).includes('cmd=wait'));
      proxy.blackhole(true);
      abort.abort();
      expect(await obtaining).toBeInstanceOf(AbortError);
      // Sent behind what gives it back, which then has failed too, and does not come any more.
      expect(await failure(redis.ping())).toBeInstanceOf(CommandTimeoutError);
      proxy.cutAll();
      proxy.blackhole(false);
      await eventually(async () => (await master.cli('EXISTS', key)) === 0);
    } finally {
      await proxy.stop();
    }
  });

  test('run does not run, and rejects', async () => {
    const redis = open();
    const key = newKey();
    let ran = false;
    const error = await failure(
      redis.getLocker().run(key, { ttl: '600ms', replicas: 2 }, () => {
        ran = true;
      }),
    );
    expect(error).toBeInstanceOf(LockNotReplicatedError);
    expect(ran).toBe(false);
    await expectNothingLeft(redis, key);
  });
});
