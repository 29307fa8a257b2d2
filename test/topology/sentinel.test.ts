import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConnectError, ConnectionError, Registry, type SentinelPoolOptions } from '../../src/index.js';
import { type SentinelGroup, startRedis, startSentinel } from '../../src/testing/index.js';
import { failure, timed } from '../support/engine.js';
import { eventually, freePort, startProxy } from '../support/redis.js';
import { type Certificates, makeCertificates, testTls } from '../support/tls.js';
import { engineOf, startLoad, unhandledDuring } from './support.js';

let group: SentinelGroup;

function open(options: SentinelPoolOptions = {}, sentinels = group.sentinels, master = group.name) {
  return engineOf(new Registry().registerRedisSentinel(master, sentinels, 0, 'default', options));
}

/** The one failure of `engine.connect()`. */
async function connectFailure(engine: ReturnType<typeof open>): Promise<Error> {
  const error = await failure(engine.connect());
  expect(error).toBeInstanceOf(ConnectError);
  return (error as unknown as ConnectError).failures[0]?.error as Error;
}

describe('a pool on Sentinel', () => {
  beforeAll(async () => {
    group = await startSentinel();
  });
  afterAll(() => group.stop());

  test('has commands, transactions, blocking commands and scripts like any pool', async () => {
    const redis = open().getRedis();
    expect(await redis.set('k', 'v')).toBe('OK');
    expect(await redis.get('k')).toBe('v');
    expect(await redis.multi().incr('n').incr('n').exec()).toEqual([1, 2]);
    expect(await redis.transaction((own) => own.multi().get('k').exec(), { watch: 'k' })).toEqual(['v']);
    const popped = redis.blPop('list', 5);
    await redis.rPush('list', 'element');
    expect(await popped).toEqual({ key: 'list', element: 'element' });
    expect(await redis.eval('return redis.call("GET", KEYS[1])', { keys: ['k'] })).toBe('v');
  });

  test('writes to the master, and says where that is', async () => {
    const engine = open();
    const redis = engine.getRedis();
    await redis.set('where', 'master');
    expect(await (await group.master()).cli('GET', 'where')).toBe('master');
    expect((await redis.role())?.role).toBe('master');
    const [node] = (await engine.health()).default.nodes;
    expect(node).toMatchObject({ status: 'up', address: (await group.master()).address });
  });

  test('has locks and limits', async () => {
    const redis = open().getRedis();
    const lock = await redis.getLocker().obtain('lock', '10s');
    expect(lock?.fence).toBeGreaterThan(0);
    expect(await redis.getLocker().obtain('lock', '10s')).toBeNull();
    expect(await lock?.release()).toBe(true);
    expect(await redis.rateLimit('limited', '1m', 1)).toBe(true);
    expect(await redis.rateLimit('limited', '1m', 1)).toBe(false);
  });

  test('shows in getPoolConfig who the sentinels are, and no password of theirs', () => {
    const config = open({ sentinelUsername: 'watcher', sentinelPassword: 'secret' }).getRedis().getPoolConfig();
    expect(config).toMatchObject({
      topology: 'sentinel',
      master: group.name,
      address: group.sentinels.join(','),
      sentinelUsername: 'watcher',
      sentinelPassword: '<redacted>',
    });
  });

  test('needs one sentinel only: one that is down and one that never answers do not matter', async () => {
    await using silent = await startProxyOf(group.sentinels[0] as string);
    silent.blackhole(true);
    const sentinels = [`127.0.0.1:${await freePort()}`, silent.address, group.sentinels[1] as string];
    const engine = open({ connectTimeout: '20s' }, sentinels);
    await engine.connect();
    expect(await engine.getRedis().ping()).toBe('PONG');
  });

  test('fails at once, naming every sentinel, if all of them are down', async () => {
    const sentinels = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const engine = open({ connectTimeout: '20s' }, sentinels);
    expect(await timed(engine.connect())).toBeLessThan(5_000);
    const error = await connectFailure(engine);
    expect(error).toBeInstanceOf(ConnectionError);
    for (const sentinel of sentinels) expect(error.message).toContain(sentinel);
    expect(error.message).toContain('ECONNREFUSED');
  });

  test('fails at connectTimeout if no sentinel answers', async () => {
    await using silent = await startProxyOf(group.sentinels[0] as string);
    silent.blackhole(true);
    const engine = open({ connectTimeout: 300 }, [silent.address]);
    const error = await connectFailure(engine);
    expect(error.message).toContain(`no sentinel names the master "${group.name}" (${silent.address}`);
  });

  test('fails at once with the name, if no sentinel knows such a master', async () => {
    const engine = open({ connectTimeout: '20s' }, group.sentinels, 'mymastr');
    expect(await timed(engine.connect())).toBeLessThan(5_000);
    expect((await connectFailure(engine)).message).toContain('no sentinel knows a master called "mymastr"');
    // Not only connect(): a command does not wait out its timeout for a name that nobody knows.
    const command = failure(engine.getRedis().ping());
    expect((await command)?.message).toContain('mymastr');
  });

  test('fails at once if what it was told to be sentinels are none', async () => {
    await using redis = await startRedis();
    const error = await connectFailure(open({ connectTimeout: '20s' }, [redis.address]));
    expect(error.message).toContain(redis.address);
  });

  test('finds the master of a group that was set up anew, whose count of failovers starts at 0', async () => {
    await group.failover();
    const redis = open().getRedis();
    await eventually(() => redis.set('before', '1'));
    const old = await group.master();
    const [next] = group.servers.filter((server) => server !== old);
    if (!next) throw new Error('there is no replica');
    await everySentinel('REMOVE', group.name);
    await next.cli('REPLICAOF', 'NO', 'ONE');
    for (const server of group.servers) {
      if (server !== next) await server.cli('REPLICAOF', next.host, String(next.port));
    }
    await everySentinel('MONITOR', group.name, next.host, String(next.port), '2');
    await everySentinel('SET', group.name, 'down-after-milliseconds', '500', 'failover-timeout', '2000');
    await eventually(() => redis.set('after', '1'), { timeout: 15_000, interval: 50 });
    expect(await next.cli('GET', 'after')).toBe('1');
    await group.settled();
  });

  test('takes no time to close, and can be closed while it looks for the master', async () => {
    await using silent = await startProxyOf(group.sentinels[0] as string);
    silent.blackhole(true);
    const engine = open({}, [silent.address]);
    const connecting = failure(engine.connect());
    await eventually(() => silent.open > 0);
    await engine.close({ timeout: 0 });
    expect(await connecting).toBeInstanceOf(ConnectError);
    silent.blackhole(false);
    await eventually(() => silent.open === 0);
  });
});

describe('passwords of a pool on Sentinel', () => {
  beforeAll(async () => {
    group = await startSentinel({ replicas: 1, password: 'servers', sentinelPassword: 'sentinels' });
  });
  afterAll(() => group.stop());

  test('are one for the servers and one for the sentinels', async () => {
    const engine = open({ password: 'servers', sentinelPassword: 'sentinels' });
    await engine.connect();
    expect(await engine.getRedis().set('k', 'v')).toBe('OK');
  });

  test.each([
    ['of the sentinels, if it is missing', { password: 'servers' }, /refuse.*NOAUTH.*sentinelPassword/s],
    ['of the sentinels, if it is wrong', { password: 'servers', sentinelPassword: 'x' }, /refuse.*WRONGPASS/s],
    ['of the servers, if it is wrong', { password: 'x', sentinelPassword: 'sentinels' }, /WRONGPASS/],
  ])('are reported at once: %s', async (_, options, message) => {
    const engine = open({ ...options, connectTimeout: '20s' });
    expect(await timed(engine.connect({ timeout: '20s' }))).toBeLessThan(5_000);
    expect((await connectFailure(engine)).message).toMatch(message);
  });
});

describe('a failover', () => {
  let engine: ReturnType<typeof open>;
  beforeEach(async () => {
    group = await startSentinel();
  });
  afterEach(() => group.stop());

  /** When every sentinel names another master than `old`. */
  async function failedOver(old: string): Promise<number> {
    await eventually(
      async () => {
        const names = await Promise.all(
          group.sentinelServers.map((sentinel) => sentinel.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', group.name)),
        );
        return names.every((name) => (name as string[]).join(':') !== old);
      },
      { timeout: 25_000 },
    );
    return performance.now();
  }

  async function survives(fail: (address: string) => Promise<void>): Promise<void> {
    engine = open();
    await engine.connect();
    const redis = engine.getRedis();
    const messages: string[] = [];
    let resubscribed = 0;
    await redis.subscribe('news', (message) => messages.push(message), {
      onResubscribe: () => {
        resubscribed++;
      },
    });
    const unhandled = await unhandledDuring(async () => {
      const load = startLoad(redis);
      await eventually(() => load.confirmed.every((count) => count > 10));
      const old = await group.master();
      await fail(old.address);
      const overAt = await failedOver(old.address);
      // "Within a second" is what the library promises; the rest is for a busy machine.
      await eventually(() => load.lastAt > overAt, { timeout: 5_000 });
      expect((await redis.role())?.role).toBe('master');
      await eventually(() => resubscribed > 0, { timeout: 10_000 });
      await redis.publish('news', 'still here');
      await eventually(() => messages.includes('still here'));
      await load.stop();
      expect(load.unexpected).toEqual([]);
    });
    expect(unhandled).toEqual([]);
    expect(engine.getRedis().stats()).toMatchObject({ pending: 0, lanes: { total: 1, connected: 1 } });
  }

  test('by kill -9 of the master under load: nothing hangs, service resumes, subscriptions come back', async () => {
    const old = await group.master();
    await survives(() => old.kill());
  });

  test('by SIGSTOP of the master under load: nothing hangs, service resumes, subscriptions come back', async () => {
    const old = await group.master();
    await survives(() => old.freeze());
    // The one that was frozen does not know yet that it is none: whoever still reached it would write into the void.
    await old.thaw();
    await group.settled();
    expect((await engine.getRedis().role())?.role).toBe('master');
    await engine.getRedis().set('after', 'thaw');
    expect(await (await group.master()).cli('GET', 'after')).toBe('thaw');
  });

  test('by command: the old master becomes a replica, and no connection to it stays', async () => {
    const old = await group.master();
    await survives(async () => {
      await group.failover();
    });
    const clients = String(await old.cli('CLIENT', 'LIST'));
    expect(clients).not.toContain('name=lagoon:default');
  });

  test('leaves no connection to a master that was demoted without a word of the sentinels', async () => {
    const single = open({}, [group.sentinels[0] as string]);
    await single.connect();
    const master = await group.master();
    const other = group.servers.find((server) => server !== master);
    const redis = single.getRedis();
    await redis.set('k', '1');
    // As an operator might: the sentinels put it right after a while, and until then writes are refused.
    await master.cli('REPLICAOF', other?.host ?? '', String(other?.port));
    expect((await connectFailure(open())).message).toContain('says that it is a slave');
    expect((await failure(redis.set('k', '2')))?.message).toMatch(/READONLY/);
    await eventually(() => redis.stats().reconnects === 1, { timeout: 1_000 });
    await eventually(() => redis.set('k', '2'), { timeout: 25_000, interval: 50 });
    await group.settled();
  });
});

describe('a group that is away', () => {
  beforeEach(async () => {
    group = await startSentinel({ replicas: 1 });
  });
  afterEach(() => group.stop());

  test('keeps nobody waiting for longer than the timeout if all of it is frozen, nor close()', async () => {
    const engine = open({ commandTimeout: 500, connectTimeout: 500, pool: { acquireTimeout: 500 } });
    const redis = engine.getRedis();
    await redis.set('k', '1');
    await Promise.all([...group.servers, ...group.sentinelServers].map((server) => server.freeze()));
    const startedAt = performance.now();
    const outcomes = await Promise.allSettled([
      redis.get('k'),
      redis.isolated((own) => own.get('k')),
      redis.subscribe('news', () => {}),
      open({ commandTimeout: 500, connectTimeout: 500 }).connect(),
    ]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect((await engine.health()).default.status).toBe('down');
    expect(await timed(engine.close({ timeout: '1s' }))).toBeLessThan(4_000);
  });

  test('is used while its sentinels are all down, and a failover is heard of once they are back', async () => {
    const redis = open().getRedis();
    await redis.set('k', '1');
    await Promise.all(group.sentinelServers.map((sentinel) => sentinel.kill()));
    const [master] = group.servers;
    for (let i = 0; i < 10; i++) expect(await redis.set('k', String(i))).toBe('OK');
    await Promise.all(group.sentinelServers.map((sentinel) => sentinel.restart()));
    await group.settled();
    await group.failover();
    await eventually(async () => (await redis.set('k', 'after')) && (await redis.role())?.role === 'master');
    expect(await (await group.master()).cli('GET', 'k')).toBe('after');
    expect(await group.master()).not.toBe(master);
  });
});

describe('locks and limits', () => {
  beforeAll(async () => {
    group = await startSentinel();
  });
  afterAll(() => group.stop());

  test('outlive a failover that had their keys copied, and the fence grows', async () => {
    const redis = open({ commandTimeout: '20s' }).getRedis();
    const locker = redis.getLocker();
    const held = await locker.obtain('job', '1m');
    const waiting = locker.obtain('job', '1m', '50s');
    await eventually(async () => (await locker.inspect('job')).waiting === 1);
    expect(await redis.rateLimit('calls', '1h', 1)).toBe(true);
    // What a replica has confirmed, it has with all that came before.
    await redis.isolated(async (own) => {
      await own.set('last', '1');
      expect(await own.wait(2, 5_000)).toBe(2);
    });
    await (await group.master()).kill();
    // In flight when the connection broke, it may fail; it must not obtain what another holds.
    expect(await locker.obtain('job', '1m').catch(() => null)).toBeNull();
    expect(await held?.ttl()).toBeGreaterThan(0);
    expect(await redis.rateLimit('calls', '1h', 1)).toBe(false);
    expect(await held?.release()).toBe(true);
    const next = await waiting;
    expect(next?.fence).toBeGreaterThan(held?.fence ?? Number.POSITIVE_INFINITY);
    await next?.release();
  });
});

describe('TLS', () => {
  let certificates: Certificates;
  beforeAll(async () => {
    certificates = await makeCertificates();
  });

  testTls('is spoken to the sentinels and the servers; a wrong authority is refused at once', async () => {
    const { ca, server } = certificates;
    group = await startSentinel({ replicas: 1, tls: { ...server, ca } });
    try {
      const engine = open({ tls: { ca } });
      await engine.connect();
      expect(await engine.getRedis().set('k', 'v')).toBe('OK');
      const stranger = open({ tls: { ca: (await makeCertificates()).ca }, connectTimeout: '20s' });
      expect(await timed(stranger.connect())).toBeLessThan(10_000);
      expect((await connectFailure(stranger)).message).toMatch(/certificate/);
    } finally {
      await group.stop();
    }
  });
});

async function everySentinel(...command: string[]): Promise<void> {
  await Promise.all(group.sentinelServers.map((sentinel) => sentinel.cli('SENTINEL', ...command)));
}

async function startProxyOf(target: string) {
  const proxy = await startProxy(target);
  return Object.assign(proxy, { [Symbol.asyncDispose]: () => proxy.stop() });
}
