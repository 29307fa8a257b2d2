import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PoolOptions, Registry, type SentinelPoolOptions, type TlsOptions } from '../../src/index.js';
import {
  type RedisCluster,
  type RedisServer,
  type SentinelGroup,
  type StartRedisOptions,
  startCluster,
  startRedis,
  startSentinel,
} from '../../src/testing/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/redis.js';
import { type Certificate, type Certificates, makeCertificates, testTls } from '../support/tls.js';
import { engineOf } from '../topology/support.js';

const SECRET = 's3cret-and-more';
const WRONG = 'n0t-the-s3cret';

/** Something to connect to: in plain text with a password, or by TLS with client certificates. */
interface Deployment {
  register(options: SentinelPoolOptions): Registry<'default'>;
  /** The server that has the data, which is to be changed under the client. */
  readonly server: RedisServer;
}

let certificates: Certificates;
let strangers: Certificates;
let folder: string;
let servers: { plain: RedisServer; tls: RedisServer };
let groups: { plain: SentinelGroup; tls: SentinelGroup };
let clusters: { plain: RedisCluster; tls: RedisCluster };

type Side = keyof typeof servers;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lagoon-secure-'));
  [certificates, strangers] = await Promise.all([makeCertificates(), makeCertificates()]);
  const tls = { ...certificates.server, ca: certificates.ca, requireClientCertificate: true };
  const few = { replicas: 0, sentinels: 1, quorum: 1 };
  const small = { masters: 1, replicasPerMaster: 0 };
  const [server, tlsServer, group, tlsGroup, cluster, tlsCluster] = await Promise.all([
    startRedis({ password: SECRET, databases: 4 }),
    startRedis({ tls }),
    startSentinel({ ...few, password: SECRET, sentinelPassword: 'watchers' }),
    startSentinel({ ...few, tls }),
    startCluster({ ...small, password: SECRET }),
    startCluster({ ...small, tls }),
  ]);
  servers = { plain: server, tls: tlsServer };
  groups = { plain: group, tls: tlsGroup };
  clusters = { plain: cluster, tls: tlsCluster };
  for (const { server: each } of KINDS.map((kind) => DEPLOYMENTS[kind]('plain'))) {
    await each.cli('ACL', 'SETUSER', 'nothing', 'on', `>${SECRET}`, '-@all');
    await each.cli(
      'ACL',
      'SETUSER',
      'reader',
      'on',
      `>${SECRET}`,
      '~r:*',
      '+get',
      '+@connection',
      '+role',
      '+cluster|slots',
    );
  }
});

afterAll(async () => {
  for (const { plain, tls } of [servers, groups, clusters]) await Promise.all([plain.stop(), tls.stop()]);
  await rm(folder, { recursive: true });
});

const DEPLOYMENTS: Record<'one server' | 'Sentinel' | 'a cluster', (side: Side) => Deployment> = {
  'one server': (side) => ({
    register: (options) => new Registry().registerRedis(servers[side].address, 0, 'default', options),
    server: servers[side],
  }),
  Sentinel: (side) => ({
    register: (options) =>
      new Registry().registerRedisSentinel(groups[side].name, groups[side].sentinels, 0, 'default', {
        ...(side === 'plain' && { sentinelPassword: 'watchers' }),
        ...options,
      }),
    server: groups[side].servers[0] as RedisServer,
  }),
  'a cluster': (side) => ({
    register: (options) => new Registry().registerRedisCluster(clusters[side].addresses, 'default', options),
    server: clusters[side].nodes[0] as RedisServer,
  }),
};
const KINDS = ['one server', 'Sentinel', 'a cluster'] as const;

/** TLS options that work. */
function trusted(more: TlsOptions = {}): TlsOptions {
  return { ca: certificates.ca, ...certificates.client, ...more };
}

/** That connecting fails at once and for good, with a message that says why and what to do. */
async function refused(registry: Registry<'default'>, message: RegExp): Promise<void> {
  const engine = engineOf(registry);
  const startedAt = performance.now();
  const error = await failure(engine.connect({ timeout: '20s' }));
  const command = await failure(engine.getRedis().get('r:key'));
  // Far from every timeout, and far from what a busy machine needs.
  expect(performance.now() - startedAt).toBeLessThan(4_000);
  expect(error?.code).toBe('LAGOON_CONNECT');
  for (const { message: said } of [error, command] as Error[]) {
    expect(said).toMatch(message);
    expect(said).toMatch(/127\.0\.0\.1:\d+|localhost:\d+/);
    expect(said).not.toContain(SECRET);
    expect(said).not.toContain(WRONG);
    expect(said).not.toContain('BEGIN');
  }
  expect(command?.code).toBe('LAGOON_CONNECTION');
}

const PATIENT: PoolOptions = { connectTimeout: '20s', commandTimeout: '20s' };

/** Shows another certificate while `work` runs. */
async function showing(server: RedisServer, { cert, key }: Certificate, work: () => Promise<void>): Promise<void> {
  const settings = ['tls-cert-file', 'tls-key-file'];
  const before = await Promise.all(settings.map((name) => server.cli('CONFIG', 'GET', name)));
  const files = [join(folder, 'shown.crt'), join(folder, 'shown.key')] as const;
  await Promise.all([writeFile(files[0], cert), writeFile(files[1], key)]);
  await server.cli('CONFIG', 'SET', 'tls-cert-file', files[0], 'tls-key-file', files[1]);
  try {
    await work();
  } finally {
    await server.cli('CONFIG', 'SET', ...before.flatMap((pair) => pair as string[]));
  }
}

describe.each(KINDS)('%s', (kind) => {
  const of = (side: Side) => DEPLOYMENTS[kind](side);

  testTls('is reached by TLS with a client certificate', async () => {
    const engine = engineOf(of('tls').register({ tls: trusted() }));
    await engine.connect();
    const redis = engine.getRedis();
    expect(await redis.set('k', 'v')).toBe('OK');
    expect(await redis.isolated((own) => own.get('k'), { key: 'k' })).toBe('v');
    const heard: string[] = [];
    await redis.subscribe('news', (message) => heard.push(message));
    await redis.publish('news', 'hello');
    await eventually(() => heard.length === 1);
  });

  testTls('is reached by a name that is not that of the host, if it is in the certificate', async () => {
    const engine = engineOf(of('tls').register({ tls: trusted({ servername: 'localhost' }) }));
    await engine.connect();
    expect(await engine.getRedis().ping()).toBe('PONG');
  });

  testTls.each<[string, () => TlsOptions | boolean, RegExp]>([
    ['an unknown authority', () => trusted({ ca: strangers.ca }), /certificate.*tls\.ca/],
    ['an authority of its own while only the system’s are trusted', () => true, /certificate.*tls\.ca/],
    [
      'a certificate for another name',
      () => trusted({ servername: 'redis.example' }),
      /redis\.example.*DNS:localhost.*tls\.servername/,
    ],
    ['no client certificate', () => ({ ca: certificates.ca }), /client certificate.*tls\.cert and tls\.key/],
    [
      'a client certificate that it does not trust',
      () => trusted(strangers.client),
      /unknown ca.*does not trust the client certificate/,
    ],
    [
      'a key that is not that of the client certificate',
      () => trusted({ key: certificates.server.key }),
      /key values mismatch.*tls\.key must belong to tls\.cert/,
    ],
    ['a client certificate that is none', () => trusted({ cert: 'x', key: 'x' }), /must be PEM/],
    ['plain text', () => false, /speaks TLS there: set tls/],
  ])('refuses at once: %s', async (_, tls, message) => {
    await refused(of('tls').register({ ...PATIENT, tls: tls() }), message);
  });

  testTls('refuses at once: a certificate that has expired; and is reached when it was renewed', async () => {
    const { register, server } = of('tls');
    const engine = engineOf(register({ ...PATIENT, tls: trusted() }));
    await showing(server, certificates.expired, async () => {
      await refused(register({ ...PATIENT, tls: trusted() }), /certificate has expired: renew/);
      expect((await failure(engine.connect()))?.message).toMatch(/expired/);
    });
    await eventually(() => engine.getRedis().set('k', 'v'));
  });

  testTls('refuses at once: TLS where there is none', async () => {
    await refused(
      of('plain').register({ ...PATIENT, password: SECRET, tls: true }),
      /does not speak TLS there: leave tls out/,
    );
  });

  test.each<[string, PoolOptions, RegExp]>([
    ['a wrong password', { password: WRONG }, /WRONGPASS.*username \("default"\) and password/],
    ['no password', {}, /NOAUTH.*set password/],
    ['an unknown user', { username: 'nobody', password: SECRET }, /WRONGPASS.*username \("nobody"\)/],
  ])('refuses at once: %s', async (_, options, message) => {
    await refused(of('plain').register({ ...PATIENT, ...options }), message);
  });

  test('says at once what a user may not do, and which key it may not use', async () => {
    const redis = engineOf(of('plain').register({ ...PATIENT, username: 'reader', password: SECRET })).getRedis();
    expect(await redis.get('r:key')).toBeNull();
    const command = await failure(redis.set('r:key', 'v'));
    expect(command).toMatchObject({ code: 'LAGOON_REPLY', replyCode: 'NOPERM' });
    expect(command?.message).toContain("'set'");
    const key = await failure(redis.get('other'));
    expect(key).toMatchObject({ code: 'LAGOON_REPLY', replyCode: 'NOPERM' });
    expect(key?.message).toMatch(/key/);
    expect((await failure(redis.isolated((own) => own.set('r:key', 'v'), { key: 'r:key' })))?.message).toMatch(
      /NOPERM/,
    );
  });
});

describe('one server', () => {
  test('refuses at once: a database that the user may not select, or that is not there', async () => {
    const options = { ...PATIENT, password: SECRET };
    const { address } = servers.plain;
    await refused(
      new Registry().registerRedis(address, 3, 'default', { ...options, username: 'nothing' }),
      /NOPERM.*'select'.*user "nothing"/,
    );
    await refused(new Registry().registerRedis(address, 7, 'default', options), /out of range: see database \(7\)/);
  });

  testTls('is reached by a rediss:// URL', async () => {
    await using server = await startRedis({ tls: certificates.server, password: SECRET });
    const url = `rediss://default:${SECRET}@localhost:${server.port}/2`;
    const engine = engineOf(new Registry().registerRedis(url, undefined, 'default', { tls: { ca: certificates.ca } }));
    expect(await engine.getRedis().clientInfo()).toMatchObject({ db: 2 });
    await refused(new Registry().registerRedis(url.replace('rediss:', 'redis:')), /set tls \(in a URL: rediss:\/\/\)/);
  });

  testTls('is not spoken to in a version of TLS below minVersion', async () => {
    await using old = await startRedis({ tls: certificates.server, args: ['--tls-protocols', 'TLSv1.2'] });
    await using strict = await startRedis({ tls: certificates.server, args: ['--tls-protocols', 'TLSv1.3'] });
    const on = ({ address }: RedisServer, tls: TlsOptions) =>
      new Registry().registerRedis(address, 0, 'default', { ...PATIENT, tls: { ca: certificates.ca, ...tls } });
    await refused(on(old, { minVersion: 'TLSv1.3' }), /protocol version.*tls\.minVersion/);
    for (const registry of [on(old, {}), on(old, { minVersion: 'TLSv1.2' }), on(strict, { minVersion: 'TLSv1.3' })]) {
      expect(await engineOf(registry).getRedis().ping()).toBe('PONG');
    }
  });
});

describe('Sentinel', () => {
  test.each<[string, SentinelPoolOptions, RegExp]>([
    [
      'a wrong password of the sentinels',
      { password: SECRET, sentinelPassword: WRONG },
      /WRONGPASS.*sentinelUsername \("default"\) and sentinelPassword/,
    ],
    ['a user without rights on the servers', { username: 'nothing', password: SECRET }, /NOPERM.*'role'.*"nothing"/],
  ])('refuses at once: %s', async (_, options, message) => {
    await refused(DEPLOYMENTS.Sentinel('plain').register({ ...PATIENT, ...options }), message);
  });

  testTls('refuses at once: sentinels that speak TLS and name the plain port of a server', async () => {
    const [sentinel] = groups.tls.sentinelServers;
    const { host, port } = servers.plain;
    await sentinel?.cli('SENTINEL', 'MONITOR', 'elsewhere', host, String(port), '1');
    const { sentinels } = groups.tls;
    const options = { ...PATIENT, tls: trusted() };
    const registry = new Registry().registerRedisSentinel('elsewhere', sentinels, 0, 'default', options);
    await refused(registry, /does not speak TLS there/);
    await sentinel?.cli('SENTINEL', 'REMOVE', 'elsewhere');
  });
});

describe('sentinels with TLS options of their own', () => {
  /** Which of the servers they watch, and what they speak themselves. */
  let watchers: { plainOfTls: RedisServer; tlsOfPlain: RedisServer; strangersOfTls: RedisServer };

  /** A sentinel that watches one of the servers, once it has heard of it. */
  async function watch(master: RedisServer, tls: StartRedisOptions['tls'], ...args: string[]): Promise<RedisServer> {
    const sentinel = await startRedis({ ...(tls && { tls }), args: ['--sentinel', ...args] });
    await sentinel.cli('SENTINEL', 'MONITOR', 'mixed', master.host, String(master.port), '1');
    if (master === servers.plain) await sentinel.cli('SENTINEL', 'SET', 'mixed', 'auth-pass', SECRET);
    await eventually(async () => {
      const said = (await sentinel.cli('SENTINEL', 'MASTER', 'mixed')) as string[];
      return said[said.indexOf('runid') + 1] !== '';
    });
    return sentinel;
  }

  beforeAll(async () => {
    const file = (name: string) => join(dirname(servers.tls.socketPath), name);
    const files = ['--tls-cert-file', file('server.crt'), '--tls-key-file', file('server.key')];
    const authority = ['--tls-ca-cert-file', file('ca.crt')];
    const asClient = ['--tls-client-cert-file', file('server.crt'), '--tls-client-key-file', file('server.key')];
    const toTls = ['--tls-replication', 'yes'];
    const { ca } = certificates;
    const [plainOfTls, tlsOfPlain, strangersOfTls] = await Promise.all([
      watch(servers.tls, undefined, ...toTls, ...files, ...authority),
      watch(servers.plain, { ...certificates.server, ca, requireClientCertificate: true }),
      watch(servers.tls, { ...strangers.server, ca }, ...toTls, ...asClient),
    ]);
    watchers = { plainOfTls, tlsOfPlain, strangersOfTls };
  });

  afterAll(() => Promise.all(Object.values(watchers ?? {}).map((sentinel) => sentinel.stop())));

  const on = (which: keyof typeof watchers, options: SentinelPoolOptions) =>
    new Registry().registerRedisSentinel('mixed', [watchers[which].address], 0, 'default', { ...PATIENT, ...options });
  const ofStrangers = (): TlsOptions => ({ ca: strangers.ca });

  testTls.each<[string, keyof typeof watchers, () => SentinelPoolOptions, () => RedisServer]>([
    [
      'plain, of servers that speak TLS',
      'plainOfTls',
      () => ({ tls: trusted(), sentinelTls: false }),
      () => servers.tls,
    ],
    [
      'TLS, of servers that speak plain text',
      'tlsOfPlain',
      () => ({ password: SECRET, sentinelTls: trusted() }),
      () => servers.plain,
    ],
    [
      'with another authority than that of the servers',
      'strangersOfTls',
      () => ({ tls: trusted(), sentinelTls: ofStrangers() }),
      () => servers.tls,
    ],
  ])('are spoken to: %s', async (_, which, options, server) => {
    const engine = engineOf(on(which, options()));
    await engine.connect();
    const redis = engine.getRedis();
    expect(await redis.set('k', which)).toBe('OK');
    expect(await server().cli('GET', 'k')).toBe(which);
    expect((await engine.health()).default.nodes).toMatchObject([{ address: server().address, status: 'up' }]);
  });

  testTls.each<[string, keyof typeof watchers, () => SentinelPoolOptions, RegExp]>([
    [
      'TLS, where only the servers speak it',
      'plainOfTls',
      () => ({ tls: trusted() }),
      /does not speak TLS there: leave tls out, or set sentinelTls to false for the sentinels alone/,
    ],
    [
      'TLS of their own that they do not speak',
      'plainOfTls',
      () => ({ tls: trusted(), sentinelTls: trusted() }),
      /does not speak TLS there: set sentinelTls to false/,
    ],
    [
      'plain text, where the sentinels speak TLS',
      'tlsOfPlain',
      () => ({ password: SECRET }),
      /speaks TLS there: set tls, or sentinelTls for the sentinels alone/,
    ],
    [
      'plain text for them alone, where they speak TLS',
      'strangersOfTls',
      () => ({ tls: trusted(), sentinelTls: false }),
      /speaks TLS there: set sentinelTls\)/,
    ],
    [
      'the authority of the servers for sentinels of another',
      'strangersOfTls',
      () => ({ tls: ofStrangers(), sentinelTls: trusted() }),
      /certificate.*into sentinelTls\.ca/,
    ],
    [
      'the authority of the sentinels for servers of another',
      'strangersOfTls',
      () => ({ tls: ofStrangers(), sentinelTls: ofStrangers() }),
      /certificate.*into tls\.ca/,
    ],
    [
      'no client certificate for sentinels that want one',
      'tlsOfPlain',
      () => ({ password: SECRET, sentinelTls: { ca: certificates.ca } }),
      /client certificate.*sentinelTls\.cert and sentinelTls\.key/,
    ],
  ])('are refused at once: %s', async (_, which, options, message) => {
    await refused(on(which, options()), message);
  });
});

describe('a cluster', () => {
  test('refuses at once: a user who may not ask for its nodes', async () => {
    await refused(
      DEPLOYMENTS['a cluster']('plain').register({ ...PATIENT, username: 'nothing', password: SECRET }),
      /NOPERM.*'cluster\|slots'.*"nothing"/,
    );
  });

  testTls('whose nodes say their addresses while the certificate has only a name', async () => {
    const [node] = clusters.tls.nodes;
    if (!node) throw new Error('the cluster has no node');
    const seeds = [`localhost:${node.port}`];
    const register = (more?: TlsOptions) =>
      new Registry().registerRedisCluster(seeds, 'default', { ...PATIENT, tls: trusted(more) });
    await showing(node, certificates.named, async () => {
      // The seed is called by its name, so that only the node that it names is refused.
      await refused(register(), /IP: 127\.0\.0\.1 is not in the cert's list: connect by a name.*tls\.servername/);
      expect(
        await engineOf(register({ servername: 'localhost' }))
          .getRedis()
          .set('k', 'v'),
      ).toBe('OK');
      await node.cli('CONFIG', 'SET', 'cluster-announce-hostname', 'localhost');
      await node.cli('CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'hostname');
      const engine = engineOf(register());
      await engine.connect();
      expect(await engine.getRedis().set('k', 'v')).toBe('OK');
      expect((await engine.health()).default.nodes[0]?.address).toBe(`localhost:${node.port}`);
    });
  });
});
