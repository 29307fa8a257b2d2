import { afterEach, describe, expect, test } from 'vitest';
import { ConnectionError } from '../../src/index.js';
import { engineOn, failure } from '../support/engine.js';
import { eventually, type FaultyProxy, startProxy, useRedis } from '../support/redis.js';

describe('kill -9 and restart under load', () => {
  const server = useRedis();

  test('every command settles with a value or an error of ours, and the pool recovers by itself within 1 s', async () => {
    const redis = engineOn(server().address, { commandTimeout: 2_000 }).getRedis();
    await redis.ping();
    let issued = 0;
    let settled = 0;
    let stop = false;
    const strange: unknown[] = [];
    const caller = async () => {
      while (!stop) {
        issued++;
        const error = await failure(redis.set('key', 'value'));
        settled++;
        if (error && !String(error.code).startsWith('LAGOON_')) strange.push(error);
      }
    };
    const callers = Array.from({ length: 100 }, caller);
    await eventually(() => settled > 5_000);
    await server().kill();
    await eventually(() => redis.stats().reconnects > 0);
    const settledBefore = settled;
    await server().restart();
    const backAt = performance.now();
    await eventually(() => settled > settledBefore + 1_000);
    expect(performance.now() - backAt).toBeLessThan(1_000);
    stop = true;
    await Promise.all(callers);
    expect(settled).toBe(issued);
    expect(strange).toEqual([]);
    expect(redis.stats().pending).toBe(0);
  });

  test('an idle pool is back within 1 s, without a call from the user', async () => {
    const redis = engineOn(server().address).getRedis();
    await redis.ping();
    await server().kill();
    await eventually(() => redis.stats().lanes.connected === 0);
    await server().restart();
    await eventually(() => redis.stats().lanes.connected === 1, { timeout: 1_000 });
  });

  test('a pool that was asked to connect while it was connected still comes back', async () => {
    const engine = engineOn(server().address, { pool: { lanes: 2 } });
    const redis = engine.getRedis();
    await engine.connect();
    await engine.connect();
    await server().kill();
    await eventually(() => redis.stats().lanes.connected === 0);
    await server().restart();
    await eventually(() => redis.stats().lanes.connected === 2, { timeout: 2_000 });
  });

  test('what was not yet written waits for the reconnect and is executed once', async () => {
    const redis = engineOn(server().address).getRedis();
    await redis.ping();
    await server().kill();
    await eventually(() => redis.stats().lanes.connected === 0);
    const waiting = Promise.all([redis.incr('once'), redis.incr('once')]);
    await server().restart();
    expect(await waiting).toEqual([1, 2]);
  });

  test('a transaction is executed whole or not at all', async () => {
    const redis = engineOn(server().address).getRedis();
    await redis.ping();
    const multis = Array.from({ length: 200 }, () => failure(redis.multi().incr('a').incr('b').exec()));
    await server().kill();
    const more = Array.from({ length: 200 }, () => failure(redis.multi().incr('a').incr('b').exec()));
    await server().restart();
    await Promise.all([...multis, ...more]);
    const [a, b] = await redis.mGet(['a', 'b']);
    expect(a).toBe(b);
  });

  test('subscriptions come back by themselves and say that messages may have been missed', async () => {
    const redis = engineOn(server().address).getRedis();
    const messages: string[] = [];
    let resubscribed = 0;
    const onResubscribe = () => {
      resubscribed++;
    };
    await redis.subscribe('channel', (message) => messages.push(message), { onResubscribe });
    await server().kill();
    await server().restart();
    await eventually(() => resubscribed === 1);
    expect(await redis.publish('channel', 'after')).toBe(1);
    await eventually(() => messages.includes('after'));
  });
});

describe('a connection that drops', () => {
  const server = useRedis();
  let proxy: FaultyProxy;
  afterEach(() => proxy.stop());

  test('in the middle of a reply: ConnectionError says that the command may have been executed, the next command works', async () => {
    proxy = await startProxy(server().address);
    const redis = engineOn(proxy.address).getRedis();
    await redis.set('big', 'x'.repeat(100_000));
    proxy.truncate(50_000);
    const error = await failure(redis.get('big'));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: 'LAGOON_CONNECTION', mayHaveBeenExecuted: true });
    expect(error?.cause).toBeInstanceOf(Error);
    expect(await redis.strLen('big')).toBe(100_000);
  });

  test('in the middle of the confirmation of a subscription: ConnectionError, and nothing stays subscribed', async () => {
    proxy = await startProxy(server().address);
    const redis = engineOn(proxy.address).getRedis();
    await redis.subscribe('other', () => {});
    proxy.truncate(1);
    const error = await failure(redis.subscribe('channel', () => {}));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: 'LAGOON_CONNECTION', mayHaveBeenExecuted: true });
    expect(error?.cause).toBeInstanceOf(Error);
    await eventually(async () => (await redis.publish('other', '')) === 1);
    expect(await redis.publish('channel', '')).toBe(0);
  });

  test('after the write: everything in flight is rejected as possibly executed', async () => {
    proxy = await startProxy(server().address);
    const redis = engineOn(proxy.address).getRedis();
    await redis.ping();
    proxy.blackhole(true);
    const pending = Array.from({ length: 10 }, () => failure(redis.incr('n')));
    // Commands are written in the turn that issues them; one more turn, and they are in the proxy.
    await new Promise((resolve) => setImmediate(resolve));
    proxy.blackhole(false);
    proxy.cutAll();
    for (const error of await Promise.all(pending)) expect(error).toMatchObject({ mayHaveBeenExecuted: true });
    expect(await redis.ping()).toBe('PONG');
  });

  test('while idle in the pool: the next lease gets a living one', async () => {
    proxy = await startProxy(server().address);
    const redis = engineOn(proxy.address).getRedis();
    await redis.isolated((own) => own.ping());
    proxy.cutAll();
    await eventually(() => redis.stats().leases.idle === 0);
    expect(await redis.isolated((own) => own.ping())).toBe('PONG');
  });

  test('while it blocks: BLPOP rejects and its lease is not leaked', async () => {
    proxy = await startProxy(server().address);
    const redis = engineOn(proxy.address).getRedis();
    await redis.ping();
    const blocked = failure(redis.blPop('nothing', 0));
    await eventually(() => redis.stats().leases.inUse === 1);
    proxy.cutAll();
    expect(await blocked).toBeInstanceOf(ConnectionError);
    await eventually(() => redis.stats().leases.inUse === 0);
  });

  test('a congested connection loses nothing silently: every command settles, unwritten ones are executed once', async () => {
    proxy = await startProxy(server().address);
    const redis = engineOn(proxy.address, { commandTimeout: '20s' }).getRedis();
    await redis.ping();
    proxy.blackhole(true);
    const value = 'x'.repeat(256 * 1024);
    const outcomes = Array.from({ length: 200 }, (_, i) =>
      failure(redis.set(`congested:${i}`, value, { condition: 'NX' })),
    );
    await new Promise((resolve) => setImmediate(resolve));
    proxy.blackhole(false);
    proxy.cutAll();
    const errors = await Promise.all(outcomes);
    const maybe = errors.filter((error) => error?.mayHaveBeenExecuted === true).length;
    const fine = errors.filter((error) => error === undefined).length;
    expect(maybe).toBeGreaterThan(0);
    expect(fine).toBeGreaterThan(0);
    expect(maybe + fine).toBe(200);
    expect(await redis.dbSize()).toBeGreaterThanOrEqual(fine);
  });
});
