import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConnectError, ConnectionError, Registry, type SentinelPoolOptions } from '../../src/index.js';
import { type SentinelGroup, startRedis, startSentinel } from '../../src/testing/index.js';
import { failure, timed } from '../support/engine.js';
import { eventually, freePort, startProxy } from '../support/redis.js';
import { type Certificates, makeCertificates, testTls } from '../support/tls.js';
import { engineOf } from './support.js';

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
    ['of the sentinels, if it is missing', { password: 'servers' }, /no sentinel names.*NOAUTH.*set sentinelPassword/s],
    [
      'of the sentinels, if it is wrong',
      { password: 'servers', sentinelPassword: 'x' },
      /no sentinel names.*WRONGPASS/s,
    ],
    ['of the servers, if it is wrong', { password: 'x', sentinelPassword: 'sentinels' }, /WRONGPASS/],
  ])('are reported at once: %s', async (_, options, message) => {
    const engine = open({ ...options, connectTimeout: '20s' });
    expect(await timed(engine.connect({ timeout: '20s' }))).toBeLessThan(5_000);
    expect((await connectFailure(engine)).message).toMatch(message);
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
