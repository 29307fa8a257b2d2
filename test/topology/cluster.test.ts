import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type ClusterPoolConfig,
  CommandRefusedError,
  ConnectError,
  CrossSlotError,
  defineScript,
  InvalidArgumentError,
  type PoolOptions,
  Registry,
} from '../../src/index.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../src/testing/index.js';
import { failure, timed } from '../support/engine.js';
import { eventually, freePort, startProxy } from '../support/redis.js';
import { type Certificates, makeCertificates, testTls } from '../support/tls.js';
import { engineOf } from './support.js';

let cluster: RedisCluster;

function open(options: PoolOptions = {}, seeds: ClusterPoolConfig['cluster'] = cluster.addresses.slice(0, 2)) {
  return engineOf(new Registry().registerRedisCluster(seeds, 'default', options));
}

async function connectFailure(engine: ReturnType<typeof open>): Promise<Error> {
  const error = await failure(engine.connect());
  expect(error).toBeInstanceOf(ConnectError);
  return (error as unknown as ConnectError).failures[0]?.error as Error;
}

const KEYS = Array.from({ length: 300 }, (_, i) => `key:${i}`);

describe('a pool on a cluster', () => {
  beforeAll(async () => {
    cluster = await startCluster({ replicasPerMaster: 0 });
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    await Promise.all((await cluster.masters()).map((master) => master.cli('FLUSHALL')));
  });

  test('sends each command to the server that has its key', async () => {
    const redis = open().getRedis();
    await Promise.all(KEYS.map((key) => redis.set(key, key)));
    expect(await Promise.all(KEYS.map((key) => redis.get(key)))).toEqual(KEYS);
    const sizes = await Promise.all((await cluster.masters()).map((master) => master.cli('DBSIZE')));
    expect(Math.min(...sizes.map(Number))).toBeGreaterThan(0);
    expect(await redis.sendCommand(['get', 'key:1'])).toBe('key:1');
    expect(await redis.sendCommand([Buffer.from('GET'), Buffer.from('key:1')])).toBe('key:1');
  });

  test('puts the prefix in front before it looks for the slot', async () => {
    const redis = open({ keyPrefix: 'app:' }).getRedis();
    await Promise.all(KEYS.map((key) => redis.set(key, '1')));
    expect(await (await cluster.nodeOf('app:key:1')).cli('GET', 'app:key:1')).toBe('1');
  });

  test('asks every master where the question is about all keys', async () => {
    const redis = open().getRedis();
    await Promise.all(KEYS.map((key) => redis.set(key, '1')));
    expect(await redis.dbSize()).toBe(KEYS.length);
    expect((await redis.keys('key:*')).sort()).toEqual([...KEYS].sort());
    const found: string[] = [];
    for await (const keys of redis.scanIterator({ MATCH: 'key:*', COUNT: 50 })) found.push(...keys);
    expect(found.sort()).toEqual([...KEYS].sort());
    await redis.flushAll();
    expect(await redis.dbSize()).toBe(0);
  });

  test('refuses a cursor that only one server knows', async () => {
    const redis = open().getRedis();
    expect(await failure(redis.scan('0'))).toBeInstanceOf(CommandRefusedError);
    expect(await failure(redis.sendCommand(['scan', '0']))).toBeInstanceOf(CommandRefusedError);
  });

  test('loads a script on every master', async () => {
    const redis = open().getRedis();
    const sha = await redis.scriptLoad('return redis.call("GET", KEYS[1])');
    await Promise.all(KEYS.slice(0, 20).map((key) => redis.set(key, key)));
    const replies = await Promise.all(KEYS.slice(0, 20).map((key) => redis.evalSha(sha, { keys: [key] })));
    expect(replies).toEqual(KEYS.slice(0, 20));
  });

  test('says before anything is sent that keys of different slots cannot go together', async () => {
    const redis = open().getRedis();
    for (const refused of [
      redis.mGet(['a', 'b']),
      redis.multi().set('a', '1').set('b', '1').exec(),
      redis.transaction((own) => own.get('a'), { watch: ['a', 'b'] }),
      redis.runScript(defineScript({ lua: 'return 1' }), ['a', 'b']),
      redis.sSubscribe(['a', 'b'], () => {}),
    ]) {
      const error = await failure(refused);
      expect(error).toBeInstanceOf(CrossSlotError);
      expect(error?.message).toContain('{user:1}:cart');
    }
    expect(await redis.mSet({ '{x}a': '1', '{x}b': '2' })).toBe('OK');
    expect(await redis.mGet(['{x}a', '{x}b'])).toEqual(['1', '2']);
  });

  test('refuses what cannot be a key, before it looks for a slot', async () => {
    const redis = open().getRedis();
    expect(await failure(redis.get(5 as never))).toBeInstanceOf(InvalidArgumentError);
    expect(await failure(redis.mGet(['a', null as never]))).toBeInstanceOf(InvalidArgumentError);
    expect(await failure(redis.blPop(undefined as never, 1))).toBeInstanceOf(InvalidArgumentError);
  });

  test('has transactions on the keys of one slot, and pipelines on any', async () => {
    const redis = open().getRedis();
    expect(await redis.multi().set('{t}a', '1').incr('{t}a').get('{t}a').exec()).toEqual(['OK', 2, '2']);
    const pipeline = redis.multi();
    for (const key of KEYS) pipeline.set(key, key);
    expect(await pipeline.execAsPipeline()).toEqual(KEYS.map(() => 'OK'));
    expect(await redis.dbSize()).toBe(KEYS.length + 1);
  });

  test('retries a transaction whose watched key has changed', async () => {
    const redis = open().getRedis();
    let calls = 0;
    const add = (key: string) =>
      redis.transaction(
        async (own) => {
          calls++;
          const value = Number(await own.get(key));
          if (calls === 1) await redis.set(key, '10');
          return own
            .multi()
            .set(key, String(value + 1))
            .exec();
        },
        { watch: key },
      );
    await add('watched');
    expect(await redis.get('watched')).toBe('11');
    expect(calls).toBe(2);
  });

  test('has connections of one caller to the server of a key, and wants to know the key', async () => {
    const redis = open().getRedis();
    for (const key of KEYS.slice(0, 20)) {
      expect(await redis.isolated((own) => own.set(key, key), { key })).toBe('OK');
      expect(await redis.transaction((own) => own.multi().get(key).exec(), { key })).toEqual([key]);
    }
    for (const error of [
      await failure(redis.isolated((own) => own.ping())),
      await failure(redis.transaction((own) => own.ping())),
    ]) {
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error?.message).toMatch(/\{ key \}/);
    }
  });

  test('has blocking commands by key, and an abort ends them', async () => {
    const redis = open().getRedis();
    const lists = KEYS.slice(0, 9);
    const popped = Promise.all(lists.map((key) => redis.blPop(key, 5)));
    await Promise.all(lists.map((key) => redis.rPush(key, key)));
    expect(await popped).toEqual(lists.map((key) => ({ key, element: key })));
    const abort = new AbortController();
    const aborted = failure(redis.withAbortSignal(abort.signal).blPop('nothing', 0));
    await eventually(() => redis.stats().pending > 0);
    abort.abort();
    expect((await aborted)?.code).toBe('ABORT_ERR');
    await eventually(() => redis.stats().pending === 0);
  });

  test('shares script calls among calls of one slot, and among those only', async () => {
    const redis = open().getRedis();
    const script = defineScript<number>({
      lua: `local replies = {}
        for i = 1, #KEYS do replies[i] = redis.call('INCRBY', KEYS[i], ARGV[i]) end
        return replies`,
      keys: 1,
      args: 1,
      batch: 64,
    });
    await redis.get('warm');
    await Promise.all((await cluster.masters()).map((master) => master.cli('CONFIG', 'RESETSTAT')));
    const replies = await Promise.all([
      ...KEYS.map((key, i) => redis.runScript(script, [key], [i])),
      ...Array.from({ length: 50 }, (_, i) => redis.runScript(script, [`{same}${i}`], [i])),
    ]);
    expect(replies).toEqual([...KEYS.keys(), ...Array.from({ length: 50 }, (_, i) => i)]);
    const owner = await cluster.nodeOf('{same}');
    const calls = /cmdstat_eval:calls=(\d+)/.exec(String(await owner.cli('INFO', 'commandstats')))?.[1];
    expect(Number(calls)).toBeLessThan(KEYS.length + 1);
    await expect(redis.runScript(script, ['a'], [1], { keys: ['b'], args: [] })).rejects.toThrow(CrossSlotError);
  });

  test('has rate limits', async () => {
    const redis = open().getRedis();
    const answers = await Promise.all(
      KEYS.slice(0, 30).flatMap((key) => [1, 2, 3].map(() => redis.rateLimit(key, '1m', 2))),
    );
    expect(answers.filter(Boolean)).toHaveLength(60);
  });

  test('has caches, and hears from every master what changed', async () => {
    const redis = open({ keyPrefix: 'app:' }).getRedis();
    const far = redis.getCache<string>({ prefix: 'c', ttl: '1m' });
    const near = open({ keyPrefix: 'app:' }).getRedis().getCache<string>({ prefix: 'c', ttl: '1m', local: true });
    await Promise.all(KEYS.map((key) => far.put(key, 'old')));
    expect((await far.keys('key:*')).sort()).toEqual([...KEYS].sort());
    await eventually(async () => {
      await Promise.all(KEYS.map((key) => near.get(key)));
      return near.stats().items === KEYS.length;
    });
    await Promise.all(KEYS.map((key) => far.put(key, 'new')));
    await eventually(async () => {
      const values = await Promise.all(KEYS.map((key) => near.get(key)));
      return values.every((value) => value === 'new');
    });
    expect(await far.removeByPattern('key:*')).toBe(KEYS.length);
    await eventually(async () => (await near.get('key:1')) === undefined);
  });

  test('loads a value only once, though the lock for it is at another server than the value', async () => {
    const names = KEYS.map((key) => ({ key, value: `loads#${key}`, lock: `lagoon:load:loads#${key}` }));
    const servers = await Promise.all(
      names.map(({ value, lock }) => Promise.all([value, lock].map((name) => cluster.nodeOf(name)))),
    );
    const apart = servers.findIndex(([value, lock]) => value !== lock);
    const { key, value } = names[apart] as (typeof names)[0];
    const lockServer = servers[apart]?.[1] as RedisServer;
    const engine = open();
    await engine.connect();
    const redis = engine.getRedis();
    let reads = 0;
    engine.registerQueryLogger(() => reads++, { operations: ['GET'] });
    let loads = 0;

    await lockServer.cli('CLIENT', 'PAUSE', '20000', 'WRITE');
    const loading = redis
      .getCache<string>({ prefix: 'loads', ttl: '1m' })
      .getOrSet(key, () => `load ${++loads}`, { lock: true, timeout: '20s' });
    // It has found nothing and asks for the lock. Whatever it sent to the server of the value is answered before this read.
    await eventually(() => reads > 0 && redis.stats().pending > 0);
    await redis.get(value);
    await open().getRedis().getCache<string>({ prefix: 'loads', ttl: '1m' }).put(key, 'of another process');
    await lockServer.cli('CLIENT', 'UNPAUSE');
    expect(await loading).toBe('of another process');
    expect(loads).toBe(0);
  });

  test('hears plain, pattern and sharded messages, whichever server they are published on', async () => {
    const redis = open().getRedis();
    const heard: string[] = [];
    await redis.subscribe('news', (message) => heard.push(`plain ${message}`));
    await redis.pSubscribe('n?ws', (message) => heard.push(`pattern ${message}`));
    const shards = KEYS.slice(0, 12);
    const subscriptions = await Promise.all(
      shards.map((channel) => redis.sSubscribe(channel, (message) => heard.push(`shard ${message}`))),
    );
    expect(redis.stats().subscriptions).toBe(14);
    for (const master of await cluster.masters()) await master.cli('PUBLISH', 'news', `by ${master.port}`);
    await Promise.all(shards.map((channel) => redis.sPublish(channel, channel)));
    await eventually(() => heard.length === 2 * 3 + shards.length);
    await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
    await redis.sPublish(shards[0] as string, 'nobody');
    await redis.publish('news', 'somebody');
    await eventually(() => heard.includes('plain somebody'));
    expect(heard).not.toContain('shard nobody');
  });

  test('hears the messages of a channel in the order in which they were published', async () => {
    const publisher = open();
    await publisher.connect();
    const heard: string[] = [];
    await open()
      .getRedis()
      .subscribe('ordered', (message) => heard.push(message));
    const messages = Array.from({ length: 200 }, (_, i) => String(i));
    await Promise.all(messages.map((message) => publisher.getRedis().publish('ordered', message)));
    await eventually(() => heard.length === messages.length);
    expect(heard).toEqual(messages);
  });

  test('tells how each of its servers is doing', async () => {
    const engine = open();
    expect((await engine.health()).default).toMatchObject({ status: 'idle', nodes: [] });
    await engine.connect();
    const { status, nodes, lanes } = (await engine.health()).default;
    expect(status).toBe('up');
    const masters = (await cluster.masters()).map(({ address }) => address);
    expect(nodes.map(({ address }) => address).sort()).toEqual(masters.sort());
    expect(nodes.every((node) => node.status === 'up' && node.lanes.connected === 1)).toBe(true);
    expect(lanes).toEqual({ total: 3, connected: 3 });
  });

  test('counts what is pending over all servers', async () => {
    const redis = open({ maxPending: 10 }).getRedis();
    const outcomes = await Promise.allSettled(KEYS.slice(0, 20).map((key) => redis.set(key, '1')));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason.code);
    expect(refused).toContain('LAGOON_POOL_OVERLOADED');
    expect(await redis.get('key:1')).not.toBe(undefined);
  });

  test('needs one seed only: one that is down and one that never answers do not matter', async () => {
    const silent = await startProxy(cluster.addresses[0] as string);
    silent.blackhole(true);
    const seeds = [`127.0.0.1:${await freePort()}`, silent.address, cluster.addresses[1] as string];
    const engine = open({ connectTimeout: '20s' }, seeds);
    expect(await timed(engine.connect())).toBeLessThan(10_000);
    expect(await engine.getRedis().set('k', 'v')).toBe('OK');
    await silent.stop();
  });

  test('fails at once if no seed can be reached, and at connectTimeout if none answers', async () => {
    const down = `127.0.0.1:${await freePort()}`;
    const error = await connectFailure(open({ connectTimeout: '20s' }, [down]));
    expect(error.message).toContain(down);
    expect(error.message).toContain('ECONNREFUSED');
    const silent = await startProxy(cluster.addresses[0] as string);
    silent.blackhole(true);
    const engine = open({ connectTimeout: 300, commandTimeout: 500 }, [silent.address]);
    expect((await connectFailure(engine)).message).toContain('no answer within 300 ms');
    const command = await failure(engine.getRedis().get('k'));
    expect(command?.message).toContain('not sent');
    await engine.close({ timeout: 0 });
    await silent.stop();
  });

  test('fails at once if the server is in no cluster', async () => {
    await using redis = await startRedis();
    const engine = open({ connectTimeout: '20s' }, [redis.address]);
    expect((await connectFailure(engine)).message).toMatch(/is none.*registerRedis/);
    expect((await failure(engine.getRedis().get('k')))?.message).toMatch(/is none/);
  });

  test('fails at once if the password is wrong', async () => {
    const error = await connectFailure(open({ connectTimeout: '20s', password: 'wrong', username: 'nobody' }));
    expect(error.message).toMatch(/WRONGPASS/);
  });
});

test('a cluster of one master goes through its keys as any other does', async () => {
  await using single = await startCluster({ masters: 1, replicasPerMaster: 0 });
  const redis = open({}, single.addresses).getRedis();
  await Promise.all(KEYS.map((key) => redis.set(key, '1')));
  const found = new Set<string>();
  for await (const keys of redis.scanIterator({ MATCH: 'key:*', COUNT: 50 })) for (const key of keys) found.add(key);
  expect([...found].sort()).toEqual([...KEYS].sort());
});

describe('TLS and passwords of a cluster', () => {
  let certificates: Certificates;
  beforeAll(async () => {
    certificates = await makeCertificates();
  });

  testTls('are used to every node; a wrong authority and a wrong password are refused at once', async () => {
    const { ca, server } = certificates;
    cluster = await startCluster({ replicasPerMaster: 0, password: 'secret', tls: { ...server, ca } });
    try {
      const engine = open({ password: 'secret', tls: { ca } });
      await engine.connect();
      const redis = engine.getRedis();
      await Promise.all(KEYS.map((key) => redis.set(key, '1')));
      expect(await redis.dbSize()).toBe(KEYS.length);
      for (const [options, message] of [
        [{ password: 'wrong', tls: { ca } }, /WRONGPASS/],
        [{ tls: { ca } }, /NOAUTH/],
        [{ password: 'secret', tls: true }, /certificate/],
      ] as const) {
        const refused = open({ ...options, connectTimeout: '20s' });
        expect(await timed(refused.connect({ timeout: '20s' }))).toBeLessThan(10_000);
        expect((await connectFailure(refused)).message).toMatch(message);
      }
    } finally {
      await cluster.stop();
    }
  });
});
