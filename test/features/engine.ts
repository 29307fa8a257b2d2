import { expect, test } from 'vitest';
import { ClosedError, type QueryEvent } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

/** What an engine and a pool tell of themselves, and how they end. */
export function engine(site: Site): void {
  test('getPoolConfig() says where the pool leads, and hides passwords', () => {
    const config = site.redis.getPoolConfig();
    expect(config).toMatchObject({
      code: 'default',
      topology: site.kind,
      database: 0,
      keyPrefix: site.keyPrefix,
      clientName: 'lagoon:default',
      commandTimeout: 5_000,
      pool: { max: 60, lanes: 1 },
    });
    expect(config.address).toMatch(/^127\.0\.0\.1:\d+/);
    const secret = site.open({ username: 'app', password: 'hunter2' }).getRedis().getPoolConfig();
    expect(secret).toMatchObject({ username: 'app', password: '<redacted>' });
  });

  test('health() and stats() tell how it is doing', async () => {
    const engine = site.open();
    expect((await engine.health()).default).toMatchObject({ status: 'idle', nodes: [], connections: 0 });
    await engine.connect();
    const { default: health } = await engine.health();
    const masters = site.kind === 'cluster' ? 3 : 1;
    expect(health).toMatchObject({
      status: 'up',
      lanes: { total: masters, connected: masters },
      leases: { inUse: 0, waiting: 0 },
      subscriptions: 0,
      reconnects: 0,
    });
    expect(health.latencyMs).toBeGreaterThan(0);
    expect(health.nodes.map(({ status }) => status)).toEqual(Array(masters).fill('up'));

    const redis = engine.getRedis();
    const key = site.key('stats');
    const popped = redis.blPop(key, 10);
    await using subscription = await redis.subscribe(key, () => {});
    await eventually(() => redis.stats().leases.inUse >= 1);
    expect(redis.stats()).toMatchObject({ subscriptions: 1, pending: 1 });
    await site.redis.rPush(key, 'element');
    await popped;
    await subscription.unsubscribe();
    expect(redis.stats()).toMatchObject({ subscriptions: 0, pending: 0 });
  });

  test('the query log tells every command once, without values', async () => {
    const engine = site.open();
    const redis = engine.getRedis();
    const events: QueryEvent[] = [];
    const unregister = engine.registerQueryLogger((event) => events.push(event), {
      operations: ['SET', 'INCR', 'BLPOP', 'NONSENSE'],
    });
    const key = site.key('logged');
    await redis.set(key, 'hunter2');
    await failure(redis.incr(key));
    await redis.multi().set(`${key}:multi`, 'hunter2').exec();
    await redis.isolated((own) => own.set(`${key}:own`, 'hunter2'), { key });
    await redis.blPop(`${key}:list`, 0.01);
    unregister();
    await redis.set(key, 'not told');
    expect(events.map(({ operation }) => operation)).toEqual(['SET', 'INCR', 'SET', 'SET', 'BLPOP']);
    expect(events[0]).toMatchObject({ pool: 'default', args: ['SET', site.inRedis(key), '?'] });
    expect(events[1]?.error).toBeDefined();
    expect(JSON.stringify(events)).not.toContain('hunter2');
  });

  test('keyPrefix keeps what is in front of it apart', async () => {
    const { redis } = site;
    const key = site.key('prefixed');
    await redis.set(key, 'value');
    await redis.rPush(`${key}:list`, 'element');
    expect(await redis.sendCommand(['GET', site.inRedis(key)])).toBe('value');
    expect(await redis.eval('return KEYS[1]', { keys: [key] })).toBe(site.inRedis(key));
    expect((await redis.blPop(`${key}:list`, 1))?.key).toBe(`${key}:list`);
    if (site.keyPrefix !== '') expect(await redis.sendCommand(['EXISTS', key])).toBe(0);
  });

  test('close() ends what blocks at once, lets the rest finish, and takes nothing more', async () => {
    const engine = site.open();
    const redis = engine.getRedis();
    const key = site.key('closing');
    const blocked = failure(redis.blPop(key, 0));
    await site.blocked(redis);
    const writes = site.keys(50, 'closing').map((each) => redis.set(each, 'written'));
    const closing = engine.close();
    expect(await Promise.all(writes)).toEqual(writes.map(() => 'OK'));
    expect(await blocked).toBeInstanceOf(ClosedError);
    await closing;
    expect(await failure(redis.get(key))).toBeInstanceOf(ClosedError);
    expect(redis.stats()).toMatchObject({ connections: 0, pending: 0 });
  });
}
