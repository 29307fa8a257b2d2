import { RESP_TYPES } from 'redis';
import { describe, expectTypeOf, test } from 'vitest';
import { defineScript, type IsolatedRedis, type RedisPool, Registry, type Script } from '../../src/index.js';
import type { IsolatedMethod, RefusedMethod } from '../../src/pool/command-table.js';
import type { ISOLATED_METHODS, REFUSED_METHODS } from '../pool/known-commands.js';

declare const redis: RedisPool;
declare const own: IsolatedRedis;

describe('the types agree with the run-time table', () => {
  test('on what is refused', () => {
    // SELECT is in the table without being one of node-redis's commands: its builder has a method of its own for it.
    expectTypeOf<RefusedMethod>().toEqualTypeOf<(typeof REFUSED_METHODS)[number] | 'select'>();
  });

  test('on what is kept to isolated connections', () => {
    expectTypeOf<IsolatedMethod>().toEqualTypeOf<(typeof ISOLATED_METHODS)[number]>();
  });
});

describe('a pool', () => {
  test('has commands with the replies of node-redis', () => {
    expectTypeOf(redis.get('key')).toEqualTypeOf<Promise<string | null>>();
    expectTypeOf(redis.hGetAll('key')).resolves.toExtend<Record<string, string>>();
    expectTypeOf(redis.zScore('key', 'member')).toEqualTypeOf<Promise<number | null>>();
    expectTypeOf(redis.set).parameter(2).not.toBeAny();
    expectTypeOf(redis.json.get).toBeFunction();
    expectTypeOf(redis.scanIterator()).toExtend<AsyncGenerator<string[]>>();
  });

  test('refuses wrong arguments at compile time', () => {
    // @ts-expect-error no value
    void redis.set('key');
    // @ts-expect-error a key is a string or a Buffer
    void redis.get(5);
    // @ts-expect-error an argument is a string or a Buffer
    void redis.sendCommand(['SET', 'key', 5]);
    // @ts-expect-error not a unit
    redis.withTimeout('5 seconds');
    // @ts-expect-error neither 'never' nor 'prefer'
    redis.withReplicas('always');
  });

  test('has nothing that would change or end a shared connection', () => {
    type Name = keyof RedisPool;
    type Forbidden =
      | RefusedMethod
      | IsolatedMethod
      | 'watch'
      | 'unwatch'
      | 'monitor'
      | 'reset'
      | 'quit'
      | 'unsubscribe'
      | 'pUnsubscribe'
      | 'sUnsubscribe'
      | 'connect'
      | 'destroy'
      | 'disconnect'
      | 'close'
      | 'duplicate'
      | 'legacy'
      | 'on'
      | 'emit'
      | 'ref'
      | 'unref'
      | 'asap'
      | '_self'
      | '_getQueue'
      | 'options';
    expectTypeOf<Extract<Name, Forbidden>>().toEqualTypeOf<never>();
    // @ts-expect-error
    void redis.select(3);
    // @ts-expect-error
    void redis.watch('key');
    // @ts-expect-error
    void redis.auth({ password: 'secret' });
    // @ts-expect-error
    void redis.wait(1, 100);
  });

  test('has camelCase names only', () => {
    expectTypeOf<Extract<keyof RedisPool, Uppercase<string>>>().toEqualTypeOf<never>();
    // @ts-expect-error
    void redis.GET('key');
  });

  test('has a mapping of replies that follows withTypeMapping', () => {
    const buffers = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    expectTypeOf(buffers.get('key')).toEqualTypeOf<Promise<Buffer | null>>();
    expectTypeOf(buffers.withTimeout('1s').withAbortSignal(AbortSignal.timeout(1)).get('key')).toEqualTypeOf<
      Promise<Buffer | null>
    >();
    expectTypeOf(buffers.multi().get('key').execTyped()).toEqualTypeOf<Promise<[Buffer | null]>>();
    expectTypeOf(buffers.isolated((mine) => mine.get('key'))).toEqualTypeOf<Promise<Buffer | null>>();
    expectTypeOf(buffers.transaction((mine) => mine.get('key'))).toEqualTypeOf<Promise<Buffer | null>>();
  });
});

describe('multi()', () => {
  test('types every reply', () => {
    expectTypeOf(redis.multi()).not.toBeAny();
    expectTypeOf(redis.multi().get('key').incr('key').execTyped()).toEqualTypeOf<Promise<[string | null, number]>>();
    // @ts-expect-error
    redis.multi().get(5);
    // @ts-expect-error misspelt
    redis.multi().gett('key');
  });

  test('types every reply on an isolated connection', () => {
    expectTypeOf(own.multi()).not.toBeAny();
    expectTypeOf(own.multi().get('key').execTyped()).toEqualTypeOf<Promise<[string | null]>>();
  });
});

describe('isolated() and transaction()', () => {
  test('give a connection that has what needs one of its own', () => {
    expectTypeOf(own.watch).returns.toEqualTypeOf<Promise<'OK'>>();
    expectTypeOf(own.unwatch()).toEqualTypeOf<Promise<'OK'>>();
    expectTypeOf(own.wait(1, 100)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(own.monitor).toBeFunction();
    expectTypeOf(own.subscribe).toBeFunction();
    expectTypeOf(own.get('key')).toEqualTypeOf<Promise<string | null>>();
  });

  test('give a connection without what is refused everywhere, and without its life cycle', () => {
    type Forbidden =
      | RefusedMethod
      | 'reset'
      | 'quit'
      | 'connect'
      | 'destroy'
      | 'disconnect'
      | 'close'
      | 'duplicate'
      | 'on';
    expectTypeOf<Extract<keyof IsolatedRedis, Forbidden>>().toEqualTypeOf<never>();
  });

  test('resolve to what the callback returns', () => {
    expectTypeOf(redis.isolated((mine) => mine.get('key'))).toEqualTypeOf<Promise<string | null>>();
    expectTypeOf(redis.isolated(() => 5)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(redis.transaction(async (mine) => mine.multi().incr('key').execTyped())).toEqualTypeOf<
      Promise<[number]>
    >();
    // @ts-expect-error misspelt
    void redis.transaction(async () => 1, { watched: 'key' });
  });
});

describe('scripts', () => {
  test('infer the reply from the transform', () => {
    const typed = defineScript({ lua: 'return 1', keys: 1, transform: (reply) => ({ count: Number(reply) }) });
    expectTypeOf(typed).toEqualTypeOf<Script<{ count: number }>>();
    expectTypeOf(redis.runScript(typed, ['key'])).toEqualTypeOf<Promise<{ count: number }>>();
  });

  test('have an unknown reply without a transform, or one that is claimed', () => {
    expectTypeOf(redis.runScript(defineScript({ lua: 'return 1' }), [])).toEqualTypeOf<Promise<unknown>>();
    expectTypeOf(redis.runScript(defineScript<number>({ lua: 'return 1' }), [], [1, 'a', Buffer.of(0)])).toEqualTypeOf<
      Promise<number>
    >();
    // @ts-expect-error a boolean has no form on the wire
    void redis.runScript(defineScript({ lua: 'return 1' }), [], [true]);
  });
});

describe('subscriptions', () => {
  test('give the listener strings, or Buffers if asked for', () => {
    void redis.subscribe('channel', (message, channel) => {
      expectTypeOf([message, channel]).toEqualTypeOf<string[]>();
    });
    void redis.pSubscribe(
      ['pattern*'],
      (message, channel) => {
        expectTypeOf([message, channel]).toEqualTypeOf<Buffer[]>();
      },
      { buffers: true },
    );
    expectTypeOf(redis.sSubscribe('channel', () => {})).resolves.toExtend<AsyncDisposable>();
  });
});

describe('the engine', () => {
  const engine = new Registry().registerRedis('host').registerRedis('host', 1, 'test').validate();

  test('knows the names of its pools', async () => {
    expectTypeOf(engine.getRedis('test')).toEqualTypeOf<RedisPool>();
    // @ts-expect-error misspelt
    engine.getRedis('tset');
    expectTypeOf((await engine.health()).test.status).toEqualTypeOf<'up' | 'down' | 'idle'>();
    expectTypeOf(engine).toExtend<AsyncDisposable>();
  });

  test('hands out configuration without a way to change it', () => {
    const config = redis.getPoolConfig();
    expectTypeOf(config.password).toEqualTypeOf<'<redacted>' | undefined>();
    // @ts-expect-error
    config.database = 5;
  });
});
