import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Lock, PoolConfig, RedisPool } from '../../src/index.js';
import { Registry } from '../../src/index.js';
import { type RedisServer, startCluster, startSentinel } from '../../src/testing/index.js';
import { eventually } from '../support/redis.js';
import { engineOf, isFailover, unhandledDuring } from '../topology/support.js';
import { Contest } from './contest.js';
import { newKey, startContender, waitersOf } from './support.js';

/** Several servers, one of which takes over when another dies. */
interface Group {
  readonly pool: PoolConfig;
  /** The master of a key. */
  master(key: string): Promise<RedisServer>;
  /** A replica of the master of a key. */
  replica(key: string): Promise<RedisServer | undefined>;
  /** Has a replica take over from the master of a key, in order. */
  failover(key: string): Promise<unknown>;
  settled(): Promise<void>;
  stop(): Promise<void>;
}

async function sentinel(): Promise<Group> {
  const group = await startSentinel({ replicas: 1 });
  return {
    pool: { sentinel: { master: group.name, nodes: group.sentinels } },
    master: () => group.master(),
    replica: async () => (await group.replicas())[0],
    failover: () => group.failover(),
    settled: () => group.settled(),
    stop: () => group.stop(),
  };
}

async function cluster(): Promise<Group> {
  const group = await startCluster();
  return {
    pool: { cluster: group.addresses.slice(3) },
    master: (key) => group.nodeOf(key),
    replica: async (key) => (await group.replicasOf(await group.nodeOf(key)))[0],
    failover: async (key) => group.failover(await group.nodeOf(key)),
    settled: () => group.settled(),
    stop: () => group.stop(),
  };
}

/** The one channel on which a server tells a process of its grants. */
async function channelAt(server: RedisServer): Promise<string> {
  const lists = await Promise.all(
    ['CHANNELS', 'SHARDCHANNELS'].map((kind) => server.cli('PUBSUB', kind, 'lagoon:lock:*')),
  );
  const channels = (lists as string[][]).flat();
  if (channels.length !== 1) throw new Error(`one channel expected, not ${JSON.stringify(channels)}`);
  return channels[0] as string;
}

async function listenersAt(server: RedisServer, channel: string): Promise<number> {
  const kind = channel.endsWith('}') ? 'SHARDNUMSUB' : 'NUMSUB';
  const [, count] = (await server.cli('PUBSUB', kind, channel)) as [string, number];
  return count;
}

describe.each([
  ['Sentinel', sentinel],
  ['a cluster', cluster],
])('a failover of %s', (_, start) => {
  let group: Group;
  beforeAll(async () => {
    group = await start();
  });
  afterAll(() => group.stop());

  function pool(): RedisPool {
    return engineOf(Registry.fromConfig({ pools: { default: group.pool } })).getRedis();
  }

  /** Kills the master of a key; resolves once another one is there and the dead one follows it. */
  async function kill(key: string): Promise<void> {
    const old = await group.master(key);
    await old.kill();
    await eventually(async () => (await group.master(key).catch(() => old)) !== old, { timeout: 20_000, interval: 50 });
    // Before the old one is back, which has forgotten everything: nobody may still take it for the master.
    await group.settled();
    await old.restart();
    await group.settled();
  }

  test('while a lock is held and queued: it stays held, and everybody gets it in the end', async () => {
    const contender = await startContender(group.pool);
    const [redis, other] = [pool(), pool()];
    const key = newKey();
    const holder = (await redis.getLocker().obtain(key, '20s', 0, { autoRenew: true })) as Lock;
    const fences = [holder.fence];
    const waiters: Promise<void>[] = [];
    for (const [i, contestant] of [other.getLocker(), contender, redis.getLocker(), contender].entries()) {
      const wait = async () => {
        const lock = await contestant.obtain(key, 60_000, 60_000);
        fences.push(lock?.fence ?? 0);
        await lock?.release();
      };
      waiters.push(wait());
      await waitersOf(redis.getLocker(), key, i + 1);
    }
    // What a replica has confirmed, it has with all that came before.
    const copies = redis.isolated(
      async (own) => {
        await own.set(`{${key}}last`, '1');
        return own.wait(1, 5_000);
      },
      { key: `{${key}}last` },
    );
    expect(await copies).toBeGreaterThan(0);
    const unhandled = await unhandledDuring(async () => {
      await kill(key);
      // It may fail while connections are made anew; it must not obtain what another holds.
      expect(
        await other
          .getLocker()
          .obtain(key, '1s')
          .catch(() => null),
      ).toBeNull();
      expect(holder.held).toBe(true);
      expect(await eventually(() => holder.ttl())).toBeGreaterThan(0);
      expect(await holder.release()).toBe(true);
      await Promise.all(waiters);
    });
    expect(unhandled).toEqual([]);
    expect(fences).toHaveLength(5);
    expect(fences).toEqual([...new Set(fences)].sort((x, y) => x - y));
    // A place that a waiter still has in the queue when it was given the lock is granted too, and given back at once.
    await eventually(async () => {
      expect(await redis.getLocker().inspect(key)).toMatchObject({ held: false, waiting: 0 });
    });
  });

  test('a grant is told to nobody who hears it at a replica only: he is told to ask', async () => {
    const [doomed, next] = [await startContender(group.pool), pool().getLocker()];
    const locker = pool().getLocker();
    const key = newKey();
    const holder = (await locker.obtain(key, '1m')) as Lock;
    void doomed.obtain(key, 60_000, 60_000).catch(() => undefined);
    await waitersOf(locker, key, 1);
    const [master, replica] = [await group.master(key), (await group.replica(key)) as RedisServer];
    const channel = await channelAt(master);
    const sharded = channel.endsWith('}');
    const heard: string[] = [];
    const listener = await createClient({ url: replica.url }).connect();
    onTestFinished(() => listener.destroy());
    await listener[sharded ? 'sSubscribe' : 'subscribe'](channel, (message) => void heard.push(message));
    const passedOn = next.obtain(key, '1m', '1m');
    await waitersOf(locker, key, 2);
    await doomed.kill();
    await eventually(async () => (await listenersAt(master, channel)) === 0);
    await holder.release();
    expect(await passedOn).not.toBeNull();
    await master.cli(sharded ? 'SPUBLISH' : 'PUBLISH', channel, 'the end');
    await eventually(() => heard.includes('the end'));
    expect(heard).toEqual([expect.stringMatching(/^\d+$/), 'the end']);
    await (await passedOn)?.release();
  });

  test.each([
    ['by kill -9', kill],
    ['by command', (key: string) => group.failover(key)],
  ])('%s under load: everybody ends, and no stale fence is accepted', async (how, fail) => {
    const contenders = await Promise.all([startContender(group.pool), startContender(group.pool)]);
    const lockers = [pool(), pool()].map((redis) => redis.getLocker());
    const key = newKey();
    const unhandled = await unhandledDuring(async () => {
      const contest = new Contest(key, [...lockers, ...lockers, ...contenders], { ttl: 1_000, wait: 30_000 });
      await eventually(() => contest.holds.length > 50, { timeout: 10_000 });
      await fail(key);
      const before = contest.holds.length;
      await eventually(() => contest.holds.length > before + 50, { timeout: 20_000 });
      await contest.stop();
      expect(contest.unexpected.filter((error) => !isFailover(error))).toEqual([]);
      expect(contest.fencesGrow).toBe(true);
      // Each that was accepted had read what was accepted last.
      expect(contest.guarded.value).toBe(contest.guarded.written);
      if (how === 'by command') expect(contest.failed).toBeLessThan(20);
    });
    expect(unhandled).toEqual([]);
    await eventually(async () => {
      expect(await lockers[0]?.inspect(key)).toMatchObject({ held: false, waiting: 0 });
    });
  });
});
