import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type CacheEvent,
  ConnectError,
  defineScript,
  type Engine,
  type Lock,
  type RedisPool,
  type RegisterClusterOptions,
  type RegisterSentinelOptions,
  Registry,
  ReplyError,
} from '../../src/index.js';
import { KeyvLagoon } from '../../src/keyv/index.js';
import {
  type RedisCluster,
  type RedisServer,
  type SentinelGroup,
  startCluster,
  startRedis,
  startSentinel,
} from '../../src/testing/index.js';
import { commandCalls } from '../pool/support.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/redis.js';
import { engineOf } from './support.js';

/** The rules of a feature, as the page for users has them. */
function rightsOf(feature: string): string[] {
  const page = readFileSync(fileURLToPath(new URL('../../docs/security.md', import.meta.url)), 'utf8');
  const block = new RegExp(`<!-- rights: ${feature} -->\n\`\`\`text\n([^\`]*)\`\`\``).exec(page)?.[1];
  if (block === undefined) throw new Error(`docs/security.md has no rights of ${feature}`);
  return block.split(/\s+/).filter(Boolean);
}

const SECRET = 's3cret-and-more';
let server: RedisServer;
let group: SentinelGroup;
let cluster: RedisCluster;

beforeAll(async () => {
  [server, group, cluster] = await Promise.all([
    startRedis(),
    startSentinel({ replicas: 1, sentinels: 1, quorum: 1 }),
    startCluster({ masters: 2, replicasPerMaster: 1 }),
  ]);
});
afterAll(() => Promise.all([server, group, cluster].map((each) => each.stop())));

const DEPLOYMENTS = {
  'one server': {
    servers: () => [server],
    own: [] as string[],
    register: (options: RegisterSentinelOptions) => new Registry().registerRedis(server.address, 0, 'default', options),
  },
  Sentinel: {
    servers: () => group.servers,
    own: ['sentinel'],
    register: (options: RegisterSentinelOptions) =>
      new Registry().registerRedisSentinel(group.name, group.sentinels, 0, 'default', {
        sentinelUsername: 'watcher',
        sentinelPassword: SECRET,
        ...options,
      }),
  },
  'a cluster': {
    servers: () => cluster.nodes,
    own: ['cluster'],
    register: (options: RegisterSentinelOptions) =>
      new Registry().registerRedisCluster(cluster.addresses, 'default', options),
  },
};
type Kind = keyof typeof DEPLOYMENTS;

/** Gives a user exactly these rights on servers. */
async function grant(servers: readonly RedisServer[], user: string, rules: readonly string[]): Promise<void> {
  await Promise.all(servers.map((each) => each.cli('ACL', 'SETUSER', user, 'reset', 'on', `>${SECRET}`, ...rules)));
}

/** A pool of a user with exactly the rights of some features, and those that every pool there needs. */
async function as(
  kind: Kind,
  features: readonly string[],
  { more = [], less = [], watcher = [], options = {} }: Partial<Besides> & { less?: readonly string[] } = {},
) {
  const { servers, own, register } = DEPLOYMENTS[kind];
  const rules = [...['pool', ...own, ...features].flatMap(rightsOf), ...more].filter((rule) => !less.includes(rule));
  await grant(servers(), 'app', rules);
  if (kind === 'Sentinel') await grant(group.sentinelServers, 'watcher', ['sentinels', ...watcher].flatMap(rightsOf));
  const open = () => engineOf(register({ username: 'app', password: SECRET, keyPrefix: 'app:', ...options }));
  return { engine: open(), open };
}

/** What a user has or does beside what a test is about. */
interface Besides {
  readonly features: readonly string[];
  readonly more: readonly string[];
  /** Rights of the user of the sentinels, beside those that it always needs. */
  readonly watcher: readonly string[];
  readonly options: RegisterClusterOptions;
}

/** Whether a server has executed a command, as `INFO commandstats` names it. */
type Called = (command: string) => Promise<boolean>;

/** What uses every right that a feature is said to need. */
const EXERCISES: Record<string, (redis: RedisPool, another: RedisPool, called: Called) => Promise<void>> = {
  async pool(redis) {
    expect(await redis.ping()).toBe('PONG');
  },
  async transactions(redis) {
    const add = (own: RedisPool | { multi(): ReturnType<RedisPool['multi']> }) => own.multi().ping().exec();
    expect(await redis.transaction(add as never, { watch: 'k' })).toEqual(['PONG']);
    await redis.isolated(
      async (own) => {
        await own.watch('k');
        await own.unwatch();
        await own.sendCommand(['MULTI']);
        await own.sendCommand(['DISCARD']);
      },
      { key: 'k' },
    );
  },
  async blocking(redis) {
    const abort = new AbortController();
    const waiting = failure(redis.withAbortSignal(abort.signal).blPop('nothing', 0));
    await eventually(() => redis.stats().leases.inUse > 0);
    abort.abort();
    expect((await waiting)?.code).toBe('ABORT_ERR');
  },
  async subscriptions(redis) {
    const heard: string[] = [];
    const listen = (message: string) => heard.push(message);
    const all = await Promise.all([
      redis.subscribe('news', listen),
      redis.pSubscribe('news*', listen),
      redis.sSubscribe('news:shard', listen),
    ]);
    await redis.publish('news', 'plain');
    await redis.sPublish('news:shard', 'shard');
    await eventually(() => heard.length === 3);
    await Promise.all(all.map((subscription) => subscription.unsubscribe()));
  },
  async locks(redis, another, called) {
    const [mine, theirs] = [redis.getLocker(), another.getLocker()];
    const held = async (lock: Promise<Lock | null>): Promise<Lock> => {
      const got = await lock;
      if (!got) throw new Error('not obtained');
      return got;
    };
    const free = await held(mine.obtain('job', '20s'));
    expect(await mine.inspect('job')).toMatchObject({ held: true });
    expect(await free.ttl()).toBeGreaterThan(0);
    expect(await free.refresh('10s')).toBe(true);
    expect(await theirs.obtain('job', '1s', 500)).toBeNull();
    const queued = held(theirs.obtain('job', '20s', '10s'));
    await eventually(async () => (await mine.inspect('job')).waiting === 1);
    await free.refresh('5s');
    // Who waits is told that it is sooner now, and asks again.
    await eventually(() => called('lrange'));
    await free.release();
    await (await queued).release();
    const both = await held(mine.obtain(['{two}1', '{two}2'], '20s'));
    await both.release();
    const [readers, writers] = [mine.readWriteLock('book'), theirs.readWriteLock('book')];
    const reading = await held(readers.obtainRead('20s'));
    const writing = held(writers.obtainWrite('20s', '10s'));
    await eventually(async () => (await redis.getLocker().inspect('other')).waiting === 0);
    await reading.ttl();
    await reading.refresh('5s');
    await reading.release();
    await (await writing).release();
    const seats = mine.semaphore('seats', 2);
    await Promise.all([held(seats.obtain('1s')), held(seats.obtain('1s'))]);
    expect(await seats.obtain('1s')).toBeNull();
    // The channel of a slot is left when nobody has waited there for a while.
    if (redis.getPoolConfig().pool.idleTimeout < 1_000) await eventually(() => called('sunsubscribe'));
  },
  async limits(redis, _, called) {
    const consume = async (algorithm: 'sliding-window' | 'gcra' | 'fixed-window', limit: number) => {
      const limiter = redis.getRateLimiter({ algorithm, limit, period: '1m', prefix: `limit:${limit}:` });
      for (let i = 0; i < 2; i++) expect((await limiter.consume('k')).allowed).toBe(true);
      await limiter.penalty('k');
      await limiter.peek('k');
      return limiter;
    };
    for (const algorithm of ['sliding-window', 'gcra', 'fixed-window'] as const) {
      await (await consume(algorithm, 5)).reset('k');
    }
    // Many calls are kept in another way than few, and their key lives on while there are more.
    const many = redis.getRateLimiter({ limit: 100_000, period: 100 });
    await eventually(async () => {
      for (let n = 0; n < 40; n++) await many.consume('many', 1 + (n % 2));
      return (await called('pexpire')) && called('setrange');
    });
    expect(await redis.rateLimit('one', '1m', 1)).toBe(true);
    expect(await redis.rateLimit('one', '1m', 1)).toBe(false);
  },
  async cache(redis) {
    const cache = redis.getCache<number>({ prefix: 'c', ttl: '1m' });
    await cache.put('a', 1);
    expect(await cache.get('a')).toBe(1);
    expect(await cache.getDel('a')).toBe(1);
    expect(await cache.getOrSet('b', () => 2, { grace: '1m' })).toBe(2);
    expect(await cache.getOrSet('b', () => 3, { grace: '1m' })).toBe(2);
    await cache.put('short', 1, { ttl: '1s', tags: ['t'] });
    await cache.put('long', 1, { ttl: '1h', tags: ['t'] });
    const forever = redis.getCache<number>({ prefix: 'c' });
    await forever.put('ever', 1, { tags: ['t'] });
    expect(await cache.get('long')).toBe(1);
    await cache.removeByTag('t');
    expect(await cache.get('long')).toBeUndefined();
    expect(await cache.keys('*')).toContain('b');
    await cache.clear();
  },
  async local(redis, another) {
    const events: CacheEvent[] = [];
    const onEvent = (event: CacheEvent) => events.push(event);
    const near = redis.getCache<number>({ prefix: 'near', local: true, onEvent });
    await eventually(() => events.some(({ type }) => type === 'local-up'));
    await near.put('k', 1);
    await eventually(async () => (await near.get('k')) === 1 && near.stats().localHits > 0);
    await another.getCache<number>({ prefix: 'near' }).put('k', 2);
    await eventually(async () => (await near.get('k')) === 2);
    expect(events.map(({ type }) => type)).not.toContain('local-refused');
    near.close();
  },
  async keyv(redis) {
    const store = new KeyvLagoon(redis, { prefix: 'keyv:' });
    await store.set('k', 'v', 1_000);
    expect(await store.get('k')).toBe('v');
    expect(await store.has('k')).toBe(true);
    await store.delete('k');
    await store.clear();
  },
  async confirmed(redis) {
    const lock = await redis.getLocker().obtain('confirmed', '10s', 0, { replicas: 1 });
    expect(await lock?.release()).toBe(true);
  },
  // Of the deployment, for any use of it.
  async sentinel() {},
  async cluster(redis) {
    await redis.isolated((own) => own.ping(), { key: 'k' });
  },
};

/** What the exercise of a feature needs beside its rights. */
const BESIDES: Record<string, Partial<Besides>> = {
  blocking: { more: ['+blpop'] },
  waiting: { features: ['locks'] },
  'waiting-cluster': { features: ['locks'], options: { pool: { idleTimeout: 100 } } },
  confirmed: { features: ['locks'] },
  local: { features: ['cache'] },
};
const EVERYWHERE = ['pool', 'transactions', 'blocking', 'subscriptions', 'limits', 'cache', 'local', 'keyv'];
const FEATURES: Record<Kind, readonly string[]> = {
  'one server': [...EVERYWHERE, 'locks', 'waiting'],
  Sentinel: [...EVERYWHERE, 'locks', 'waiting', 'confirmed', 'sentinel'],
  'a cluster': [...EVERYWHERE, 'locks', 'waiting-cluster', 'confirmed', 'cluster'],
};

/** A slot on its way is a test of its own; removals by pattern leave no mark on a cluster. */
const UNUSED: Record<Kind, readonly string[]> = {
  'one server': [],
  Sentinel: [],
  'a cluster': ['+asking', '+append', '+strlen'],
};

describe.each(Object.keys(DEPLOYMENTS) as Kind[])('on %s', (kind) => {
  const { servers } = DEPLOYMENTS[kind];
  const waiting = kind === 'a cluster' ? 'waiting-cluster' : 'waiting';

  beforeEach(async () => {
    for (const each of servers()) {
      // A replica takes no writes.
      await each.cli('FLUSHALL').catch(() => undefined);
      await each.cli('SCRIPT', 'FLUSH');
      await each.cli('ACL', 'LOG', 'RESET');
      await each.cli('CONFIG', 'RESETSTAT');
    }
  });

  test.each(FEATURES[kind])('the rights of %s are enough, and all of them are used', async (feature) => {
    const besides = BESIDES[feature] ?? {};
    const features = [feature, ...(besides.features ?? []), ...(feature === 'locks' ? [waiting] : [])];
    const { engine, open } = await as(kind, features, besides);
    await engine.connect();
    expect((await engine.health()).default.status).toBe('up');
    const called = async () => new Set((await Promise.all(servers().map(commandCalls))).flatMap(Object.keys));
    const exercise = EXERCISES[feature.startsWith('waiting') ? 'locks' : feature];
    await exercise?.(engine.getRedis(), open().getRedis(), async (name) => (await called()).has(name));
    for (const each of servers()) expect(await each.cli('ACL', 'LOG')).toEqual([]);
    const used = await called();
    const idle = rightsOf(feature).filter((rule) => rule.startsWith('+') && !used.has(rule.slice(1)));
    expect(idle.filter((rule) => !UNUSED[kind].includes(rule))).toEqual([]);
  });
});

describe('the rights to read from replicas', () => {
  /** Whether a server that is none of the masters has been read from. */
  async function readFrom(replicas: readonly RedisServer[]): Promise<boolean> {
    const calls = await Promise.all(replicas.map(commandCalls));
    return calls.some((each) => (each.get ?? 0) > 0);
  }

  beforeEach(async () => {
    for (const each of [...group.servers, ...cluster.nodes]) {
      await each.cli('CONFIG', 'RESETSTAT');
      await each.cli('ACL', 'LOG', 'RESET');
    }
  });

  test('are enough on a cluster', async () => {
    const prefer = { replicas: 'prefer' } as const;
    const { engine } = await as('a cluster', ['replicas-cluster'], { more: ['+get'], options: prefer });
    const replicas = (await Promise.all((await cluster.masters()).map((node) => cluster.replicasOf(node)))).flat();
    await eventually(async () => (await engine.getRedis().get('k')) === null && readFrom(replicas));
    for (const each of cluster.nodes) expect(await each.cli('ACL', 'LOG')).toEqual([]);
  });

  test('are enough on Sentinel', async () => {
    const prefer = { replicas: 'prefer' } as const;
    const { engine } = await as('Sentinel', [], { more: ['+get'], watcher: ['replicas-sentinels'], options: prefer });
    await eventually(async () => (await engine.getRedis().get('k')) === null && readFrom(await group.replicas()));
    for (const each of [...group.servers, ...group.sentinelServers]) expect(await each.cli('ACL', 'LOG')).toEqual([]);
  });
});

describe('the rights on a cluster', () => {
  test('are enough for a slot that is on its way', async () => {
    const { engine } = await as('a cluster', [], { more: ['+get', '+set'] });
    const redis = engine.getRedis();
    await redis.set('{moving}', 'v');
    const owner = await cluster.nodeOf('app:{moving}');
    const other = (await cluster.masters()).find((node) => node !== owner) as RedisServer;
    const move = await cluster.startMovingSlot('app:{moving}', other);
    await move.moveKeys();
    expect(await redis.get('{moving}')).toBe('v');
    await move.finish();
    expect(await redis.get('{moving}')).toBe('v');
  });
});

describe('a right that is missing', () => {
  /** What `work` fails with for a user who lacks a right of the features. */
  async function without(
    right: string,
    features: readonly string[],
    work: (redis: RedisPool, engine: Engine<'default'>) => Promise<unknown>,
    kind: Kind = 'one server',
  ): Promise<ReplyError> {
    const { engine } = await as(kind, features, { more: ['+get', '+mget'], less: [right] });
    const error = await failure(work(engine.getRedis(), engine));
    expect(error).toBeInstanceOf(ReplyError);
    expect(error).toMatchObject({ code: 'LAGOON_REPLY', replyCode: 'NOPERM' });
    expect(error?.message).not.toContain(SECRET);
    return error as unknown as ReplyError;
  }

  beforeEach(async () => {
    await server.cli('FLUSHALL');
    await server.cli('SCRIPT', 'FLUSH');
  });

  test.each<[right: string, feature: string, named: RegExp, (redis: RedisPool) => Promise<unknown>]>([
    ['~app:*', 'pool', /GET app:k\b/, (redis) => redis.get('k')],
    ['~app:*', 'pool', /MGET app:a app:b/, (redis) => redis.mGet(['a', 'b'])],
    ['+multi', 'transactions', /'multi'/, (redis) => redis.multi().get('k').exec()],
    [
      '+watch',
      'transactions',
      /'watch'.*WATCH app:k/,
      (redis) => redis.transaction((own) => own.get('k'), { watch: 'k' }),
    ],
    ['+subscribe', 'subscriptions', /'subscribe'.*SUBSCRIBE news/, (redis) => redis.subscribe('news', () => {})],
    ['&news*', 'subscriptions', /channels.*SSUBSCRIBE news/, (redis) => redis.sSubscribe('news', () => {})],
    ['&news*', 'subscriptions', /channels.*PUBLISH news/, (redis) => redis.publish('news', 'text')],
    ['+evalsha', 'locks', /'evalsha'.*app:lagoon:locks app:job/, (redis) => redis.getLocker().obtain('job', '1s')],
    ['+eval', 'locks', /'eval'/, (redis) => redis.getLocker().obtain('job', '1s')],
    ['+set', 'locks', /script.*app:job/, (redis) => redis.getLocker().obtain('job', '1s')],
    ['~app:*', 'locks', /keys.*app:lagoon:locks app:job/, (redis) => redis.getLocker().obtain('job', '1s')],
    ['+evalsha', 'limits', /'evalsha'.*app:limit:/, (redis) => redis.rateLimit('k', '1m', 1)],
    ['+time', 'limits', /script.*app:limit:/, (redis) => redis.rateLimit('k', '1m', 1)],
    ['+set', 'limits', /script.*app:limit:/, (redis) => redis.rateLimit('k', '1m', 1)],
    ['~app:*', 'limits', /keys.*app:limit:/, (redis) => redis.rateLimit('k', '1m', 1)],
    ['+set', 'cache', /'set'.*SET app:c#k/, (redis) => redis.getCache({ prefix: 'c' }).put('k', 1)],
    ['+scan', 'cache', /'scan'/, (redis) => redis.getCache({ prefix: 'c' }).keys()],
  ])('%s of %s is an error that names it', async (right, feature, named, work) => {
    expect((await without(right, [feature], work)).message).toMatch(named);
  });

  test('is an error for who waits for a lock, and not the end of its time', async () => {
    const blocker = await server.cli('SET', 'app:job', 'somebody', 'PX', '60000');
    expect(blocker).toBe('OK');
    for (const [right, named] of [
      ['&lagoon:lock:*', /SUBSCRIBE lagoon:lock:/],
      ['+subscribe', /'subscribe'.*SUBSCRIBE lagoon:lock:/],
      ['+rpush', /script.*app:job/],
    ] as const) {
      const wait = (redis: RedisPool) => redis.getLocker().obtain('job', '1s', '20s');
      expect((await without(right, ['locks', 'waiting'], wait)).message).toMatch(named);
    }
  });

  test('is an error whatever is to be done while Redis is down', async () => {
    await without('+evalsha', ['limits'], (redis) =>
      redis.getRateLimiter({ limit: 1, period: '1m', whenDown: 'allow' }).consume('k'),
    );
    await without('~app:*', ['cache'], (redis) =>
      redis.getCache({ prefix: 'c', whenDown: 'load' }).getOrSet('k', () => 1),
    );
    // What connecting needs, and the user may not do, is a refusal too.
    const { engine } = await as('Sentinel', ['limits'], { less: ['+role'] });
    const limiter = engine.getRedis().getRateLimiter({ limit: 1, period: '1m', whenDown: 'allow' });
    expect((await failure(limiter.consume('k')))?.message).toMatch(/NOPERM.*'role'/);
    expect(await failure(engine.connect())).toBeInstanceOf(ConnectError);
  });

  test('to one key is the trouble of those who use it alone, and not of who asks in the same turn', async () => {
    const { engine } = await as('one server', ['limits', 'locks'], {
      more: ['resetkeys', '~app:lagoon:locks*', '~app:*:ann'],
    });
    const redis = engine.getRedis();
    const limiter = redis.getRateLimiter({ limit: 1, period: '1m', prefix: 'l' });
    const limits = await Promise.allSettled(['1:ann', '1:bob', '2:ann'].map((key) => limiter.consume(key)));
    expect(limits.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const locks = await Promise.allSettled(['x:ann', 'x:bob'].map((key) => redis.getLocker().obtain(key, '20s')));
    expect(locks.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(locks[1]).toMatchObject({ reason: { code: 'LAGOON_REPLY', replyCode: 'NOPERM' } });
  });

  test('to one key does not have executed what was aborted meanwhile', async () => {
    const { engine } = await as('one server', ['limits'], { more: ['resetkeys', '~app:*:ann'] });
    const redis = engine.getRedis();
    const script = defineScript<string>({
      lua: `local replies = {}
        for i, key in ipairs(KEYS) do replies[i] = redis.call('SET', key, ARGV[i]).ok end
        return replies`,
      keys: 1,
      args: 1,
      batch: 8,
    });
    const abort = new AbortController();
    const calls = Promise.allSettled([
      redis.runScript(script, ['1:ann'], ['x']),
      redis.runScript(script, ['1:bob'], ['x']),
      redis.withAbortSignal(abort.signal).runScript(script, ['2:ann'], ['x']),
    ]);
    // Sent, and not yet answered.
    setImmediate(() => abort.abort());
    expect((await calls).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect([await redis.get('1:ann'), await redis.get('2:ann')]).toEqual(['x', null]);
  });

  test('leaves a cache without its local tier, which says so once, and works when the right is there', async () => {
    const { engine } = await as('one server', ['cache']);
    const events: CacheEvent[] = [];
    const onEvent = (event: CacheEvent) => events.push(event);
    const cache = engine.getRedis().getCache<number>({ prefix: 'c', local: { heartbeat: 50 }, onEvent });
    await cache.put('k', 1);
    await eventually(() => events.length > 0);
    await server.cli('ACL', 'LOG', 'RESET');
    await eventually(async () => ((await server.cli('ACL', 'LOG')) as unknown[]).length > 0);
    expect(await cache.get('k')).toBe(1);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ type: 'local-refused', error: { replyCode: 'NOPERM' } });
    expect((events[0] as { error: Error }).error.message).toMatch(/client\|tracking/);
    await server.cli('ACL', 'SETUSER', 'app', ...rightsOf('local'));
    await eventually(() => events.some(({ type }) => type === 'local-up'));
    // A refused PING shows a living connection as well as an answered one.
    await server.cli('ACL', 'SETUSER', 'app', '-ping');
    await server.cli('ACL', 'LOG', 'RESET');
    await eventually(async () => ((await server.cli('ACL', 'LOG')) as unknown[]).length > 0);
    await eventually(async () => (await cache.get('k')) === 1 && cache.stats().localHits > 3);
    expect(events.map(({ type }) => type)).toEqual(['local-refused', 'local-up']);
  });

  test('to a channel, taken away, is the trouble of its subscription alone, which comes back with the right', async () => {
    const { engine } = await as('one server', ['subscriptions']);
    const redis = engine.getRedis();
    const heard: string[] = [];
    let again = 0;
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on('warning', warn);
    try {
      const onResubscribe = () => {
        again++;
      };
      await redis.subscribe('news:a', (message) => heard.push(`a ${message}`), { onResubscribe });
      await redis.subscribe('news:b', (message) => heard.push(`b ${message}`));
      await server.cli('ACL', 'SETUSER', 'app', 'resetchannels', '&news:a');
      await eventually(() => again === 1 && warnings.length === 1);
      expect(warnings[0]).toMatchObject({ code: 'LAGOON_SUBSCRIPTION' });
      expect(warnings[0]?.message).toMatch(/"news:b".*NOPERM/);
      // While the other one is tried in vain.
      for (let i = 0; i < 20; i++) {
        await server.cli('ACL', 'LOG', 'RESET');
        if (i < 3) await eventually(async () => ((await server.cli('ACL', 'LOG')) as unknown[]).length > 0);
        await server.cli('PUBLISH', 'news:a', String(i));
      }
      await eventually(() => heard.length === 20);
      expect(again).toBe(1);
      await server.cli('ACL', 'SETUSER', 'app', '&news:b');
      await eventually(async () => (await server.cli('PUBLISH', 'news:b', 'back')) === 1);
      await eventually(() => heard.includes('b back'));
      expect([again, warnings.length]).toEqual([1, 1]);
    } finally {
      process.off('warning', warn);
    }
  });
});
