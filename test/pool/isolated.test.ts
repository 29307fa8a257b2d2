import { describe, expect, test } from 'vitest';
import { AbortError, ClosedError, CommandRefusedError, type IsolatedRedis, ReplyError } from '../../src/index.js';
import { eventually, useRedis } from '../support/redis.js';
import { connectionsOf, failure, usePools } from './support.js';

/** One lane and one lease: who asks for a connection gets the one that the caller before gave back. */
const TIGHT = { pool: { max: 2 } };

describe('isolated()', () => {
  const redis = useRedis();
  const open = usePools(redis);
  const idOf = (own: IsolatedRedis) => own.clientId();

  describe('has what a pool refuses, because it needs a connection of its own', () => {
    const RAW = [
      ['WATCH', 'i:k'],
      ['UNWATCH'],
      ['MULTI'],
      ['EXEC'],
      ['DISCARD'],
      ['MONITOR'],
      ['WAIT', '0', '1'],
      ['WAITAOF', '0', '0', '1'],
      ['SUBSCRIBE', 'c'],
      ['UNSUBSCRIBE', 'c'],
      ['PSUBSCRIBE', 'c'],
      ['PUNSUBSCRIBE', 'c'],
      ['SSUBSCRIBE', 'c'],
      ['SUNSUBSCRIBE', 'c'],
    ];

    test.each(RAW)('%s is refused on the pool, with the remedy', async (...args) => {
      const pool = open();
      for (const spelt of [args, args.map((word) => word.toLowerCase()), args.map((word) => Buffer.from(word))]) {
        const error = (await failure(pool.sendCommand(spelt))) as CommandRefusedError;
        expect(error).toBeInstanceOf(CommandRefusedError);
        expect(error.command).toBe(args[0]);
        expect(error.message).toMatch(/isolated\(fn\)|subscribe\(\)/);
      }
      expect(pool.stats().connections).toBe(0);
    });

    test('watch, unwatch and wait', async () => {
      const replies = await open().isolated(async (own) => [
        await own.watch('i:a'),
        await own.watch(['i:b', Buffer.from('i:c')]),
        await own.unwatch(),
        await own.wait(0, 10),
        await own.sendCommand(['WAIT', '0', '10']),
      ]);
      expect(replies).toEqual(['OK', 'OK', 'OK', 0, 0]);
    });

    test('a raw MULTI, in which typed commands answer QUEUED', async () => {
      const replies = await open().isolated(async (own) => [
        await own.sendCommand(['MULTI']),
        await own.set('i:raw', '1'),
        await own.hGetAll('i:nothing'),
        await own.sendCommand(['exec']),
        await own.hGetAll('i:nothing'),
      ]);
      expect(replies).toEqual(['OK', 'QUEUED', 'QUEUED', ['OK', {}], {}]);
    });

    test('monitor shows what the server executes', async () => {
      const pool = open();
      const seen: string[] = [];
      await pool.isolated(async (own) => {
        await own.monitor((line) => seen.push(String(line)));
        await pool.set('i:monitored', '1');
        await eventually(() => seen.some((line) => line.includes('"i:monitored"')));
      });
    });

    test('subscribe gives messages to the callback', async () => {
      const pool = open();
      const seen: string[] = [];
      await pool.isolated(async (own) => {
        await own.subscribe('i:channel', (message) => seen.push(message));
        await pool.publish('i:channel', 'hello');
        await eventually(() => seen.length === 1);
        await own.unsubscribe('i:channel');
        await own.pSubscribe('i:p*', (message) => seen.push(message));
        await pool.publish('i:pattern', 'again');
        await eventually(() => seen.length === 2);
      });
      expect(seen).toEqual(['hello', 'again']);
    });

    test('but raw commands that change what replies mean only by their method', async () => {
      await open().isolated(async (own) => {
        for (const name of ['monitor', 'subscribe', 'pSubscribe', 'sUnsubscribe']) {
          const error = (await failure(own.sendCommand([name.toUpperCase(), 'c']))) as CommandRefusedError;
          expect(error).toBeInstanceOf(CommandRefusedError);
          expect(error.message).toContain(`call the method ${name}()`);
        }
        expect(await own.ping()).toBe('PONG');
      });
    });
  });

  describe('gives the connection back clean', () => {
    test('without what was watched', async () => {
      const pool = open(TIGHT);
      const first = await pool.isolated(async (own) => {
        await own.watch('i:watched');
        return idOf(own);
      });
      await pool.set('i:watched', 'changed');
      const [second, replies] = await pool.isolated(async (own) => [
        await idOf(own),
        await own.multi().get('i:watched').exec(),
      ]);
      expect(second).toBe(first);
      expect(replies).toEqual(['changed']);
    });

    test('without a MULTI, whose commands are not executed', async () => {
      const pool = open(TIGHT);
      const first = await pool.isolated(async (own) => {
        const id = await idOf(own);
        await own.sendCommand(['MULTI']);
        await own.set('i:discarded', '1');
        return id;
      });
      const [second, value] = await pool.isolated(async (own) => [await idOf(own), await own.get('i:discarded')]);
      expect(second).toBe(first);
      expect(value).toBeNull();
    });

    test.each<[string, (own: IsolatedRedis) => Promise<unknown>]>([
      ['a pipeline', (own) => own.multi().ping().execAsPipeline()],
      ['an EXEC without MULTI', (own) => failure(own.sendCommand(['EXEC']))],
      ['a DISCARD without MULTI', (own) => failure(own.sendCommand(['DISCARD']))],
      ['an EXEC that could not be encoded', (own) => failure(own.sendCommand(['EXEC', 5 as never]))],
    ])('without what was watched, although %s looks like the end of it', async (_, act) => {
      const pool = open(TIGHT);
      await pool.isolated(async (own) => {
        await own.watch('i:watched');
        await act(own);
      });
      await pool.set('i:watched', 'changed');
      expect(await pool.isolated((own) => own.multi().get('i:watched').exec())).toEqual(['changed']);
    });

    test('without what was watched, although the transaction was aborted before it was sent', async () => {
      const pool = open(TIGHT);
      const controller = new AbortController();
      const attempt = pool.withAbortSignal(controller.signal).isolated(async (own) => {
        await own.watch('i:watched');
        // Of one turn only the first command is on its way to the socket: the transaction behind it is not.
        const first = own.get('i:watched');
        const replies = own.multi().get('i:watched').exec();
        controller.abort();
        return Promise.allSettled([first, replies]);
      });
      expect((await attempt).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
      await pool.set('i:watched', 'changed');
      expect(await pool.isolated((own) => own.multi().get('i:watched').exec())).toEqual(['changed']);
    });

    test('also if the callback fails', async () => {
      const pool = open(TIGHT);
      const own = new Error('own');
      const attempt = pool.isolated(async (connection) => {
        await connection.watch('i:watched');
        await connection.sendCommand(['MULTI']);
        throw own;
      });
      expect(await failure(attempt)).toBe(own);
      expect(await failure(pool.isolated(() => Promise.reject(own)))).toBe(own);
      expect(
        await failure(
          pool.isolated(() => {
            throw own;
          }),
        ),
      ).toBe(own);
      expect(await pool.isolated((connection) => connection.get('i:nothing'))).toBeNull();
      expect(pool.stats()).toMatchObject({ connections: 2, leases: { inUse: 0, idle: 1, waiting: 0 }, pending: 0 });
    });

    test.each<[string, (own: IsolatedRedis) => Promise<unknown>]>([
      ['a monitor', (own) => own.monitor(() => {})],
      ['a subscriber', (own) => own.subscribe('c', () => {})],
      ['one that has unsubscribed', (own) => own.unsubscribe('c')],
    ])('or not at all: %s is closed', async (_, spoil) => {
      const pool = open(TIGHT);
      const first = await pool.isolated(async (own) => {
        const id = await idOf(own);
        await spoil(own);
        return id;
      });
      const second = await pool.isolated(idOf);
      expect(second).not.toBe(first);
      await eventually(async () => (await connectionsOf(redis())).length === 2);
      expect(pool.stats().leases).toEqual({ inUse: 0, idle: 1, waiting: 0 });
    });

    test('with what was not awaited finished', async () => {
      const pool = open(TIGHT);
      let last: Promise<unknown> | undefined;
      await pool.isolated((own) => {
        for (let i = 0; i < 100; i++) last = own.incr('i:unawaited');
      });
      expect(await pool.get('i:unawaited')).toBe('100');
      expect(await last).toBe(100);
      expect(pool.stats().leases).toEqual({ inUse: 0, idle: 1, waiting: 0 });
    });
  });

  test('lends the connection for the length of the callback only', async () => {
    const pool = open();
    const kept = await pool.isolated(async (own) => own);
    expect(await failure(kept.get('i:k'))).toBeInstanceOf(ClosedError);
    expect(await failure(kept.sendCommand(['GET', 'i:k']))).toBeInstanceOf(ClosedError);
    expect(await failure(kept.watch('i:k'))).toBeInstanceOf(ClosedError);
    expect(await failure(kept.multi().get('i:k').exec())).toBeInstanceOf(ClosedError);
    expect(await failure(() => kept.subscribe('c', () => {}))).toBeInstanceOf(ClosedError);
    expect(await failure(() => kept.monitor(() => {}))).toBeInstanceOf(ClosedError);
  });

  test('runs blocking commands on the connection itself', async () => {
    const pool = open(TIGHT);
    const popped = pool.isolated(async (own) => [await idOf(own), await own.blPop('i:list', 5), await idOf(own)]);
    await eventually(async () => (await connectionsOf(redis())).some(({ cmd }) => cmd === 'blpop'));
    await pool.rPush('i:list', 'element');
    const [before, reply, after] = await popped;
    expect(reply).toEqual({ key: 'i:list', element: 'element' });
    expect(after).toBe(before);
  });

  test('ends a blocking command when the signal of its view aborts, and swallows no element', async () => {
    const pool = open(TIGHT);
    const controller = new AbortController();
    const popped = pool.withAbortSignal(controller.signal).isolated((own) => own.blPop('i:aborted', 0));
    await eventually(async () => (await connectionsOf(redis())).some(({ cmd }) => cmd === 'blpop'));
    const before = performance.now();
    controller.abort();
    expect(await failure(popped)).toBeInstanceOf(AbortError);
    expect(performance.now() - before).toBeLessThan(1_000);
    await pool.rPush('i:aborted', 'element');
    expect(await pool.lRange('i:aborted', 0, -1)).toEqual(['element']);
  });

  test('shows an error of the server as it is', async () => {
    const error = await failure(open().isolated((own) => own.sendCommand(['EXEC'])));
    expect(error).toBeInstanceOf(ReplyError);
    expect((error as Error).message).toBe('ERR EXEC without MULTI');
  });
});
