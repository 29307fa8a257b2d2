import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CrossSlotError,
  type Lock,
  type Locker,
  type PoolOptions,
  type RedisPool,
  Registry,
  ReplyError,
} from '../../src/index.js';
import { type RedisCluster, type RedisServer, startCluster } from '../../src/testing/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/redis.js';
import { engineOf } from '../topology/support.js';
import { Contest } from './contest.js';
import { type Contender, newKey, servedInTurn, startContender, waitersOf } from './support.js';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startCluster({ replicasPerMaster: 0 });
});
afterAll(() => cluster.stop());

/** A pool that shares nothing with any other, and knows one node of the cluster only until it has asked that. */
function pool(seed = 0, options: PoolOptions = {}): RedisPool {
  return engineOf(
    new Registry().registerRedisCluster([cluster.addresses[seed] as string], 'default', options),
  ).getRedis();
}

function lockers(count: number): Locker[] {
  return Array.from({ length: count }, (_, i) => pool(i % 3).getLocker());
}

/** Braces that mean something to a cluster, and braces that do not. */
const ODD = ['{a}b', 'a{}b{c}', 'key}', 'a{b', '{', '}{', '{}', '{{a}}', '{é}', 'é{}'];

async function free(locker: Locker, ...keys: string[]): Promise<void> {
  for (const key of keys) expect(await locker.inspect(key)).toMatchObject({ held: false, waiting: 0 });
}

describe('locks on a cluster', () => {
  test('are held by one, told by inspect, renewed, refreshed and given back, in every slot', async () => {
    const [a, b] = lockers(2) as [Locker, Locker];
    const keys = Array.from({ length: 60 }, () => newKey());
    const locks = await Promise.all(keys.map((key) => a.obtain(key, '1m', 0, { autoRenew: true })));
    expect(await Promise.all(keys.map((key) => b.obtain(key, '1m')))).toEqual(keys.map(() => null));
    for (const [i, key] of keys.entries()) {
      expect(await b.inspect(key)).toMatchObject({ held: true, fence: locks[i]?.fence, waiting: 0 });
      expect(await locks[i]?.ttl()).toBeGreaterThan(50_000);
    }
    expect(await Promise.all(locks.map((lock) => lock?.refresh('2m')))).toEqual(keys.map(() => true));
    expect((await b.inspect(keys[0] as string)).ttl).toBeGreaterThan(60_000);
    expect(await Promise.all(locks.map((lock) => lock?.release()))).toEqual(keys.map(() => true));
    await free(b, ...keys);
  });

  test('renew themselves', async () => {
    const [a, b] = lockers(2) as [Locker, Locker];
    const keys = Array.from({ length: 10 }, () => newKey());
    const locks = await Promise.all(keys.map((key) => a.obtain(key, 1_000, 0, { autoRenew: true })));
    await sleep(2_200); // more than two lives without renewal
    expect(locks.map((lock) => lock?.held)).toEqual(keys.map(() => true));
    expect(await Promise.all(keys.map((key) => b.obtain(key, '1m')))).toEqual(keys.map(() => null));
    await Promise.all(locks.map((lock) => lock?.release()));
  });

  test('are handed on first in, first out, whatever braces the key has', async () => {
    const [a, b, c] = lockers(3) as [Locker, Locker, Locker];
    for (const key of ODD) {
      const holder = await a.obtain(key, '1m');
      const order: number[] = [];
      const fences = [holder?.fence ?? 0];
      const waiters: Promise<void>[] = [];
      for (const [i, locker] of [b, a, c, b].entries()) {
        const wait = async () => {
          const lock = await locker.obtain(key, '1m', '10s');
          order.push(lock ? i : -1);
          fences.push(lock?.fence ?? 0);
          await lock?.release();
        };
        waiters.push(wait());
        await waitersOf(c, key, i + 1);
      }
      const releasedAt = performance.now();
      await holder?.release();
      await Promise.all(waiters);
      // No timer was needed: everybody was told.
      expect(performance.now() - releasedAt, key).toBeLessThan(2_000);
      expect(order, key).toEqual([0, 1, 2, 3]);
      expect(fences, key).toEqual([...new Set(fences)].sort((x, y) => x - y));
      await free(a, key);
    }
  });

  test('have keys of bytes, and a prefix with braces or without', async () => {
    for (const keyPrefix of ['app:', '{app}:']) {
      const [a, b] = [pool(0, { keyPrefix }).getLocker(), pool(1, { keyPrefix }).getLocker()];
      for (const key of [...ODD, Buffer.from([0, 0x7b, 0xff, 0x7d, 0x7b])]) {
        const holder = await a.obtain(key, '1m');
        const waiter = b.obtain(key, '1m', '10s');
        await eventually(async () => (await a.inspect(key)).waiting === 1);
        expect(await holder?.release()).toBe(true);
        expect(await (await waiter)?.release()).toBe(true);
      }
    }
  });

  test('are on several keys of one slot, or refused before anything is sent', async () => {
    const [a, b] = lockers(2) as [Locker, Locker];
    const [x, y] = [newKey('{several}'), newKey('{several}')];
    const both = await a.obtain([x, y], '1m');
    expect(await b.obtain(x, '1m')).toBeNull();
    const next = b.obtain([y, x], '1m', '10s');
    await waitersOf(a, x, 1);
    const last = a.obtain(x, '1m', '10s');
    await waitersOf(a, x, 2);
    await both?.release();
    expect(await (await next)?.release()).toBe(true);
    expect(await (await last)?.release()).toBe(true);
    await free(a, x, y);

    const [one, two] = ['slot:1', 'slot:2'];
    await Promise.all(cluster.nodes.map((node) => node.cli('CONFIG', 'RESETSTAT')));
    for (const waitTimeout of [0, 100]) {
      const error = await failure(a.obtain([one, two], '1m', waitTimeout));
      expect(error).toBeInstanceOf(CrossSlotError);
      expect(error?.message).toMatch(/^A lock has keys of different slots \("slot:1" and "slot:2"\).*\{user:1\}:cart/);
    }
    const stats = await Promise.all(cluster.nodes.map((node) => node.cli('INFO', 'commandstats')));
    expect(stats.join()).not.toContain('cmdstat_eval');
  });

  test('run, are tried, and are mutexes', async () => {
    const [a, b] = lockers(2) as [Locker, Locker];
    const key = newKey();
    const outcome = await a.run(key, { ttl: '10s' }, async (outer) => {
      expect(await b.obtain(key, '1s')).toBeNull();
      expect((await failure(b.tryLock(key, '1s')))?.code).toBe('LAGOON_LOCK_NOT_OBTAINED');
      await a.run(key, { ttl: '10s' }, (inner) => expect(inner).toBe(outer));
      return b.inspect(key);
    });
    expect(outcome.held).toBe(true);
    const unlock = await b.tryLock(key, '1m');
    expect(await a.mutex(key, { ttl: '1m' }).acquire()).toBe(false);
    expect(await unlock()).toBe(true);
    const mutex = a.mutex(key, { ttl: '1m' });
    expect([await mutex.acquire(), await mutex.acquire()]).toEqual([true, true]);
    expect([await mutex.release(), await mutex.release(), await mutex.release()]).toEqual([true, true, false]);
    await free(b, key);
  });

  test('have readers and writers, the writer before every reader who asks later', async () => {
    const [a, b, c] = lockers(3) as [Locker, Locker, Locker];
    const key = newKey('a{}{rw}');
    const readers = [await a.readWriteLock(key).obtainRead('1m'), await b.readWriteLock(key).obtainRead('1m')];
    expect(await c.readWriteLock(key).obtainWrite('1m')).toBeNull();
    const order: string[] = [];
    const take = async (name: string, waiter: Promise<Lock | null>) => {
      const lock = await waiter;
      order.push(lock ? name : `${name} got nothing`);
      await lock?.release();
    };
    const writer = take('writer', c.readWriteLock(key).obtainWrite('1m', '10s'));
    await queued(key, 1);
    const late = take('reader', b.readWriteLock(key).obtainRead('1m', '10s'));
    await queued(key, 2);
    for (const reader of readers) expect(await reader?.release()).toBe(true);
    await Promise.all([writer, late]);
    expect(order).toEqual(['writer', 'reader']);
  });

  test('have permits', async () => {
    const [a, b] = lockers(2) as [Locker, Locker];
    const key = newKey('permits}');
    const held = [await a.semaphore(key, 2).obtain('1m'), await b.semaphore(key, 2).obtain('1m')];
    expect(await a.semaphore(key, 2).obtain('1m')).toBeNull();
    const waiters = [a.semaphore(key, 2).obtain('1m', '10s'), b.semaphore(key, 2).obtain('1m', '10s')];
    await queued(key, 2);
    for (const permit of held) expect(await permit?.release()).toBe(true);
    for (const waiter of waiters) expect(await (await waiter)?.release()).toBe(true);
  });

  test('keep loaders apart in all processes: getOrSet with lock', async () => {
    const caches = [0, 1, 2].map((seed) => pool(seed).getCache<string>({ prefix: 'c{}', ttl: '1m' }));
    let loads = 0;
    const load = async () => {
      loads++;
      await sleep(50);
      return 'loaded';
    };
    for (const key of ['plain', '{a}', 'b}']) {
      loads = 0;
      const values = await Promise.all(caches.map((cache) => cache.getOrSet(key, load, { lock: true })));
      expect(values).toEqual(caches.map(() => 'loaded'));
      expect(loads).toBe(1);
    }
  });

  test('are held by a quorum of pools: Redlock', async () => {
    const registry = new Registry<string>();
    for (const [i, code] of ['a', 'b', 'c'].entries()) {
      registry.registerRedisCluster([cluster.addresses[i] as string], code, { keyPrefix: `${code}:` });
    }
    const engine = engineOf(registry as never);
    await engine.connect();
    const redlock = engine.getRedlock(['a', 'b', 'c'] as never, { retryCount: 0 });
    const lock = await redlock.lock('resource{', '10s');
    expect((await failure(redlock.lock('resource{', '10s')))?.code).toBe('LAGOON_LOCK_NOT_OBTAINED');
    expect(await lock.extend('20s')).toBe(true);
    expect(await lock.release()).toBe(true);
    const again = await redlock.lock('resource{', '10s');
    expect(await again.release()).toBe(true);
  });

  test('share script calls with those of their slot', async () => {
    const redis = pool();
    const locker = redis.getLocker();
    const keys = Array.from({ length: 50 }, () => newKey('{shared}'));
    await (await locker.obtain('{shared}', '1m'))?.release();
    await Promise.all(cluster.nodes.map((node) => node.cli('CONFIG', 'RESETSTAT')));
    const locks = await Promise.all(keys.map((key) => locker.obtain(key, '1m')));
    expect(await Promise.all(locks.map((lock) => lock?.release()))).toEqual(keys.map(() => true));
    const owner = await cluster.nodeOf('{shared}');
    const calls = /cmdstat_evalsha:calls=(\d+)/.exec(String(await owner.cli('INFO', 'commandstats')))?.[1];
    expect(Number(calls)).toBe(2);
  });

  test('do not mind that the scripts were flushed on every node', async () => {
    const locker = pool().getLocker();
    const key = newKey();
    const lock = await locker.obtain(key, '1m');
    const waiter = locker.obtain(key, '1m', '10s');
    await waitersOf(locker, key, 1);
    await Promise.all(cluster.nodes.map((node) => node.cli('SCRIPT', 'FLUSH')));
    expect(await lock?.release()).toBe(true);
    expect(await (await waiter)?.release()).toBe(true);
  });
});

describe('waiting on a cluster', () => {
  test('is in order among processes that know different nodes', async () => {
    const [locker] = lockers(1) as [Locker];
    const contenders = await Promise.all(cluster.addresses.map((address) => startContender({ cluster: [address] })));
    for (const key of [newKey(), newKey('x{')]) {
      const { order, fences } = await servedInTurn(locker, key, 12, (i) => contenders[i % 4] ?? locker);
      expect(order).toEqual(Array.from({ length: 12 }, (_, i) => i));
      expect(fences).toEqual([...fences].sort((x, y) => x - y));
    }
  });

  test('passes over a process that was killed, at once', async () => {
    const [locker] = lockers(1) as [Locker];
    const [doomed, other] = await Promise.all(
      [1, 2].map((i) => startContender({ cluster: [cluster.addresses[i] as string] })),
    );
    if (!doomed || !other) throw new Error('no contenders');
    const key = newKey();
    const holder = await locker.obtain(key, '1m');
    void doomed.obtain(key, 60_000, 20_000).catch(() => undefined);
    void doomed.obtain(key, 60_000, 20_000).catch(() => undefined);
    await waitersOf(locker, key, 2);
    const alive = other.obtain(key, 60_000, 20_000);
    await waitersOf(locker, key, 3);
    await doomed.kill();
    // The server has read of the closed connection.
    await eventually(async () => (await channelsOf(key)) === 1);
    const releasedAt = performance.now();
    await holder?.release();
    expect(await alive).not.toBeNull();
    expect(performance.now() - releasedAt).toBeLessThan(500);
  });

  test('passes over a process that is gone, though others hold what it would need, and not one that is there', async () => {
    const [locker, other] = lockers(2) as [Locker, Locker];
    const [x, y] = [newKey('{gone}'), newKey('{gone}')];
    await locker.obtain(y, '1m');
    const doomed = await startContender({ cluster: [cluster.addresses[1] as string] });
    void doomed.obtain([x, y], 60_000, 60_000).catch(() => undefined);
    await waitersOf(locker, x, 1);
    const waiter = other.obtain(x, '1m', '1m');
    await waitersOf(locker, x, 2);
    expect(await locker.obtain(x, '1m')).toBeNull();
    await doomed.kill();
    await eventually(async () => (await channelsOf(x)) === 1);
    // Who asks finds out, for all.
    const next = locker.obtain(x, '1m', '30s');
    expect(await (await waiter)?.release()).toBe(true);
    expect(await (await next)?.release()).toBe(true);
    expect(await locker.inspect(y)).toMatchObject({ waiting: 0 });
  });

  test('listens in the slots where somebody waits, and not for ever', async () => {
    const redis = pool(0, { pool: { idleTimeout: 200 } });
    const locker = redis.getLocker();
    const keys = [newKey(), newKey(), newKey()];
    for (const round of [1, 2]) {
      const holders = await Promise.all(keys.map((key) => locker.obtain(key, '1m')));
      const waiters = keys.map((key) => locker.obtain(key, '1m', '10s'));
      for (const key of keys) await waitersOf(locker, key, 1);
      expect(redis.stats().subscriptions, `round ${round}`).toBe(3);
      // Longer than it takes to leave a slot where nobody waits.
      await sleep(300);
      expect(redis.stats().subscriptions).toBe(3);
      for (const holder of holders) await holder?.release();
      for (const waiter of waiters) await (await waiter)?.release();
      await eventually(async () => redis.stats().subscriptions === 0);
      for (const key of keys) expect(await channelsOf(key)).toBe(0);
    }
  });
});

describe('a cluster of servers older than Redis 7', () => {
  test('has locks, and says at once why nobody can wait for them', async () => {
    // No such server is at hand; what it lacks is taken from this one.
    const args = ['--rename-command', 'SSUBSCRIBE', ''];
    await using old = await startCluster({ masters: 1, replicasPerMaster: 0, args });
    const locker = engineOf(new Registry().registerRedisCluster(old.addresses)).getRedis().getLocker();
    const lock = await locker.obtain('key', '1m');
    expect(await locker.obtain('key', '1m')).toBeNull();
    const error = await failure(locker.obtain('key', '1m', '1m'));
    expect(error).toBeInstanceOf(ReplyError);
    expect(error?.message).toMatch(/^ERR Waiting for a lock in a cluster needs sharded messages .* since version 7/);
    expect(await lock?.release()).toBe(true);
    expect(await (await locker.obtain('key', '1m', '1m'))?.release()).toBe(true);
  });
});

/** How many processes listen for grants in the slot of a key. */
async function channelsOf(key: string): Promise<number> {
  const tag = pool().slotTag(key);
  const channels = (await (await cluster.nodeOf(key)).cli('PUBSUB', 'SHARDCHANNELS', `*${tag}`)) as string[];
  return channels.length;
}

/** Resolves once so many claims of any kind wait for the key. */
function queued(key: string, count: number): Promise<unknown> {
  const queue = `lagoon:locks${pool().slotTag(key)}:${key}`;
  return eventually(async () => (await (await cluster.nodeOf(key)).cli('LLEN', queue)) === count);
}

describe('a slot that moves', () => {
  /** A master other than the one that has the key. */
  async function another(key: string) {
    const owner = await cluster.nodeOf(key);
    return (await cluster.masters()).find((master) => master !== owner) as RedisServer;
  }

  test('takes held locks and those who wait for them along, however many of their keys are ahead', async () => {
    const other = await startContender({ cluster: cluster.addresses });
    const [from, to] = (await cluster.masters()) as [RedisServer, RedisServer];
    // All in one direction: two servers that send each other keys wait for each other.
    const keys: string[] = [];
    while (keys.length < 5) {
      const key = newKey('moving');
      if ((await cluster.nodeOf(key)) === from) keys.push(key);
    }
    await Promise.all(keys.map((key, ahead) => moveHeld(key, to, ahead, other)));
  });

  /** `ahead`: how many of the four keys, which are the lock, its queue, who waits there and the book, are on the new side for a long time. */
  async function moveHeld(key: string, to: RedisServer, ahead: number, other: Contender): Promise<void> {
    const [a, b] = lockers(2) as [Locker, Locker];
    const ttl = 3_000;
    const holder = (await a.obtain(key, ttl, 0, { autoRenew: true })) as Lock;
    const fences = [holder.fence];
    const waiters: Promise<void>[] = [];
    for (const [i, contestant] of [b, other, a, other, b].entries()) {
      const wait = async () => {
        const lock = await contestant.obtain(key, 60_000, 20_000);
        fences.push(lock?.fence ?? 0);
        await lock?.release();
      };
      waiters.push(wait());
      await waitersOf(b, key, i + 1);
    }
    const move = await cluster.startMovingSlot(key, to);
    expect(await move.moveKeys(ahead)).toBe(ahead);
    const renewals: number[] = [];
    let slippedIn = false;
    let moving = true;
    const intruder = b.obtain(key, '1m').then((lock) => {
      if (moving && lock) slippedIn = true;
      return lock?.release();
    });
    // It is renewed on whichever side it is.
    await eventually(() => {
      if (renewals.at(-1) !== holder.expiresAt) renewals.push(holder.expiresAt);
      return renewals.length === 3;
    });
    expect(holder.held).toBe(true);
    const released = holder.release();
    moving = false;
    await move.finish();
    expect(await released).toBe(true);
    expect(slippedIn).toBe(false);
    await Promise.all([intruder, ...waiters]);
    expect(fences).toHaveLength(6);
    expect(fences).toEqual([...new Set(fences)].sort((x, y) => x - y));
    await free(b, key);
  }

  test('again and again under load: everybody ends, nobody overlaps, fences grow', async () => {
    const contenders = await Promise.all(cluster.addresses.slice(0, 2).map((it) => startContender({ cluster: [it] })));
    const key = newKey('load');
    const contest = new Contest(key, [...lockers(3), ...contenders, ...contenders], { ttl: 10_000, wait: 10_000 });
    for (let moves = 0; moves < 6; moves++) {
      const before = contest.holds.length;
      await eventually(() => contest.holds.length > before + 20, { timeout: 10_000 });
      await cluster.moveSlot(key, await another(key));
    }
    const before = contest.holds.length;
    await eventually(() => contest.holds.length > before + 20, { timeout: 10_000 });
    await contest.stop();
    expect(contest.unexpected).toEqual([]);
    expect(contest.failed).toBe(0);
    expect(contest.overlaps).toBe(0);
    expect(contest.fencesGrow).toBe(true);
    expect(contest.guarded).toMatchObject({ refused: 0, value: contest.holds.length });
    await free(lockers(1)[0] as Locker, key);
  });
});
