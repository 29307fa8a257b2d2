import { afterEach, describe, expect, test } from 'vitest';
import {
  AbortError,
  ClosedError,
  CommandTimeoutError,
  ConnectError,
  ConnectionError,
  type Engine,
  InvalidArgumentError,
  PoolNotRegisteredError,
  type RedisPool,
  Registry,
} from '../src/index.js';
import { startRedis } from '../src/testing/index.js';
import { connectionsOf, failure } from './pool/support.js';
import { eventually, freePort, startProxy, useRedis } from './support/redis.js';

describe('Engine', () => {
  const redis = useRedis();
  const count = async (name: string) => (await connectionsOf(redis(), name)).length;

  const engines: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.close()));
  });
  function closedAfter<E extends { close(): Promise<void> }>(engine: E): E {
    engines.push(engine);
    return engine;
  }

  function twoPools() {
    const registry = new Registry()
      .registerRedis(redis().address, 0, 'default')
      .registerRedis(redis().address, 3, 'test', { pool: { lanes: 2 } });
    return closedAfter(registry.validate());
  }

  describe('getRedis()', () => {
    test('gives the pool of a name, always the same object', async () => {
      const engine = twoPools();
      expect(engine.codes).toEqual(['default', 'test']);
      expect(engine.getRedis()).toBe(engine.getRedis('default'));
      expect(engine.getRedis('test')).not.toBe(engine.getRedis());
      await engine.getRedis('test').set('e:key', 'three');
      expect(await engine.getRedis().exists('e:key')).toBe(0);
      expect(await engine.getRedis('test').get('e:key')).toBe('three');
    });

    test.each(['tset', '', '__proto__', 'constructor', 'Default'])(
      'names the pools there are when asked for %j',
      (name) => {
        const engine = twoPools();
        expect(() => engine.getRedis(name as never)).toThrow(PoolNotRegisteredError);
        expect(() => engine.getRedis(name as never)).toThrow(
          `No Redis pool is registered as ${JSON.stringify(name)}; registered: "default", "test"`,
        );
      },
    );
  });

  describe('connect()', () => {
    test('connects every lane of every pool', async () => {
      const engine = twoPools();
      await engine.connect();
      expect([await count('lagoon:default'), await count('lagoon:test')]).toEqual([1, 2]);
      await engine.connect({ timeout: '1s' });
      expect([await count('lagoon:default'), await count('lagoon:test')]).toEqual([1, 2]);
    });

    test('lists every pool that failed and why, and keeps the others connected', async () => {
      const port = await freePort();
      const engine = closedAfter(
        new Registry()
          .registerRedis(redis().address)
          .registerRedis(`127.0.0.1:${port}`, 0, 'nobody')
          .registerRedis(redis().address, 99, 'database')
          .registerRedis(redis().address, 0, 'password', { username: 'nobody', password: 'hunter2' })
          .validate(),
      );
      const error = (await failure(engine.connect())) as ConnectError;
      expect(error).toBeInstanceOf(ConnectError);
      expect(error.code).toBe('LAGOON_CONNECT');
      expect(error.failures.map(({ pool }) => pool)).toEqual(['nobody', 'database', 'password']);
      expect(error.failures.map(({ error: { message } }) => message)).toEqual([
        expect.stringContaining('ECONNREFUSED'),
        expect.stringContaining('DB index is out of range'),
        expect.stringMatching(/AUTH|password/),
      ]);
      for (const { pool } of error.failures) expect(error.message).toContain(`${pool}: `);
      expect(error.message).not.toContain('hunter2');
      expect(await engine.getRedis().ping()).toBe('PONG');
    });

    test('tries again until its timeout, for a server that is about to come', async () => {
      const port = await freePort();
      const engine = closedAfter(new Registry().registerRedis(`127.0.0.1:${port}`).validate());
      const connected = engine.connect({ timeout: '10s' });
      await new Promise((resolve) => setTimeout(resolve, 100));
      await using _server = await startRedis({ port });
      await connected;
      expect(engine.getRedis().stats().lanes.connected).toBe(1);
    });

    test('ends at its timeout with the last reason', async () => {
      const engine = closedAfter(new Registry().registerRedis(`127.0.0.1:${await freePort()}`).validate());
      const before = performance.now();
      const error = await failure(engine.connect({ timeout: 200 }));
      expect(error).toBeInstanceOf(ConnectError);
      expect((error as Error).message).toContain('ECONNREFUSED');
      expect(performance.now() - before).toBeLessThan(1_000);
    });

    test('ends when its signal aborts', async () => {
      const proxy = await startProxy(redis().address);
      proxy.blackhole(true);
      const engine = closedAfter(new Registry().registerRedis(proxy.address).validate());
      const controller = new AbortController();
      const connected = engine.connect({ signal: controller.signal });
      controller.abort();
      const error = (await failure(connected)) as ConnectError;
      expect(error.failures[0]?.error).toBeInstanceOf(AbortError);
      expect(await failure(engine.connect({ signal: AbortSignal.abort() }))).toBeInstanceOf(ConnectError);
      await engine.close({ timeout: 0 });
      await proxy.stop();
    });

    test.each([0, -1, '5', Number.NaN])('refuses a timeout of %s', async (timeout) => {
      const engine = twoPools();
      expect(await failure(engine.connect({ timeout: timeout as never }))).toBeInstanceOf(InvalidArgumentError);
    });
  });

  describe('health()', () => {
    test('does not connect a pool that was not used', async () => {
      const engine = twoPools();
      const health = await engine.health();
      expect(health.default).toMatchObject({ status: 'idle', connections: 0 });
      expect(health.default.latencyMs).toBeUndefined();
      expect(await count('lagoon:default')).toBe(0);
    });

    test('says which pools are up and down, and what they do', async () => {
      const engine = closedAfter(
        new Registry()
          .registerRedis(redis().address)
          .registerRedis(`127.0.0.1:${await freePort()}`, 0, 'nobody', { commandTimeout: 200 })
          .registerRedis(redis().address, 0, 'unused')
          .validate(),
      );
      const blocked = engine.getRedis().blPop('e:health', 0);
      await engine.connect().catch(() => {});
      await eventually(() => engine.getRedis().stats().leases.inUse === 1);
      const health = await engine.health();
      expect(health.default).toMatchObject({
        status: 'up',
        latencyMs: expect.any(Number),
        connections: 2,
        lanes: { total: 1, connected: 1 },
        leases: { inUse: 1, idle: 0, waiting: 0 },
        pending: 1,
        reconnects: 0,
      });
      expect(health.default.latencyMs).toBeLessThan(1_000);
      expect(health.nobody).toMatchObject({ status: 'down', error: expect.any(Error), connections: 0 });
      expect(health.unused.status).toBe('up'); // connect() has connected it
      await engine.getRedis().rPush('e:health', 'x');
      await blocked;
    });

    test('connects a pool that was not used, if it is asked to', async () => {
      const engine = twoPools();
      const health = await engine.health({ connect: true });
      expect(health.default).toMatchObject({ status: 'up', lanes: { connected: 1 } });
      expect(health.test).toMatchObject({ status: 'up' });
    });

    test('waits no longer than its timeout, with what a pool of any kind leads to', async () => {
      const server = await startRedis();
      const silent = { commandTimeout: '30s', connectTimeout: '30s' } as const;
      const nobody = await freePort();
      const engine = closedAfter(
        new Registry()
          .registerRedis(server.address, 0, 'default', silent)
          .registerRedisCluster([`127.0.0.1:${nobody}`], 'cluster', silent)
          .validate(),
      );
      await engine.getRedis().ping();
      await server.freeze();
      const startedAt = performance.now();
      const health = await engine.health({ timeout: 200, connect: true });
      expect(performance.now() - startedAt).toBeLessThan(3_000);
      expect(health.default).toMatchObject({ status: 'down', error: expect.any(CommandTimeoutError) });
      expect(health.cluster).toMatchObject({ status: 'down', error: expect.any(Error) });
      expect(health.cluster.nodes).toMatchObject([{ status: 'down', address: `127.0.0.1:${nobody}` }]);
      await server.stop();
    });

    test('refuses options that it does not know, and values that cannot be right', async () => {
      const engine = twoPools();
      for (const options of [{ timeout: 0 }, { connect: 1 }, { timout: 5 }, '1s']) {
        expect(await failure(engine.health(options as never))).toBeInstanceOf(InvalidArgumentError);
      }
    });

    test('never rejects, after close() neither', async () => {
      const engine = twoPools();
      await engine.getRedis().ping();
      await engine.close();
      const health = await engine.health();
      expect(health.default).toMatchObject({ status: 'down', error: expect.any(ClosedError), connections: 0 });
      expect(health.test.status).toBe('idle');
    });
  });

  describe('close()', () => {
    const NEW_WORK: [string, (r: RedisPool) => Promise<unknown>][] = [
      ['a command', (r) => r.get('e:key')],
      ['a raw command', (r) => r.sendCommand(['GET', 'e:key'])],
      ['a blocking command', (r) => r.blPop('e:list', 0)],
      ['a multi', (r) => r.multi().get('e:key').exec()],
      ['a pipeline', (r) => r.multi().get('e:key').execAsPipeline()],
      ['a transaction', (r) => r.transaction((own) => own.get('e:key'))],
      ['an isolated callback', (r) => r.isolated((own) => own.get('e:key'))],
      ['a subscription', (r) => r.subscribe('e:channel', () => {})],
      ['a command of a view', (r) => r.withTimeout('1s').get('e:key')],
    ];

    test.each(NEW_WORK)('refuses new work from that moment on: %s', async (_, work) => {
      const engine = twoPools();
      const pool = engine.getRedis();
      await pool.ping();
      const closed = engine.close();
      expect(await failure(work(pool))).toBeInstanceOf(ClosedError);
      await closed;
      expect(await failure(work(pool))).toBeInstanceOf(ClosedError);
      expect(await failure(engine.connect())).toBeInstanceOf(ClosedError);
    });

    test('lets what is in flight finish, then leaves no connection', async () => {
      const engine = twoPools();
      const pool = engine.getRedis();
      await pool.ping();
      await redis().freeze();
      const inFlight = [pool.echo('1'), pool.multi().echo('2').exec()];
      await new Promise((resolve) => setTimeout(resolve, 20));
      let over = false;
      const closed = engine.close().then(() => {
        over = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(over).toBe(false);
      await redis().thaw();
      expect(await Promise.all(inFlight)).toEqual(['1', ['2']]);
      await closed;
      await eventually(async () => (await count('lagoon:default')) === 0);
      expect(pool.stats()).toMatchObject({ connections: 0, pending: 0, leases: { inUse: 0, idle: 0 } });
    });

    test('lets a callback that has begun go on with its own connection', async () => {
      const engine = twoPools();
      const pool = engine.getRedis();
      let closed: Promise<void> | undefined;
      const replies = await pool.isolated(async (own) => {
        await own.set('e:callback', '1');
        closed = engine.close();
        const refused = await failure(pool.get('e:callback'));
        return [await own.get('e:callback'), await own.multi().incr('e:callback').exec(), refused];
      });
      expect(replies).toEqual(['1', [2], expect.any(ClosedError)]);
      await closed;
    });

    test('ends blocked commands and subscriptions at once', async () => {
      const engine = closedAfter(
        new Registry().registerRedis(redis().address, 0, 'default', { pool: { max: 4 } }).validate(),
      );
      const pool = engine.getRedis();
      await pool.subscribe('e:channel', () => {});
      const blocked = pool.blPop('e:forever', 0);
      const isolated = pool.isolated((own) => own.blPop('e:forever', 0));
      await eventually(() => pool.stats().leases.inUse === 3);
      const waiting = pool.blPop('e:forever', 0);
      await eventually(() => pool.stats().leases.waiting === 1);
      const before = performance.now();
      const [, ...errors] = await Promise.all([engine.close(), ...[blocked, isolated, waiting].map((p) => failure(p))]);
      expect(performance.now() - before).toBeLessThan(1_000);
      for (const error of errors) expect(error).toBeInstanceOf(ClosedError);
      await eventually(async () => (await count('lagoon:default')) === 0);
      // An element that comes later is nobody's.
      await redis().cli('RPUSH', 'e:forever', 'element');
      expect(await redis().cli('LRANGE', 'e:forever', '0', '-1')).toEqual(['element']);
    });

    test('with a timeout of 0 ends what is in flight, and says that it may have been executed', async () => {
      const engine = twoPools();
      const pool = engine.getRedis();
      await pool.ping();
      await redis().freeze();
      const inFlight = failure(pool.echo('1'));
      await new Promise((resolve) => setTimeout(resolve, 20));
      await engine.close({ timeout: 0 });
      await redis().thaw();
      expect(await inFlight).toBeInstanceOf(ConnectionError);
      expect(await inFlight).toMatchObject({ mayHaveBeenExecuted: true, cause: expect.any(ClosedError) });
    });

    test('can be called again: every call waits for the first', async () => {
      const engine = twoPools();
      await engine.getRedis().ping();
      await Promise.all([engine.close(), engine.close(), engine.close({ timeout: 0 })]);
      await engine.close();
      await engine[Symbol.asyncDispose]();
    });

    test('while connecting ends connect() with a ClosedError', async () => {
      const proxy = await startProxy(redis().address);
      proxy.blackhole(true);
      const engine = closedAfter(new Registry().registerRedis(proxy.address).validate());
      const connected = failure(engine.connect());
      const command = failure(engine.getRedis().get('e:key'));
      await eventually(() => proxy.open > 0);
      const before = performance.now();
      await engine.close({ timeout: 50 });
      const error = (await connected) as ConnectError;
      expect(error.failures.map((each) => each.error)).toEqual([expect.any(ClosedError)]);
      expect(await command).toBeInstanceOf(ClosedError);
      expect(performance.now() - before).toBeLessThan(1_000);
      // A proxy that passes nothing on does not notice either that its client has gone.
      proxy.blackhole(false);
      await eventually(() => proxy.open === 0);
      await proxy.stop();
    });

    test('of an engine that was never used, and of one pool among several engines', async () => {
      await twoPools().close();
      const [first, second] = [twoPools(), twoPools()];
      await Promise.all([first.getRedis().ping(), second.getRedis().ping()]);
      await first.close();
      expect(await second.getRedis().ping()).toBe('PONG');
      await second.close();
    });

    test('happens at the end of `await using`', async () => {
      let kept: Engine<'default' | 'test'> | undefined;
      {
        await using engine = twoPools();
        await engine.getRedis().ping();
        kept = engine;
      }
      expect(await failure(kept.getRedis().ping())).toBeInstanceOf(ClosedError);
    });

    test.each([-1, 1.5, 'soon', Number.NaN])('refuses a timeout of %s, and does not close', async (timeout) => {
      const engine = twoPools();
      expect(await failure(engine.close({ timeout: timeout as never }))).toBeInstanceOf(InvalidArgumentError);
      expect(await engine.getRedis().ping()).toBe('PONG');
    });
  });
});
