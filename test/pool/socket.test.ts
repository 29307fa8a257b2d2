import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { RESP_TYPES } from 'redis';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError, type RedisPool } from '../../src/index.js';
import { engineOn } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';

const server = useRedis();

/** A pool that is connected, and the socket of its lane. */
async function connected(): Promise<{ redis: RedisPool; socket: Socket }> {
  const sockets: Socket[] = [];
  const note = (message: unknown) => void sockets.push((message as { socket: Socket }).socket);
  subscribe('net.client.socket', note);
  const engine = engineOn(server().address);
  await engine.connect();
  unsubscribe('net.client.socket', note);
  expect(sockets).toHaveLength(1);
  // What waited for the connection is written in the turn in which it came.
  await nextTurn();
  return { redis: engine.getRedis(), socket: sockets[0] as Socket };
}

/** Resolves in the tick behind those that are due, and still in this turn of the event loop. */
function nextTick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('commands are written', () => {
  test('in the turn in which they are called, while no reply is owed, and together', async () => {
    const { redis, socket } = await connected();
    const before = socket.bytesWritten;
    const pings = [redis.ping('a'), redis.ping('b')];
    expect(socket.bytesWritten).toBe(before);
    await nextTick();
    const written = socket.bytesWritten - before;
    expect(written).toBe(2 * '*2\r\n$4\r\nPING\r\n$1\r\na\r\n'.length);
    expect(await Promise.all(pings)).toEqual(['a', 'b']);
  });

  test('at the end of the turn, while replies are owed: what several ticks ask for shares a write', async () => {
    const { redis, socket } = await connected();
    const first = redis.ping();
    await nextTick();
    const before = socket.bytesWritten;
    const second = redis.ping();
    await nextTick();
    const third = redis.ping();
    await nextTick();
    expect(socket.bytesWritten).toBe(before);
    await nextTurn();
    expect(socket.bytesWritten - before).toBe(2 * '*1\r\n$4\r\nPING\r\n'.length);
    await Promise.all([first, second, third]);
  });

  describe('after a series that came one at a time,', () => {
    const PING = '*1\r\n$4\r\nPING\r\n'.length;

    /** As above, behind that series; `written` says how many bytes were since. */
    async function lonely() {
      const { redis, socket } = await connected();
      for (let i = 0; i < 8; i++) await redis.ping();
      const before = socket.bytesWritten;
      return { redis, written: () => socket.bytesWritten - before };
    }

    test('at once', async () => {
      const { redis, written } = await lonely();
      const alone = redis.ping();
      expect(written()).toBe(PING);
      await alone;
    });

    test('if others come with the first after all, those together, and the next ones too', async () => {
      const { redis, written } = await lonely();
      const replies = [redis.echo('a'), redis.echo('b'), redis.echo('c')];
      const ECHO = '*2\r\n$4\r\nECHO\r\n$1\r\na\r\n'.length;
      expect(written()).toBe(ECHO);
      await nextTick();
      expect(written()).toBe(ECHO);
      expect(await Promise.all(replies)).toEqual(['a', 'b', 'c']);
      expect(written()).toBe(3 * ECHO);
      const later = [redis.ping(), redis.ping()];
      expect(written()).toBe(3 * ECHO);
      await nextTick();
      expect(written()).toBe(3 * ECHO + 2 * PING);
      await Promise.all(later);
    });

    test('a transaction in one piece', async () => {
      const { redis, written } = await lonely();
      const replies = redis.multi().set('one', 'piece').get('one').exec();
      expect(written()).toBe(0);
      await nextTick();
      const whole = written();
      expect(await replies).toEqual(['OK', 'piece']);
      expect(whole).toBe(written());
    });

    test('what cannot be encoded is refused, and the connection stays in step', async () => {
      const { redis, written } = await lonely();
      await expect(redis.set('key', 7n as never)).rejects.toBeInstanceOf(InvalidArgumentError);
      expect(written()).toBe(0);
      expect(await redis.echo('after it')).toBe('after it');
    });
  });

  test('in their order, when the socket takes no more for a while', async () => {
    const { redis, socket } = await connected();
    await server().freeze();
    const big = 'x'.repeat(32 * 1024 * 1024);
    const replies = [redis.set('big', big)];
    await eventually(() => socket.writableNeedDrain);
    for (let i = 0; i < 100; i++) {
      replies.push(redis.append('order', `${i},`) as Promise<never>);
      if (i % 10 === 0) await nextTurn();
    }
    await server().thaw();
    await Promise.all(replies);
    expect(await redis.get('order')).toBe(Array.from({ length: 100 }, (_, i) => `${i},`).join(''));
    expect(await redis.strLen('big')).toBe(big.length);
  });
});

test('a reply that is a Buffer stays as it is, whatever is read behind it', async () => {
  const { redis } = await connected();
  const buffers = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  const values = [3, 1_000, 70_000, 300_000].map((length, i) => Buffer.alloc(length, String(i)));
  for (const [i, value] of values.entries()) await redis.set(`buffer:${i}`, value);
  const kept = await Promise.all(values.map((_, i) => buffers.get(`buffer:${i}`)));
  for (let i = 0; i < 50; i++) await redis.echo('y'.repeat(70_000));
  for (const [i, value] of values.entries()) expect(value.equals(kept[i] as Buffer)).toBe(true);
});

test('a connection that the server ends is lost with what is owed, and made anew', async () => {
  const { redis, socket } = await connected();
  const own = await redis.clientId();
  const owed = redis.xRead({ key: 'none', id: '$' }, { BLOCK: 0 }).catch((error: Error) => error);
  await eventually(() => redis.stats().leases.inUse === 1);
  await server().cli('CLIENT', 'KILL', 'TYPE', 'normal');
  expect(await owed).toMatchObject({ code: 'LAGOON_CONNECTION' });
  await eventually(() => socket.destroyed);
  expect(await eventually(() => redis.clientId())).not.toBe(own);
});
