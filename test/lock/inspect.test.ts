import { expect, test } from 'vitest';
import { ReplyError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { lockerOn, newKey, waitersOf } from './support.js';

const server = useRedis();
const FREE = { held: false, ttl: 0, fence: undefined, waiting: 0, holders: [] };
/** Within 5 s. */
const A_MINUTE = expect.closeTo(60_000, -4);
const HALF_A_MINUTE = expect.closeTo(30_000, -4);

test('tells who holds, for how long, and how many wait', async () => {
  const locker = lockerOn(server());
  const key = newKey();
  expect(await locker.inspect(key)).toEqual(FREE);
  const lock = await locker.obtain(key, '1m', 0, { token: 'mine#7', metadata: ' host\n7 #1' });
  const abort = new AbortController();
  const waiting = [1, 2, 3].map(() => failure(locker.obtain(key, '1m', '1m', { signal: abort.signal })));
  await waitersOf(locker, key, 3);
  const { fence } = lock ?? {};
  expect(await locker.inspect(key)).toEqual({
    held: true,
    ttl: A_MINUTE,
    fence,
    waiting: 3,
    holders: [{ kind: 'exclusive', value: 'mine#7 host\n7 #1', fence, ttl: A_MINUTE }],
  });
  abort.abort();
  await Promise.all(waiting);
  await lock?.release();
  expect(await locker.inspect(key)).toEqual(FREE);
});

test('tells of a holder that is none of ours', async () => {
  const locker = lockerOn(server());
  const key = newKey();
  await server().cli('SET', key, 'foreign');
  const holder = { kind: 'exclusive', value: 'foreign', fence: undefined, ttl: -1 };
  expect(await locker.inspect(key)).toEqual({ held: true, ttl: -1, fence: undefined, waiting: 0, holders: [holder] });
});

test('tells of readers and of a writer', async () => {
  const [locker, another] = [lockerOn(server()), lockerOn(server())];
  const key = newKey();
  const late = await locker.readWriteLock(key).obtainRead('1m');
  const soon = await another.readWriteLock(key).obtainRead('30s', 0, { metadata: ' host 7' });
  const writing = another.readWriteLock(key).obtainWrite('1m', '10s', { token: 'writer' });
  await waitersOf(locker, key, 1);
  expect(await locker.inspect(key)).toEqual({
    held: true,
    ttl: A_MINUTE,
    fence: soon?.fence,
    waiting: 1,
    holders: [
      { kind: 'reader', value: `${soon?.token} host 7`, fence: soon?.fence, ttl: HALF_A_MINUTE },
      { kind: 'reader', value: late?.token, fence: late?.fence, ttl: A_MINUTE },
    ],
  });
  expect(soon?.token).toHaveLength(22);
  await Promise.all([late?.release(), soon?.release()]);
  const writer = await writing;
  expect((await locker.inspect(key)).holders).toEqual([
    { kind: 'writer', value: 'writer', fence: writer?.fence, ttl: A_MINUTE },
  ]);
  await writer?.release();
  expect(await locker.inspect(key)).toEqual(FREE);
});

test('tells of permits, and not of those whose time is over', async () => {
  const locker = lockerOn(server());
  const key = newKey();
  const semaphore = locker.semaphore(key, 3);
  const stays = await semaphore.obtain('1m');
  await semaphore.obtain(50);
  expect((await locker.inspect(key)).holders).toHaveLength(2);
  await eventually(async () => (await locker.inspect(key)).holders.length === 1);
  // It is only looked at, so the one that is over is still there.
  expect(await server().cli('ZCARD', key)).toBe(2);
  const holder = { kind: 'permit', value: stays?.token, fence: stays?.fence, ttl: A_MINUTE };
  expect((await locker.inspect(key)).holders).toEqual([holder]);
});

test('of a key that holds something else is an error', async () => {
  const locker = lockerOn(server());
  for (const command of [['RPUSH', 'value'], ...['rank', 'reader#', '#1'].map((name) => ['ZADD', '1e15', name])]) {
    const key = newKey();
    const [name = '', ...values] = command;
    await server().cli(name, key, ...values);
    const error = await failure(locker.inspect(key));
    expect(error).toBeInstanceOf(ReplyError);
    expect(error).toMatchObject({ replyCode: 'WRONGTYPE' });
  }
});
