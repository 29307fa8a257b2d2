import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ConnectError,
  type PasswordProvider,
  type RegisterOptions,
  type RegisterSentinelOptions,
  Registry,
  type SentinelPoolOptions,
} from '../../src/index.js';
import {
  type RedisCluster,
  type RedisServer,
  type SentinelGroup,
  startCluster,
  startRedis,
  startSentinel,
} from '../../src/testing/index.js';
import { connectionsOf } from '../pool/support.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/redis.js';
import { engineOf } from './support.js';

let server: RedisServer;
let group: SentinelGroup;
let cluster: RedisCluster;

beforeAll(async () => {
  [server, group, cluster] = await Promise.all([
    startRedis({ password: 'first' }),
    startSentinel({ replicas: 0, sentinels: 1, quorum: 1, password: 'servers', sentinelPassword: 'sentinels' }),
    startCluster({ masters: 2, replicasPerMaster: 0, password: 'nodes' }),
  ]);
});
afterAll(() => Promise.all([server, group, cluster].map((each) => each.stop())));

function open(options: RegisterOptions) {
  return engineOf(new Registry().registerRedis(server.address, 0, 'default', options));
}

/** Gives a user another password, and has its connections made anew. */
async function rotate(servers: readonly RedisServer[], user: string, password: string): Promise<void> {
  for (const each of servers) {
    await each.cli('ACL', 'SETUSER', user, 'on', 'resetpass', `>${password}`, '~*', '&*', '+@all');
    await each.cli('CLIENT', 'KILL', 'USER', user);
  }
}

const DEPLOYMENTS = {
  'one server': (options: RegisterSentinelOptions) => ({
    registry: new Registry().registerRedis(server.address, 0, 'default', options),
    servers: [server],
  }),
  Sentinel: (options: RegisterSentinelOptions) => ({
    registry: new Registry().registerRedisSentinel(group.name, group.sentinels, 0, 'default', {
      sentinelPassword: 'sentinels',
      ...options,
    }),
    servers: group.servers,
  }),
  'a cluster': (options: RegisterSentinelOptions) => ({
    registry: new Registry().registerRedisCluster(cluster.addresses.slice(0, 1), 'default', options),
    servers: cluster.nodes,
  }),
};

describe.each(Object.keys(DEPLOYMENTS) as (keyof typeof DEPLOYMENTS)[])(
  'a password that is asked of a function, on %s',
  (kind) => {
    const on = DEPLOYMENTS[kind];

    test('is asked for before each connection, so that one that was rotated is picked up', async () => {
      let password = 'before';
      const { registry, servers } = on({ username: 'rotating', password: async () => password });
      await rotate(servers, 'rotating', password);
      const engine = engineOf(registry);
      await engine.connect();
      const redis = engine.getRedis();
      expect(await redis.aclWhoAmI()).toBe('rotating');
      const heard: string[] = [];
      await redis.subscribe('news', (message) => heard.push(message));
      password = 'after';
      await rotate(servers, 'rotating', password);
      await eventually(() => Promise.all(['a', 'b', 'c'].map((key) => redis.set(key, 'v'))));
      expect(await redis.isolated((own) => own.get('b'), { key: 'b' })).toBe('v');
      await eventually(async () => (await redis.publish('news', 'again')) && heard.includes('again'));
    });

    test('is tried again by itself once it is right', async () => {
      let password = 'right';
      const { registry, servers } = on({ username: 'late', password: () => password });
      await rotate(servers, 'late', password);
      const redis = engineOf(registry).getRedis();
      expect(await redis.set('k', 'v')).toBe('OK');
      await rotate(servers, 'late', 'other');
      await eventually(async () => expect((await failure(redis.get('k')))?.message).toMatch(/WRONGPASS.*"late"/));
      password = 'other';
      await eventually(() => redis.get('k'));
    });

    test('makes commands wait, at most for their timeout, while nobody gives it; and says why', async () => {
      let vault: Promise<string> = Promise.resolve('known');
      const options = { username: 'sealed', password: () => vault, commandTimeout: 400, connectTimeout: 300 };
      const { registry, servers } = on(options);
      await rotate(servers, 'sealed', 'known');
      const redis = engineOf(registry).getRedis();
      expect(await redis.set('k', 'v')).toBe('OK');
      vault = Promise.reject(new Error('the vault is sealed'));
      vault.catch(() => undefined);
      await rotate(servers, 'sealed', 'known');
      await eventually(async () => expect((await failure(redis.get('k')))?.message).toMatch(/the vault is sealed/));
      vault = new Promise(() => {});
      const late = /the function that gives the password has not answered/;
      await eventually(async () => expect((await failure(redis.get('k')))?.message).toMatch(late));
      vault = Promise.resolve('known');
      await eventually(() => redis.get('k'));
    });

    test.each<[string, PasswordProvider, RegExp]>([
      ['that fails, with its reason', () => Promise.reject(new Error('the vault is sealed')), /the vault is sealed/],
      [
        'that throws, with its reason',
        () => {
          throw new Error('no vault');
        },
        /no vault/,
      ],
      ['that never answers, at connectTimeout', () => new Promise<string>(() => {}), /has not answered/],
      ['that gives a wrong one', () => 'wrong', /WRONGPASS/],
      ['that gives none', (() => undefined) as never, /gave no string, but undefined/],
    ])('makes connect() fail if it is one %s', async (_, password, message) => {
      const error = await failure(engineOf(on({ password, connectTimeout: 2_000 }).registry).connect());
      expect(error).toBeInstanceOf(ConnectError);
      expect(error?.message).toMatch(message);
    });
  },
);

describe('a password of the sentinels', () => {
  function watch(options: SentinelPoolOptions | RegisterSentinelOptions) {
    const all = { password: 'servers', ...options };
    return engineOf(new Registry().registerRedisSentinel(group.name, group.sentinels, 0, 'default', all));
  }

  test('goes with a user of the sentinels, which is none of the servers', async () => {
    const [sentinel] = group.sentinelServers as [RedisServer];
    await sentinel.cli('ACL', 'SETUSER', 'watcher', 'on', '>watching', '+@all', '&*');
    const engine = watch({ sentinelUsername: 'watcher', sentinelPassword: 'watching' });
    await engine.connect();
    expect(await engine.getRedis().aclWhoAmI()).toBe('default');
    expect((await connectionsOf(sentinel)).map(({ user }) => user)).toContain('watcher');
    const wrong = watch({ sentinelUsername: 'watcher', sentinelPassword: 'x' });
    expect((await failure(wrong.connect()))?.message).toMatch(/WRONGPASS.*sentinelUsername \("watcher"\)/);
  });

  test('can be a function, which is asked again after it was rotated', async () => {
    const sentinels = group.sentinelServers;
    let password = 'before';
    await rotate(sentinels, 'turning', password);
    const engine = watch({ sentinelUsername: 'turning', sentinelPassword: async () => password });
    await engine.connect();
    password = 'after';
    await rotate(sentinels, 'turning', password);
    const [sentinel] = sentinels as [RedisServer];
    await eventually(async () => (await connectionsOf(sentinel)).some(({ user }) => user === 'turning'));
    await engine.close();
    for (const each of sentinels) await each.cli('ACL', 'DELUSER', 'turning');
  });

  test('that is a function belongs to no other kind of pool', () => {
    const registry = new Registry().registerRedis('h', 0, 'default', { sentinelPassword: () => 'x' } as never);
    expect(() => registry.validate()).toThrow(/sentinelPassword/);
  });
});

describe('a password', () => {
  test('that is a function shows as one that is set, and the function never shows', () => {
    const registry = new Registry().registerRedisSentinel('m', ['h'], 0, 'default', {
      password: () => 'hidden',
      sentinelPassword: () => 'hidden',
    });
    const engine = registry.validate();
    expect(engine.getRedis().getPoolConfig()).toMatchObject({ password: '<redacted>', sentinelPassword: '<redacted>' });
    for (const shown of [inspect(registry), inspect(engine, { depth: 9 }), JSON.stringify(registry.toConfig())]) {
      expect(shown).not.toMatch(/hidden|=>/);
    }
  });

  test('works over a unix socket, for any user, and a wrong one is refused at once', async () => {
    await using local = await startRedis({ unixSocket: true, password: 'default' });
    await local.cli('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all');
    const at = (options: RegisterOptions) =>
      engineOf(new Registry().registerRedis(local.socketPath, 1, 'default', { connectTimeout: '20s', ...options }));
    expect(
      await at({ password: () => 'default' })
        .getRedis()
        .aclWhoAmI(),
    ).toBe('default');
    expect(await at({ username: 'app', password: 'secret' }).getRedis().aclWhoAmI()).toBe('app');
    const error = await failure(at({ username: 'app', password: 'wrong' }).connect({ timeout: '20s' }));
    expect(error?.message).toContain(`${local.socketPath}: WRONGPASS`);
    expect((await failure(at({}).connect({ timeout: '20s' })))?.message).toMatch(/NOAUTH/);
    await local.kill();
    const away = await failure(at({ password: 'default' }).connect());
    expect(away?.message).toContain(local.socketPath);
  });

  test('that the server does not want does no harm', async () => {
    await using free = await startRedis();
    const engine = engineOf(new Registry().registerRedis(free.address, 0, 'default', { password: 'not needed' }));
    expect(await engine.getRedis().ping()).toBe('PONG');
    expect(await open({ password: 'first' }).getRedis().ping()).toBe('PONG');
  });
});
