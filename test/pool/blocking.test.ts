import { describe, expect, test } from 'vitest';
import {
  AbortError,
  AcquireTimeoutError,
  CommandTimeoutError,
  PoolOverloadedError,
  type RedisPool,
  ReplyError,
} from '../../src/index.js';
import { eventually, useRedis } from '../support/redis.js';
import { commandCalls, connectionsOf, failure, usePools } from './support.js';

describe('a blocking command', () => {
  const redis = useRedis();
  const open = usePools(redis);

  /** Resolves when so many connections wait in a blocking command. */
  const blocked = (count: number) =>
    eventually(async () => String(await redis().cli('INFO', 'clients')).includes(`blocked_clients:${count}\r\n`));

  const COMMANDS: [name: string, call: (r: RedisPool) => Promise<unknown>, feed: string[], reply: unknown][] = [
    ['BLPOP', (r) => r.blPop('b:l', 0), ['RPUSH', 'b:l', 'e'], { key: 'b:l', element: 'e' }],
    ['BRPOP', (r) => r.brPop('b:l', 0), ['RPUSH', 'b:l', 'e'], { key: 'b:l', element: 'e' }],
    ['BLMOVE', (r) => r.blMove('b:l', 'b:m', 'LEFT', 'LEFT', 0), ['RPUSH', 'b:l', 'e'], 'e'],
    ['BRPOPLPUSH', (r) => r.brPopLPush('b:l', 'b:m', 0), ['RPUSH', 'b:l', 'e'], 'e'],
    ['BLMPOP', (r) => r.blmPop(0, ['b:l'], 'LEFT'), ['RPUSH', 'b:l', 'e'], ['b:l', ['e']]],
    ['BZPOPMIN', (r) => r.bzPopMin('b:z', 0), ['ZADD', 'b:z', '1', 'e'], { key: 'b:z', value: 'e', score: 1 }],
    ['BZPOPMAX', (r) => r.bzPopMax('b:z', 0), ['ZADD', 'b:z', '1', 'e'], { key: 'b:z', value: 'e', score: 1 }],
    [
      'BZMPOP',
      (r) => r.bzmPop(0, ['b:z'], 'MIN'),
      ['ZADD', 'b:z', '1', 'e'],
      { key: 'b:z', members: [{ value: 'e', score: 1 }] },
    ],
    [
      'XREAD with BLOCK',
      (r) => r.xRead({ key: 'b:x', id: '$' }, { BLOCK: 0, COUNT: 1 }),
      ['XADD', 'b:x', '1-1', 'f', 'v'],
      [{ name: 'b:x', messages: [{ id: '1-1', message: { f: 'v' } }] }],
    ],
    ['a raw blpop', (r) => r.sendCommand(['blpop', 'b:l', '0']), ['RPUSH', 'b:l', 'e'], ['b:l', 'e']],
    [
      'a raw BLPOP in Buffers',
      (r) => r.sendCommand(['BLPOP', 'b:l', '0'].map((word) => Buffer.from(word))),
      ['RPUSH', 'b:l', 'e'],
      ['b:l', 'e'],
    ],
  ];

  test.each(COMMANDS)('runs on a lease and keeps no other command waiting: %s', async (_, call, feed, reply) => {
    const pool = open();
    await redis().cli('DEL', 'b:l', 'b:m', 'b:z', 'b:x');
    const result = call(pool);
    await blocked(1);
    expect(pool.stats().leases.inUse).toBe(1);
    expect(await pool.withTimeout('1s').ping()).toBe('PONG');
    await redis().cli(...(feed as [string, ...string[]]));
    expect(await result).toEqual(reply);
    expect(pool.stats()).toMatchObject({ leases: { inUse: 0, idle: 1 }, pending: 0 });
  });

  test('XREADGROUP blocks on a lease with BLOCK and answers on a lane without', async () => {
    const pool = open();
    await pool.xGroupCreate('b:group', 'g', '$', { MKSTREAM: true });
    expect(await pool.xReadGroup('g', 'c', { key: 'b:group', id: '>' })).toBeNull();
    expect(pool.stats().connections).toBe(1);
    const result = pool.xReadGroup('g', 'c', { key: 'b:group', id: '>' }, { BLOCK: 0, COUNT: 1 });
    await blocked(1);
    await pool.xAdd('b:group', '5-1', { f: 'v' });
    expect(await result).toEqual([{ name: 'b:group', messages: [{ id: '5-1', message: { f: 'v' } }] }]);
    expect(pool.stats().connections).toBe(2);
  });

  test('XREAD of a stream called BLOCK answers on a lane', async () => {
    const pool = open();
    await pool.xAdd('BLOCK', '1-1', { f: 'v' });
    expect(await pool.xRead({ key: 'BLOCK', id: '0' })).toHaveLength(1);
    expect(
      await pool.xRead([
        { key: 'b:nothing', id: '0' },
        { key: 'BLOCK', id: '0' },
      ]),
    ).toHaveLength(1);
    expect(pool.stats().connections).toBe(1);
  });

  test('gives null when its own time is over, later than commandTimeout if need be', async () => {
    const pool = open({ commandTimeout: 100 });
    expect(await pool.blPop('b:nothing', 0.25)).toBeNull();
    expect(await pool.blmPop(0.05, ['b:nothing'], 'LEFT')).toBeNull();
    expect(await pool.bzPopMin('b:nothing', 0.05)).toBeNull();
    expect(await pool.xRead({ key: 'b:nothing', id: '$' }, { BLOCK: 50 })).toBeNull();
    expect(pool.stats()).toMatchObject({ connections: 2, leases: { inUse: 0, idle: 1 } });
  });

  test('fails as other commands do', async () => {
    const pool = open();
    await pool.set('b:text', 'text');
    expect(await failure(pool.blPop('b:text', 1))).toBeInstanceOf(ReplyError);
    expect(await failure(pool.sendCommand(['BLPOP', 'b:l', 'soon']))).toBeInstanceOf(ReplyError);
    expect(await failure(pool.sendCommand(['BLPOP']))).toBeInstanceOf(ReplyError);
    expect(await failure(pool.sendCommand(['XREAD', 'BLOCK']))).toBeInstanceOf(ReplyError);
    expect(await failure(pool.sendCommand(['XREAD', 'BLOCK', 'x', 'STREAMS', 'k', '$']))).toBeInstanceOf(ReplyError);
    expect(pool.stats()).toMatchObject({ leases: { inUse: 0 }, pending: 0 });
  });

  test('shares the budget: as many at once as there are connections beside the lanes, the next one waits', async () => {
    const pool = open({ pool: { max: 4 } });
    const results = [1, 2, 3].map(() => pool.blPop('b:budget', 0));
    await blocked(3);
    const fourth = pool.blPop('b:budget', 0);
    await eventually(() => pool.stats().leases.waiting === 1);
    expect(pool.stats()).toMatchObject({ connections: 4, leases: { inUse: 3, idle: 0, waiting: 1 }, pending: 4 });
    await pool.rPush('b:budget', ['1', '2', '3', '4']);
    const elements = (await Promise.all([...results, fourth])).map((reply) => reply?.element).sort();
    expect(elements).toEqual(['1', '2', '3', '4']);
    expect(await connectionsOf(redis())).toHaveLength(4);
  });

  test('waits for a connection no longer than acquireTimeout', async () => {
    const pool = open({ pool: { max: 2, acquireTimeout: 100 } });
    const first = pool.blPop('b:acquire', 0);
    await blocked(1);
    const before = performance.now();
    const error = (await failure(pool.blPop('b:acquire', 0))) as AcquireTimeoutError;
    expect(error).toBeInstanceOf(AcquireTimeoutError);
    expect(error.message).toContain('within 100 ms: all 2 connections are in use; raise pool.max');
    expect(performance.now() - before).toBeGreaterThan(95);
    await pool.rPush('b:acquire', 'first');
    expect(await first).toEqual({ key: 'b:acquire', element: 'first' });
    expect(pool.stats()).toMatchObject({ leases: { inUse: 0, idle: 1, waiting: 0 }, pending: 0 });
  });

  test('is refused at once when maxWaiting callers wait already', async () => {
    const pool = open({ pool: { max: 2, maxWaiting: 2 } });
    const results = [1, 2, 3].map(() => pool.blPop('b:waiting', 0));
    await eventually(() => pool.stats().leases.waiting === 2);
    const error = await failure(pool.blPop('b:waiting', 0));
    expect(error).toBeInstanceOf(PoolOverloadedError);
    expect((error as Error).message).toContain('2 callers already wait');
    // Ordinary commands are none of these.
    await pool.rPush('b:waiting', ['1', '2', '3']);
    expect(await Promise.all(results)).toHaveLength(3);
  });

  test('ends at the timeout of its view plus its own', async () => {
    const pool = open({ commandTimeout: '5s' });
    await pool.blPop('b:nothing', 0.01);
    await redis().freeze();
    const before = performance.now();
    const error = await failure(pool.withTimeout(100).blPop('b:nothing', 0.05));
    await redis().thaw();
    expect(error).toBeInstanceOf(CommandTimeoutError);
    const passed = performance.now() - before;
    expect(passed).toBeGreaterThan(145);
    expect(passed).toBeLessThan(1_000);
  });

  describe('aborted', () => {
    test('while it waits for a connection, leaves the queue', async () => {
      const pool = open({ pool: { max: 2 } });
      const first = pool.blPop('b:queue', 0);
      await blocked(1);
      const controller = new AbortController();
      const second = pool.withAbortSignal(controller.signal).blPop('b:queue', 0);
      await eventually(() => pool.stats().leases.waiting === 1);
      const reason = new Error('changed my mind');
      controller.abort(reason);
      const error = (await failure(second)) as AbortError;
      expect(error).toBeInstanceOf(AbortError);
      expect(error.cause).toBe(reason);
      expect(pool.stats().leases.waiting).toBe(0);
      await pool.rPush('b:queue', 'element');
      expect(await first).toEqual({ key: 'b:queue', element: 'element' });
    });

    test('in flight, frees its lease and keeps the connection', async () => {
      const pool = open({ pool: { max: 2 } });
      const controller = new AbortController();
      const result = pool.withAbortSignal(controller.signal).blPop('b:flight', 0);
      await blocked(1);
      controller.abort();
      expect(await failure(result)).toBeInstanceOf(AbortError);
      await eventually(() => pool.stats().leases.idle === 1);
      expect(pool.stats()).toMatchObject({ connections: 2, leases: { inUse: 0 }, pending: 0 });
      await pool.rPush('b:flight', 'element');
      expect(await pool.lRange('b:flight', 0, -1)).toEqual(['element']);
    });

    test('before it starts, sends nothing', async () => {
      const pool = open();
      expect(await failure(pool.withAbortSignal(AbortSignal.abort()).blPop('b:k', 0))).toBeInstanceOf(AbortError);
      expect(pool.stats().connections).toBe(0);
    });

    test('swallows no element: 200 aborts that race with pushes', async () => {
      const pool = open({ pool: { max: 9 } });
      await pool.del('b:race');
      const ROUNDS = 200;
      let popped = 0;
      let aborts = 0;
      let next = 0;
      const worker = async () => {
        while (next < ROUNDS) {
          const round = next++;
          const controller = new AbortController();
          const result = pool.withAbortSignal(controller.signal).blPop('b:race', 0);
          const push = () => pool.rPush('b:race', '1');
          // Sometimes in the same turn, sometimes a few round trips apart, in either order.
          const order = round % 4;
          if (order === 0) await blockedOnce(round);
          const pushed = order < 2 ? push() : undefined;
          if (order % 2 === 1) await pool.ping();
          controller.abort();
          const last = pushed ?? push();
          const outcome = await result.then(
            () => 'popped',
            (error) => (error instanceof AbortError ? 'aborted' : Promise.reject(error)),
          );
          await last;
          if (outcome === 'popped') popped++;
          else aborts++;
        }
      };
      const blockedOnce = async (round: number) => {
        for (let i = 0; i < round % 3; i++) await pool.ping();
      };
      await Promise.all(Array.from({ length: 8 }, worker));
      expect(popped + aborts).toBe(ROUNDS);
      expect([popped > 0, aborts > 0]).toEqual([true, true]);
      expect(popped + (await pool.lLen('b:race'))).toBe(ROUNDS);
      await eventually(() => pool.stats().leases.inUse === 0);
      expect(pool.stats().pending).toBe(0);
    });
  });

  test('in hundreds at once makes no warning of too many listeners', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const pool = open({ pool: { max: 20 } });
    const signal = new AbortController().signal;
    const many = Array.from({ length: 300 }, () => pool.withAbortSignal(signal).blPop('b:many', 0.01));
    expect((await Promise.all(many)).every((reply) => reply === null)).toBe(true);
    await new Promise(setImmediate);
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
    expect((await commandCalls(redis())).blpop).toBeGreaterThanOrEqual(300);
  });
});
