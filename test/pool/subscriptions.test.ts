import { describe, expect, test } from 'vitest';
import { AbortError, ClosedError, InvalidArgumentError, Registry } from '../../src/index.js';
import { eventually, useRedis } from '../support/redis.js';
import { connectionsOf, failure, usePools } from './support.js';

describe('subscriptions', () => {
  const redis = useRedis();
  const open = usePools(redis);

  /** How many connections the server has subscribed to a channel. */
  const subscribers = async (channel: string) => {
    const reply = (await redis().cli('PUBSUB', 'NUMSUB', channel)) as [string, number];
    return Number(reply[1]);
  };

  test('get the messages of their channels, in order, with the channel', async () => {
    const pool = open();
    const seen: [string, string][] = [];
    await pool.subscribe(['p:a', 'p:b'], (message, channel) => seen.push([message, channel]));
    expect(await pool.publish('p:a', 'one')).toBe(1);
    await pool.publish('p:b', 'two');
    await pool.publish('p:c', 'not for us');
    await pool.publish('p:a', 'thrée');
    await eventually(() => seen.length >= 3);
    expect(seen).toEqual([
      ['one', 'p:a'],
      ['two', 'p:b'],
      ['thrée', 'p:a'],
    ]);
  });

  test('are confirmed when the promise resolves', async () => {
    const pool = open();
    await pool.subscribe('p:confirmed', () => {});
    expect(await subscribers('p:confirmed')).toBe(1);
  });

  test('of patterns get the channel that matched', async () => {
    const pool = open();
    const seen: string[] = [];
    await pool.pSubscribe('p:news.*', (message, channel) => seen.push(`${channel}=${message}`));
    await pool.publish('p:news.tech', 'hello');
    await eventually(() => seen.length === 1);
    expect(seen).toEqual(['p:news.tech=hello']);
  });

  test('of sharded channels get what is published to the shard', async () => {
    const pool = open();
    const seen: string[] = [];
    const subscription = await pool.sSubscribe('p:shard', (message) => seen.push(message));
    expect(await pool.sPublish('p:shard', 'hello')).toBe(1);
    await eventually(() => seen.length === 1);
    await subscription.unsubscribe();
    expect(await pool.sPublish('p:shard', 'nobody')).toBe(0);
  });

  test('get Buffers if asked for, beside others that get strings', async () => {
    const pool = open();
    const binary = Buffer.from([0, 255, 13, 10, 128]);
    const buffers: [Buffer, Buffer][] = [];
    const strings: unknown[] = [];
    await pool.subscribe('p:binary', (message, channel) => buffers.push([message, channel]), { buffers: true });
    await pool.subscribe('p:binary', (message) => strings.push(message));
    await pool.publish('p:binary', binary);
    await eventually(() => buffers.length === 1 && strings.length === 1);
    expect(buffers).toEqual([[binary, Buffer.from('p:binary')]]);
    expect(strings[0]).toBeTypeOf('string');
  });

  test('on one channel are independent: unsubscribing one keeps the other', async () => {
    const pool = open();
    const seen: string[] = [];
    const first = await pool.subscribe('p:shared', (message) => seen.push(`first ${message}`));
    const second = await pool.subscribe('p:shared', (message) => seen.push(`second ${message}`));
    expect(pool.stats().subscriptions).toBe(2);
    await first.unsubscribe();
    await first.unsubscribe();
    expect(pool.stats().subscriptions).toBe(1);
    await pool.publish('p:shared', '1');
    await eventually(() => seen.length === 1);
    await second.unsubscribe();
    expect(await pool.publish('p:shared', '2')).toBe(0);
    expect(seen).toEqual(['second 1']);
  });

  test('of the same function twice are two', async () => {
    const pool = open();
    let count = 0;
    const listener = () => count++;
    const first = await pool.subscribe('p:twice', listener);
    await pool.subscribe('p:twice', listener);
    await pool.publish('p:twice', 'x');
    await eventually(() => count === 2);
    await first.unsubscribe();
    await pool.publish('p:twice', 'x');
    await eventually(() => count === 3);
  });

  test('survive others that come and go on their channel at the same time', async () => {
    const pool = open();
    let count = 0;
    await pool.subscribe('p:busy', () => count++);
    const comeAndGo = async () => {
      for (let i = 0; i < 20; i++) await (await pool.subscribe('p:busy', () => {})).unsubscribe();
    };
    await Promise.all(Array.from({ length: 5 }, comeAndGo));
    await pool.publish('p:busy', 'x');
    await eventually(() => count === 1);
    expect(pool.stats().subscriptions).toBe(1);
    expect(await subscribers('p:busy')).toBe(1);
  });

  test('can be made again right after the last one of a channel ended', async () => {
    const pool = open();
    for (let round = 0; round < 20; round++) {
      let heard = 0;
      const old = await pool.subscribe('p:again', () => {});
      const ended = old.unsubscribe();
      const fresh = await pool.subscribe('p:again', () => heard++);
      await ended;
      expect(await pool.publish('p:again', 'x')).toBe(1);
      await eventually(() => heard === 1);
      await fresh.unsubscribe();
    }
  });

  test('end with `await using`', async () => {
    const pool = open();
    const subscription = await pool.subscribe('p:disposed', () => {});
    await subscription[Symbol.asyncDispose]();
    expect(await subscribers('p:disposed')).toBe(0);
  });

  test('get nothing any more from the moment of unsubscribing', async () => {
    const pool = open();
    let heard = 0;
    const subscription = await pool.subscribe('p:ending', () => heard++);
    const published = pool.publish('p:ending', 'x');
    const ended = subscription.unsubscribe();
    await Promise.all([published, ended]);
    expect(heard).toBe(0);
  });

  test('are not harmed by a listener that throws or rejects, of which the process is warned', async () => {
    const warnings: (Error & { code?: string })[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const pool = open();
    const seen: string[] = [];
    await pool.subscribe('p:bad', () => {
      throw new Error('sync');
    });
    await pool.subscribe('p:bad', async () => {
      throw new Error('async');
    });
    await pool.subscribe('p:bad', (message) => seen.push(message));
    await pool.publish('p:bad', '1');
    await pool.publish('p:bad', '2');
    await eventually(() => seen.length === 2);
    await eventually(() => warnings.length >= 2);
    process.off('warning', onWarning);
    expect(warnings.every(({ code }) => code === 'LAGOON_LISTENER')).toBe(true);
    expect(await pool.isolated((own) => own.ping())).toBe('PONG');
  });

  test('of a pool share one connection, which commands and leases go on beside', async () => {
    const pool = open({ pool: { max: 3 } });
    const many = Array.from({ length: 50 }, (_, i) =>
      i % 2 ? pool.subscribe(`p:many.${i}`, () => {}) : pool.pSubscribe(`p:many.${i}.*`, () => {}),
    );
    await Promise.all([...many, pool.sSubscribe('p:many', () => {})]);
    await pool.ping();
    const clients = await connectionsOf(redis());
    expect(clients.map(({ sub, psub }) => [Number(sub), Number(psub)]).sort()).toEqual([
      [0, 0],
      [25, 25],
    ]);
    expect(await pool.isolated((own) => own.ping())).toBe('PONG');
    expect(pool.stats()).toMatchObject({ connections: 3, subscriptions: 51, leases: { inUse: 1, idle: 1 } });
  });

  test('give their connection back when there are none any more', async () => {
    const pool = open({ pool: { idleTimeout: 50 } });
    const subscription = await pool.subscribe('p:idle', () => {});
    await pool.ping();
    await subscription.unsubscribe();
    await eventually(async () => (await connectionsOf(redis())).length === 1);
    // And get a new one when there are again.
    let heard = 0;
    await pool.subscribe('p:idle', () => heard++);
    await pool.publish('p:idle', 'x');
    await eventually(() => heard === 1);
  });

  test('aborted before they are confirmed leave nothing subscribed', async () => {
    const pool = open();
    expect(await failure(pool.withAbortSignal(AbortSignal.abort()).subscribe('p:no', () => {}))).toBeInstanceOf(
      AbortError,
    );
    for (const established of [false, true]) {
      if (established) await pool.subscribe('p:other', () => {});
      const controller = new AbortController();
      const attempt = pool.withAbortSignal(controller.signal).subscribe('p:aborted', () => {});
      controller.abort();
      expect(await failure(attempt)).toBeInstanceOf(AbortError);
      await pool.subscribe('p:after', () => {});
      await eventually(async () => (await subscribers('p:aborted')) === 0);
    }
    expect(pool.stats().subscriptions).toBe(3);
  });

  test.each<[string, unknown, unknown]>([
    ['no listener', 'p:channel', undefined],
    ['no channel', [], () => {}],
    ['channels that are no text', [5], () => {}],
    ['a channel that is no text', 5, () => {}],
    ['undefined', undefined, () => {}],
  ])('refuse %s', async (_, channels, listener) => {
    const pool = open();
    for (const method of ['subscribe', 'pSubscribe', 'sSubscribe'] as const) {
      expect(await failure(pool[method](channels as never, listener as never)), method).toBeInstanceOf(
        InvalidArgumentError,
      );
    }
    expect(pool.stats()).toMatchObject({ connections: 0, subscriptions: 0 });
  });

  test('end with the engine', async () => {
    const engine = new Registry().registerRedis(redis().address).validate();
    const pool = engine.getRedis();
    const subscription = await pool.subscribe('p:closed', () => {});
    await engine.close();
    expect(await subscribers('p:closed')).toBe(0);
    await subscription.unsubscribe();
    expect(await failure(pool.subscribe('p:closed', () => {}))).toBeInstanceOf(ClosedError);
  });
});
