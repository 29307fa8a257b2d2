import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CommandTimeoutError,
  type Engine,
  InvalidArgumentError,
  LockNotReplicatedError,
  type RedisPool,
  Registry,
} from '../../src/index.js';
import { KeyvLagoon } from '../../src/keyv/index.js';
import {
  type RedisCluster,
  type RedisServer,
  type SentinelGroup,
  startCluster,
  startSentinel,
} from '../../src/testing/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/redis.js';
import { engineOf, isFailover, unhandledDuring } from './support.js';

const KEYS = Array.from({ length: 30 }, (_, i) => `key:${i}`);

/** How often a server has executed a command since its statistics were reset. */
async function calls(server: RedisServer, command: string): Promise<number> {
  const stats = String(await server.cli('INFO', 'commandstats'));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

async function callsOf(servers: readonly RedisServer[], command: string): Promise<number> {
  const each = await Promise.all(servers.map((server) => calls(server, command)));
  return each.reduce((sum, count) => sum + count, 0);
}

async function reset(servers: readonly RedisServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.cli('CONFIG', 'RESETSTAT')));
}

/** Connections of pools to a server. */
async function connectionsTo(server: RedisServer): Promise<number> {
  return String(await server.cli('CLIENT', 'LIST', 'TYPE', 'NORMAL')).split('name=lagoon:default').length - 1;
}

/** The replicas that a pool reads from. */
async function readFrom(engine: Engine<'default'>): Promise<string[]> {
  const { nodes } = (await engine.health()).default;
  return nodes
    .filter(({ role, status }) => role === 'replica' && status === 'up')
    .map(({ address }) => address)
    .sort();
}

/** Writes every key, and has the replicas know it. */
async function write(redis: RedisPool, masters: readonly RedisServer[]): Promise<void> {
  await Promise.all(KEYS.map((key) => redis.set(key, key)));
  await Promise.all(masters.map((master) => master.cli('WAIT', '1', '2000')));
}

/** Reads every key over and over while `work` runs; resolves to what reads failed with. */
async function whileReading(redis: RedisPool, work: () => Promise<void>): Promise<unknown[]> {
  const errors: unknown[] = [];
  let stopped = false;
  const loops = KEYS.map(async (key) => {
    while (!stopped) {
      try {
        expect(await redis.get(key)).toBe(key);
      } catch (error) {
        errors.push(error);
        await sleep(2);
      }
    }
  });
  try {
    await work();
  } finally {
    stopped = true;
    await Promise.all(loops);
  }
  return errors;
}

interface Deployment {
  readonly nodes: readonly RedisServer[];
  masters(): Promise<RedisServer[]>;
  replicas(): Promise<RedisServer[]>;
  open(replicas?: 'never' | 'prefer', commandTimeout?: number): Engine<'default'>;
}

let group: SentinelGroup;
const onSentinel: Deployment = {
  get nodes() {
    return group.servers;
  },
  masters: async () => [await group.master()],
  replicas: () => group.replicas(),
  open: (replicas, commandTimeout = 5_000) =>
    engineOf(
      new Registry().registerRedisSentinel(group.name, group.sentinels, 0, 'default', {
        commandTimeout,
        ...(replicas && { replicas }),
      }),
    ),
};

let cluster: RedisCluster;

/** Waits until every node of the cluster names all replicas: not before one has copied anything. */
async function replicasNamed(): Promise<void> {
  const engine = onCluster.open();
  await Promise.all(KEYS.map((key) => engine.getRedis().set(key, key)));
  await eventually(async () => {
    const maps = await Promise.all(cluster.nodes.map((node) => node.cli('CLUSTER', 'SLOTS')));
    // From, to, the master, its replicas.
    return (maps as unknown[][][]).every((map) => map.every((range) => range.length === 4));
  });
  await engine.close();
}

const onCluster: Deployment = {
  get nodes() {
    return cluster.nodes;
  },
  masters: () => cluster.masters(),
  replicas: async () => (await Promise.all((await cluster.masters()).map((each) => cluster.replicasOf(each)))).flat(),
  open: (replicas, commandTimeout = 5_000) =>
    engineOf(
      new Registry().registerRedisCluster(cluster.addresses.slice(0, 2), 'default', {
        commandTimeout,
        ...(replicas && { replicas }),
      }),
    ),
};

beforeAll(async () => {
  [group, cluster] = await Promise.all([startSentinel(), startCluster()]);
  await replicasNamed();
});
afterAll(() => Promise.all([group?.stop(), cluster?.stop()]));

describe.each([
  ['Sentinel', onSentinel],
  ['a cluster', onCluster],
])('a pool that prefers replicas, on %s', (name, on) => {
  test('reads from all of them, and writes to the masters', async () => {
    const engine = on.open('prefer');
    await engine.connect();
    const redis = engine.getRedis();
    const [masters, replicas] = await Promise.all([on.masters(), on.replicas()]);
    expect(await readFrom(engine)).toEqual(replicas.map(({ address }) => address).sort());
    await write(redis, masters);
    await reset(on.nodes);
    const values = await Promise.all(KEYS.map((key) => redis.get(key)));
    expect(values).toEqual(KEYS);
    expect(await callsOf(masters, 'get')).toBe(0);
    expect(await callsOf(replicas, 'get')).toBe(KEYS.length);
    for (const replica of replicas) expect(await calls(replica, 'get')).toBeGreaterThan(0);
    expect(await redis.sendCommand(['get', KEYS[0] as string])).toBe(KEYS[0]);
    expect(await redis.sendCommand([Buffer.from('GET'), KEYS[1] as string])).toBe(KEYS[1]);
    expect(await redis.withTimeout('2s').mGet(['key:1'])).toEqual(['key:1']);
    expect(await callsOf(masters, 'get')).toBe(0);
    expect(await callsOf(masters, 'mget')).toBe(0);
    await redis.set('key:1', 'key:1');
    await redis.hSet('hash', 'field', 'value');
    expect(await callsOf(masters, 'set')).toBe(1);
    expect(await callsOf(masters, 'hset')).toBe(1);
  });

  test('asks the master for everything else', async () => {
    const engine = on.open('prefer');
    await engine.connect();
    const redis = engine.getRedis();
    await write(redis, await on.masters());
    const replicas = await on.replicas();
    await reset(on.nodes);
    // A transaction, a pipeline, a script, a connection of one's own, a blocking read, scans.
    expect(await redis.multi().get('key:1').exec()).toEqual(['key:1']);
    expect(await redis.multi().get('key:1').execAsPipeline()).toEqual(['key:1']);
    expect(await redis.eval('return redis.call("GET", KEYS[1])', { keys: ['key:1'] })).toBe('key:1');
    expect(await redis.evalRo('return redis.call("GET", KEYS[1])', { keys: ['key:1'] })).toBe('key:1');
    expect(await redis.isolated((own) => own.get('key:1'), { key: 'key:1' })).toBe('key:1');
    expect(await redis.transaction((own) => own.multi().get('key:1').exec(), { watch: 'key:1' })).toEqual(['key:1']);
    expect(await redis.xRead({ key: 'stream', id: '$' }, { BLOCK: 10 })).toBeNull();
    const seen = new Set<string>();
    for await (const keys of redis.scanIterator({ MATCH: 'key:*' })) for (const key of keys) seen.add(key);
    expect(seen.size).toBe(KEYS.length);
    await redis.hSet('hash', 'field', 'value');
    for await (const [entry] of redis.hScanIterator('hash')) expect(entry).toEqual({ field: 'field', value: 'value' });
    await redis.touch('key:1');
    // Limits, and caches, what they decide by and what they fill.
    expect(await redis.rateLimit('limited', '1m', 100)).toBe(true);
    await redis.getRateLimiter({ limit: 5, period: '1m' }).peek('limited');
    for (const local of [false, true]) {
      const cache = redis.getCache<string>({ prefix: `cache:${local}`, ttl: '1m', local });
      expect(await cache.get('a')).toBeUndefined();
      expect(await cache.getOrSet('a', () => 'loaded')).toBe('loaded');
      await cache.put('b', 'tagged', { tags: ['tag'] });
      expect(await cache.getMany(['a', 'b'])).toEqual(['loaded', 'tagged']);
      expect(await cache.has('b')).toBe(true);
      await cache.removeByPattern('*');
    }
    const keyv = new KeyvLagoon(redis, { prefix: 'keyv' });
    await keyv.set('a', 'stored');
    expect(await keyv.get('a')).toBe('stored');
    for (const command of ['get', 'mget', 'pttl', 'eval', 'eval_ro', 'evalsha', 'xread', 'scan', 'hscan', 'touch']) {
      // What a master does in a script it does at its replicas too, but only what writes.
      expect([command, await callsOf(replicas, command)]).toEqual([command, 0]);
    }
  });

  test('reads from the master in a view of it', async () => {
    const engine = on.open('prefer');
    await engine.connect();
    const redis = engine.getRedis();
    await write(redis, await on.masters());
    await reset(on.nodes);
    const fresh = redis.withReplicas('never');
    expect(await Promise.all(KEYS.map((key) => fresh.get(key)))).toEqual(KEYS);
    expect(await callsOf(await on.replicas(), 'get')).toBe(0);
    expect(await fresh.withTimeout('1s').get('key:1')).toBe('key:1');
    expect(await callsOf(await on.replicas(), 'get')).toBe(0);
    expect(await fresh.withReplicas('prefer').get('key:1')).toBe('key:1');
    expect(await callsOf(await on.replicas(), 'get')).toBe(1);
    expect(() => redis.withReplicas('always' as 'never')).toThrow(InvalidArgumentError);
  });

  test('opens its lanes to each replica and nothing more', async () => {
    const engine = on.open('prefer');
    await engine.connect();
    const redis = engine.getRedis();
    await Promise.all(KEYS.map((key) => redis.get(key)));
    for (const replica of await on.replicas()) expect(await connectionsTo(replica)).toBe(1);
    const { lanes, connections } = redis.stats();
    expect(lanes).toEqual({ total: on.nodes.length, connected: on.nodes.length });
    expect(connections).toBe(on.nodes.length);
    await engine.close();
    await eventually(async () => {
      const open = await Promise.all(on.nodes.map(connectionsTo));
      return open.every((count) => count === 0);
    });
  });

  test('is not asked for: then no connection leads to a replica', async () => {
    const engine = on.open();
    await engine.connect();
    const redis = engine.getRedis();
    await Promise.all(KEYS.map((key) => redis.withReplicas('prefer').get(key)));
    for (const replica of await on.replicas()) expect(await connectionsTo(replica)).toBe(0);
    expect(redis.getPoolConfig().replicas).toBe('never');
    expect((await engine.health()).default.nodes.every(({ role }) => role === 'master')).toBe(true);
  });

  test('reads from the master what a frozen replica does not answer, within the timeout', async () => {
    const engine = on.open('prefer', 3_000);
    await engine.connect();
    const redis = engine.getRedis();
    await write(redis, await on.masters());
    const [replica] = await on.replicas();
    if (!replica) throw new Error('there is no replica');
    await replica.freeze();
    try {
      expect(await Promise.all(KEYS.map((key) => redis.get(key)))).toEqual(KEYS);
      // From now on it is left out.
      await eventually(async () => !(await readFrom(engine)).includes(replica.address));
      const startedAt = performance.now();
      expect(await Promise.all(KEYS.map((key) => redis.get(key)))).toEqual(KEYS);
      expect(performance.now() - startedAt).toBeLessThan(1_400);
      expect((await engine.health()).default.status).toBe('up');
    } finally {
      await replica.thaw();
    }
    await eventually(async () => (await readFrom(engine)).includes(replica.address), { timeout: 15_000 });
  });

  test('reads from others or the master when a replica is killed, without an error, and from it again when it is back', async () => {
    const engine = on.open('prefer');
    await engine.connect();
    const redis = engine.getRedis();
    await write(redis, await on.masters());
    const [replica] = await on.replicas();
    if (!replica) throw new Error('there is no replica');
    const unhandled = await unhandledDuring(async () => {
      const errors = await whileReading(redis, async () => {
        await replica.kill();
        await eventually(async () => !(await readFrom(engine)).includes(replica.address));
        await replica.restart();
        await eventually(async () => (await readFrom(engine)).includes(replica.address), { timeout: 20_000 });
      });
      expect(errors).toEqual([]);
    });
    expect(unhandled).toEqual([]);
    await (name === 'Sentinel' ? group : cluster).settled();
  });

  test('leaves a replica out that does not hear of its master, until it does', async () => {
    const engine = on.open('prefer');
    await engine.connect();
    const redis = engine.getRedis();
    await write(redis, await on.masters());
    const [replica] = await on.replicas();
    if (!replica) throw new Error('there is no replica');
    await replica.cli('CONFIG', 'SET', 'masterauth', 'wrong');
    for (const master of await on.masters()) await master.cli('CLIENT', 'KILL', 'TYPE', 'REPLICA');
    await eventually(async () => !(await readFrom(engine)).includes(replica.address));
    await reset(on.nodes);
    expect(await Promise.all(KEYS.map((key) => redis.get(key)))).toEqual(KEYS);
    expect(await calls(replica, 'get')).toBe(0);
    await replica.cli('CONFIG', 'SET', 'masterauth', '');
    await eventually(async () => (await readFrom(engine)).includes(replica.address), { timeout: 15_000 });
    await (name === 'Sentinel' ? group : cluster).settled();
  });

  test('follows a failover: the promoted replica is written to, the demoted master is read from', async () => {
    const engine = on.open('prefer');
    await engine.connect();
    const redis = engine.getRedis();
    await write(redis, await on.masters());
    const [old] = await on.masters();
    if (!old) throw new Error('there is no master');
    let promoted = old;
    const errors = await whileReading(redis, async () => {
      promoted = name === 'Sentinel' ? await group.failover() : await cluster.failover(old);
      await eventually(
        async () => {
          const { nodes } = (await engine.health()).default;
          const has = (server: RedisServer, role: string) =>
            nodes.some((node) => node.address === server.address && node.role === role && node.status === 'up');
          return has(promoted, 'master') && has(old, 'replica');
        },
        { timeout: 20_000 },
      );
    });
    expect(errors.filter((error) => !isFailover(error))).toEqual([]);
    await write(redis, [promoted]);
    await reset(on.nodes);
    expect(await Promise.all(KEYS.map((key) => redis.get(key)))).toEqual(KEYS);
    expect(await calls(promoted, 'get')).toBe(0);
    expect(await calls(old, 'get')).toBeGreaterThan(0);
  });
});

describe.each([
  ['Sentinel', onSentinel],
  ['a cluster', onCluster],
])('a lock, on %s', (_, on) => {
  test('is the master’s, though the pool prefers replicas', async () => {
    const engine = on.open('prefer');
    await engine.connect();
    await reset(on.nodes);
    const locker = engine.getRedis().getLocker();
    const lock = await locker.obtain('lock', '10s');
    expect(await lock?.ttl()).toBeGreaterThan(0);
    expect(await lock?.refresh('10s')).toBe(true);
    expect(await locker.inspect('lock')).toMatchObject({ held: true });
    const waiting = locker.obtain('lock', '10s', '5s');
    await eventually(async () => (await locker.inspect('lock')).waiting === 1);
    expect(await lock?.release()).toBe(true);
    expect(await (await waiting)?.release()).toBe(true);
    const replicas = await on.replicas();
    for (const command of ['evalsha', 'eval', 'mget', 'pttl', 'exists']) {
      expect([command, await callsOf(replicas, command)]).toEqual([command, 0]);
    }
  });

  test('is confirmed by replicas of the master that has its key', async () => {
    const engine = on.open();
    const redis = engine.getRedis();
    const locker = redis.getLocker();
    const replicas = await on.replicas();
    const held = async (key: string) =>
      Promise.all(replicas.map(async (one) => (await one.cli('KEYS', key)) as string[]));
    // Of every shard of the cluster, some.
    for (const key of KEYS.map((name) => `lock:${name}`).slice(0, 10)) {
      const first = await locker.obtain(key, '10s', 0, { replicas: 1 });
      expect((await held(key)).flat()).toContain(key);
      const waiting = locker.obtain(key, '10s', '5s', { replicas: 1 });
      await eventually(async () => (await locker.inspect(key)).waiting === 1);
      expect(await first?.release()).toBe(true);
      const second = await waiting;
      expect(second?.fence).toBeGreaterThan(first?.fence as number);
      expect(await second?.release()).toBe(true);
    }
    const several = await locker.obtain(['{lock}a', '{lock}b'], '10s', 0, { replicas: 1 });
    expect(await several?.release()).toBe(true);
    const error = await failure(locker.obtain('lock', '10s', 0, { replicas: 3 }));
    expect(error).toBeInstanceOf(LockNotReplicatedError);
    expect(await locker.inspect('lock')).toMatchObject({ held: false });
    await eventually(() => redis.stats().pending === 0);
  });
});

describe('a pool that prefers replicas, on a cluster,', () => {
  test('reads a key whose slot has moved, and soon from a replica of its new master', async () => {
    const engine = onCluster.open('prefer');
    await engine.connect();
    const redis = engine.getRedis();
    await redis.set('moving', 'here');
    const owner = await cluster.nodeOf('moving');
    const other = (await cluster.masters()).find((master) => master !== owner);
    if (!other) throw new Error('there is one master only');
    await cluster.moveSlot('moving', other);
    await other.cli('WAIT', '1', '2000');
    expect(await redis.get('moving')).toBe('here');
    const [replica] = await cluster.replicasOf(other);
    if (!replica) throw new Error('there is no replica');
    await eventually(async () => {
      await replica.cli('CONFIG', 'RESETSTAT');
      expect(await redis.get('moving')).toBe('here');
      return (await calls(replica, 'get')) === 1;
    });
  });

  test('names the whole timeout of a read that neither the replica nor the master answers', async () => {
    const engine = onCluster.open('prefer');
    await engine.connect();
    const redis = engine.getRedis();
    await write(redis, await onCluster.masters());
    await Promise.all(cluster.nodes.map((node) => node.cli('CLIENT', 'PAUSE', '800', 'ALL')));
    const error = await failure(redis.withTimeout(400).get('key:1'));
    expect(error).toBeInstanceOf(CommandTimeoutError);
    expect(error).toMatchObject({ timeoutMs: 400 });
    expect(error?.message).toContain('within 400 ms');
  });

  test('reads from replicas that its user may not ask for their role', async () => {
    const rules = ['on', '>secret', '~*', '&*', '+@all', '-role'];
    await Promise.all(cluster.nodes.map((node) => node.cli('ACL', 'SETUSER', 'reader', ...rules)));
    const engine = engineOf(
      new Registry().registerRedisCluster(cluster.addresses, 'default', {
        username: 'reader',
        password: 'secret',
        replicas: 'prefer',
      }),
    );
    await engine.connect();
    expect(await readFrom(engine)).toHaveLength(3);
  });
});
