import { RESP_TYPES } from 'redis';
import { describe, expect, test } from 'vitest';
import {
  CommandRefusedError,
  InvalidArgumentError,
  PoolOverloadedError,
  ReplyError,
  TransactionError,
} from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { commandCalls, failure, usePools } from './support.js';

describe('multi()', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test('gives one reply per command, as the typed methods do', async () => {
    const pool = open();
    const replies = await pool
      .multi()
      .set('m:string', 'value')
      .get('m:string')
      .zAdd('m:sorted', { score: 1.5, value: 'a' })
      .zRangeWithScores('m:sorted', 0, -1)
      .hGetAll('m:nothing')
      .blPop('m:nothing', 0)
      .addCommand(['HSET', 'm:hash', 'f', 'v'])
      .sendCommand(['HGETALL', 'm:hash'])
      .exec();
    expect(replies).toEqual(['OK', 'value', 1, [{ value: 'a', score: 1.5 }], {}, null, 1, { f: 'v' }]);
  });

  test('execTyped and the upper-case and namespaced builders are those of node-redis', async () => {
    const pool = open();
    const replies: [string | null, string | null, number] = await pool
      .multi()
      .SET('m:typed', '1')
      .get('m:typed')
      .incr('m:typed')
      .execTyped();
    expect(replies).toEqual(['OK', '1', 2]);
    expect(typeof pool.multi().json.get).toBe('function');
  });

  test('of nothing sends nothing', async () => {
    const pool = open();
    expect(await pool.multi().exec()).toEqual([]);
    expect(await pool.multi().execAsPipeline()).toEqual([]);
    expect(pool.stats().connections).toBe(0);
  });

  test('answers an error of one command with a TransactionError that has all replies', async () => {
    const pool = open();
    const attempt = pool.multi().set('m:e', 'text').incr('m:e').get('m:e').lPush('m:e', 'x').exec();
    const error = (await failure(attempt)) as TransactionError;
    expect(error).toBeInstanceOf(TransactionError);
    expect(error.errorIndexes).toEqual([1, 3]);
    expect(error.replies).toEqual(['OK', expect.any(ReplyError), 'text', expect.any(ReplyError)]);
    expect((error.replies[3] as ReplyError).replyCode).toBe('WRONGTYPE');
    expect(error.message).toContain('2 of 4 commands failed: ERR value is not an integer');
  });

  test('executes nothing if the server rejects a command when it is queued', async () => {
    const pool = open();
    const error = await failure(pool.multi().set('m:abort', '1').sendCommand(['NONSENSE']).set('m:abort', '2').exec());
    expect(error).toBeInstanceOf(ReplyError);
    expect((error as ReplyError).message).toContain("unknown command 'NONSENSE'");
    expect(await pool.get('m:abort')).toBeNull();
    // The lane is not left inside the MULTI.
    expect(await pool.ping()).toBe('PONG');
  });

  describe.each([
    ['exec(true)', (m: { exec(p?: boolean): Promise<unknown> }) => m.exec(true)],
    ['execAsPipeline()', (m: { execAsPipeline(): Promise<unknown> }) => m.execAsPipeline()],
    ['execAsPipelineTyped()', (m: { execAsPipelineTyped(): Promise<unknown> }) => m.execAsPipelineTyped()],
  ] as const)('%s', (_, exec) => {
    test('sends the commands without MULTI', async () => {
      const pool = open();
      await pool.ping();
      await redis().cli('CONFIG', 'RESETSTAT');
      expect(await exec(pool.multi().set('m:p', '1').incr('m:p') as never)).toEqual(['OK', 2]);
      expect(Object.keys(await commandCalls(redis())).sort()).toEqual(['config|resetstat', 'incr', 'set']);
    });

    test('answers an error of one command with a TransactionError that has all replies', async () => {
      const attempt = exec(open().multi().set('m:pe', 'text').incr('m:pe').get('m:pe') as never);
      const error = (await failure(attempt)) as TransactionError;
      expect(error).toBeInstanceOf(TransactionError);
      expect(error.errorIndexes).toEqual([1]);
      expect(error.replies).toEqual(['OK', expect.any(ReplyError), 'text']);
    });
  });

  test('is atomic: of 100 at once on one lane, none sees the middle of another', async () => {
    const pool = open();
    await pool.del(['m:counter', 'm:log']);
    const transfers = Array.from({ length: 100 }, (_, i) =>
      pool.multi().incr('m:counter').rPush('m:log', String(i)).incr('m:counter').lLen('m:log').exec(),
    );
    // Plain commands of other callers in between.
    const others = Array.from({ length: 100 }, () => pool.get('m:counter'));
    const replies = (await Promise.all(transfers)) as unknown as number[][];
    for (const [i, [first, pushed, second, length]] of replies.entries()) {
      expect([first, pushed, second, length]).toEqual([2 * i + 1, i + 1, 2 * i + 2, i + 1]);
    }
    // Outside a transaction the counter is even.
    for (const value of await Promise.all(others)) expect(Number(value) % 2).toBe(0);
  });

  test('puts the prefix before keys of typed commands, not of raw ones', async () => {
    const pool = open({ keyPrefix: 'p:' });
    await pool.multi().set('m:k', 'prefixed').sendCommand(['SET', 'm:k', 'raw']).exec();
    expect(await redis().cli('GET', 'p:m:k')).toBe('prefixed');
    expect(await redis().cli('GET', 'm:k')).toBe('raw');
  });

  test('takes over the type mapping of its view', async () => {
    const pool = open().withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.MAP]: Map });
    const [, text, map] = await pool.multi().hSet('m:map', { f: 'v' }).hGet('m:map', 'f').hGetAll('m:map').exec();
    expect(text).toEqual(Buffer.from('v'));
    expect(map).toEqual(new Map([['f', Buffer.from('v')]]));
  });

  test('takes it over where node-redis maps types after the reply, too', async () => {
    const pool = open();
    await pool.xAdd('m:stream', '1-1', { field: 'value' });
    const view = pool.withTypeMapping({ [RESP_TYPES.MAP]: Map });
    const [messages] = await view.multi().xRange('m:stream', '-', '+').exec();
    expect(messages).toEqual([{ id: '1-1', message: new Map([['field', 'value']]) }]);
    expect(messages).toEqual(await view.xRange('m:stream', '-', '+'));
    expect(await view.isolated((own) => own.multi().xRange('m:stream', '-', '+').exec())).toEqual([messages]);
  });

  test('sends nothing if one of its commands needs a connection of its own, and says so at the end of the chain', async () => {
    const pool = open();
    for (const command of ['WATCH', 'MULTI', 'EXEC', 'SUBSCRIBE', 'MONITOR', 'WAIT']) {
      const raw = pool.multi().set('m:kept', '1').sendCommand([command.toLowerCase(), '0', '0']).get('k');
      expect(await failure(raw.exec())).toMatchObject({ name: 'CommandRefusedError', command });
      const added = pool.multi().set('m:kept', '1').addCommand([command, '0', '0']);
      expect(await failure(added.execAsPipeline())).toBeInstanceOf(CommandRefusedError);
    }
    expect(await pool.get('m:kept')).toBeNull();
  });

  test('rejects arguments that are neither strings nor Buffers, and sends nothing', async () => {
    const pool = open();
    for (const multi of [
      pool.multi().sendCommand(['SET', 'm:bad', 5 as never]),
      pool.multi().set('m:bad', undefined as never),
      pool.multi().sendCommand([]),
    ]) {
      expect(await failure(multi.set('m:bad', '1').exec())).toBeInstanceOf(InvalidArgumentError);
    }
    expect(await pool.get('m:bad')).toBeNull();
  });

  test('counts each of its commands against maxPending', async () => {
    const pool = open({ maxPending: 4 });
    expect(await failure(pool.multi().ping().ping().ping().exec())).toBeInstanceOf(PoolOverloadedError);
    expect(await pool.multi().ping().ping().exec()).toEqual(['PONG', 'PONG']);
    expect(pool.stats().pending).toBe(0);
  });
});
