import { describe, expect, test } from 'vitest';
import { Registry } from '../../src/index.js';
import { eventually, useRedis } from '../support/redis.js';
import { connectionsOf, usePools } from './support.js';

describe('the connections of a pool', () => {
  const redis = useRedis();
  const open = usePools(redis);
  const count = async (name?: string) => (await connectionsOf(redis(), name)).length;

  test.each([1, 2, 4])('are none until the first use, and %s lane(s) after it', async (lanes) => {
    const name = `lanes-${lanes}`;
    const pool = open({ clientName: name, pool: { lanes } });
    pool.stats();
    pool.getPoolConfig();
    pool.multi();
    pool.withTimeout('1s');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await count(name)).toBe(0);
    await pool.ping();
    await eventually(async () => (await count(name)) === lanes);
    await Promise.all(Array.from({ length: 2_000 }, () => pool.ping()));
    expect(await count(name)).toBe(lanes);
    expect(pool.stats()).toEqual({
      connections: lanes,
      lanes: { total: lanes, connected: lanes },
      leases: { inUse: 0, idle: 0, waiting: 0 },
      pending: 0,
      subscriptions: 0,
      reconnects: 0,
    });
  });

  test('are never more than max, whatever is asked for at once', async () => {
    const name = 'never-more';
    const pool = open({ clientName: name, pool: { max: 5, lanes: 2 } });
    let most = 0;
    const work = Array.from({ length: 30 }, async (_, i) => {
      if (i % 3 === 0) await pool.blPop(`c:${i}`, 0.02);
      else if (i % 3 === 1) await pool.isolated((own) => own.incr('c:n'));
      else await pool.transaction((own) => own.multi().incr('c:n').exec());
      most = Math.max(most, pool.stats().connections);
    });
    const [subscription] = await Promise.all([pool.subscribe('c:channel', () => {}), ...work]);
    expect(most).toBe(5);
    expect(await count(name)).toBe(5);
    await subscription.unsubscribe();
  });

  test('beside the lanes are closed when they were idle for idleTimeout, down to min', async () => {
    const name = 'idle';
    const pool = open({ clientName: name, pool: { max: 8, lanes: 1, min: 3, idleTimeout: 50 } });
    await Promise.all(Array.from({ length: 6 }, () => pool.isolated((own) => own.ping())));
    // The lane is in use for the life of the pool, so it is not one of them.
    await eventually(async () => (await count(name)) === 4);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await count(name)).toBe(4);
    expect(pool.stats()).toMatchObject({ connections: 4, leases: { idle: 3 } });
  });

  test('carry the name of the pool, or the one that was configured', async () => {
    const engine = new Registry()
      .registerRedis(redis().address, 0, 'orders')
      .registerRedis(redis().address, 0, 'named', { clientName: 'billing' })
      .validate();
    await engine.connect();
    await engine.getRedis('orders').isolated(async (own) => {
      expect(await own.clientGetName()).toBe('lagoon:orders');
    });
    expect(await count('lagoon:orders')).toBe(2);
    expect(await count('billing')).toBe(1);
    await engine.close();
  });

  test('are on the database of the pool', async () => {
    const pool = open({}, 3);
    await pool.set('c:database', '3');
    expect(await pool.isolated((own) => own.get('c:database'))).toBe('3');
    expect(await redis().cli('EXISTS', 'c:database')).toBe(0);
    expect((await connectionsOf(redis())).map(({ db }) => db)).toEqual(['3', '3']);
  });

  test('lead through a unix socket as well', async () => {
    const engine = new Registry().registerRedis(redis().socketPath).validate();
    expect(await engine.getRedis().ping()).toBe('PONG');
    expect(engine.getRedis().getPoolConfig().address).toBe(redis().socketPath);
    await engine.close();
  });

  test('are shown by stats() while they are in use', async () => {
    const pool = open({ pool: { max: 3 } });
    const first = pool.blPop('c:stats', 0);
    const second = pool.isolated((own) => own.blPop('c:stats', 0));
    const third = pool.blPop('c:stats', 0);
    await eventually(() => pool.stats().leases.waiting === 1 && pool.stats().leases.inUse === 2);
    expect(pool.stats()).toMatchObject({ connections: 3, lanes: { total: 1, connected: 1 }, pending: 3 });
    await pool.rPush('c:stats', ['1', '2', '3']);
    await Promise.all([first, second, third]);
    await eventually(() => pool.stats().leases.idle === 2);
    expect(pool.stats()).toMatchObject({ leases: { inUse: 0, idle: 2, waiting: 0 }, pending: 0 });
  });

  test('getPoolConfig() shows the configuration with every default and no secret', () => {
    const pool = open({ password: 'hunter2', username: 'app', commandTimeout: '2s', pool: { max: 4 } }, 2);
    const config = pool.getPoolConfig();
    expect(config).toEqual({
      code: 'default',
      topology: 'standalone',
      address: redis().address,
      database: 2,
      username: 'app',
      password: '<redacted>',
      tls: false,
      keyPrefix: '',
      clientName: 'lagoon:default',
      connectTimeout: 5_000,
      commandTimeout: 2_000,
      maxPending: 100_000,
      failFast: false,
      reconnect: { minDelay: 50, maxDelay: 500 },
      pool: { max: 4, min: 0, lanes: 1, acquireTimeout: 3_000, idleTimeout: 30_000, maxWaiting: 1_000 },
      commands: {},
    });
    // Of one's own: changing it changes nothing.
    (config as { database: number }).database = 9;
    expect(pool.getPoolConfig().database).toBe(2);
  });
});
