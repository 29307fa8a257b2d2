import { RESP_TYPES } from 'redis';
import { describe, expect, test } from 'vitest';
import {
  AbortError,
  CommandTimeoutError,
  defineScript,
  InvalidArgumentError,
  PoolOverloadedError,
  type RedisPool,
} from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { commandCalls, failure, usePools } from './support.js';

describe('a view of a pool', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test('with another type mapping decodes replies by it, and leaves the pool as it is', async () => {
    const pool = open();
    const buffers = pool.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    await pool.set('v:k', 'väl');
    expect(await buffers.get('v:k')).toEqual(Buffer.from('väl'));
    expect(await buffers.sendCommand(['GET', 'v:k'])).toEqual(Buffer.from('väl'));
    expect(await buffers.blPop('v:none', 0.01)).toBeNull();
    expect(await buffers.isolated((own) => own.get('v:k'))).toEqual(Buffer.from('väl'));
    expect(await pool.get('v:k')).toBe('väl');
    // In the same turn, on the same lane.
    expect(await Promise.all([pool.get('v:k'), buffers.get('v:k'), pool.get('v:k')])).toEqual([
      'väl',
      Buffer.from('väl'),
      'väl',
    ]);
  });

  test('with another type mapping decodes the replies of scripts by it, batched or alone, on any connection', async () => {
    const pool = open();
    const bytes = Buffer.from([0xff, 0x00, 0x80]);
    const mapping = { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String };
    const view = pool.withTypeMapping(mapping);
    const read = { lua: 'return { redis.call("GET", KEYS[1]), 7 }', keys: 1 };
    const [alone, transformed, batched] = [
      defineScript(read),
      defineScript({ ...read, transform: (reply) => ({ reply }) }),
      defineScript({
        lua: 'local all = {} for i, key in ipairs(KEYS) do all[i] = { redis.call("GET", key), 7 } end return all',
        keys: 1,
        args: 0,
        batch: 5,
      }),
    ];
    await pool.set('v:bin', bytes);
    for (const each of [view, pool.withTimeout('9s').withTypeMapping(mapping)]) {
      expect(await each.runScript(alone, ['v:bin'])).toEqual([bytes, '7']);
      expect(await each.runScript(transformed, ['v:bin'])).toEqual({ reply: [bytes, '7'] });
      expect(await each.isolated((own) => own.runScript(batched, ['v:bin']))).toEqual([bytes, '7']);
    }
    const both = [view.runScript(batched, ['v:bin']), pool.runScript(batched, ['v:bin'])];
    expect(await Promise.all(both)).toEqual([
      [bytes, '7'],
      [bytes.toString(), 7],
    ]);
  });

  test('with a type mapping has limits, locks and caches like any other', async () => {
    const view = open().withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String });
    expect(await view.rateLimit('v:limit', '1h', 1)).toBe(true);
    expect(await view.getRateLimiter({ limit: 1, period: '1h' }).consume('v:limit')).toMatchObject({ allowed: false });
    const cache = view.getCache({ prefix: 'v' });
    await cache.put('key', { a: 1 });
    expect(await cache.getOrSet('key', () => ({ a: 2 }))).toEqual({ a: 1 });
    expect(await view.getLocker().run('v:lock', { ttl: '5s' }, async () => 1)).toBe(1);
  });

  test('has all that the pool has', () => {
    const pool = open();
    const view = pool.withTimeout('1s');
    expect(view.getPoolConfig()).toEqual(pool.getPoolConfig());
    expect(view.stats()).toEqual(pool.stats());
    for (const name of ['get', 'subscribe', 'transaction', 'isolated', 'runScript', 'multi'] as const) {
      expect(view[name]).toBe(pool[name]);
    }
    expect(view.json).toBe(view.json);
    expect(view.json).not.toBe(pool.json);
  });

  describe('with a timeout', () => {
    test('ends its own commands when the server does not answer, and nobody else’s', async () => {
      const pool = open();
      await pool.ping();
      await redis().freeze();
      const before = performance.now();
      const patient = pool.get('v:k');
      const [first, second] = await Promise.all([
        failure(pool.withTimeout(100).get('v:k')),
        failure(pool.withTimeout('0.2s').multi().get('v:k').exec()),
      ]);
      const passed = performance.now() - before;
      await redis().thaw();
      expect(first).toBeInstanceOf(CommandTimeoutError);
      expect(first).toMatchObject({ timeoutMs: 100, mayHaveBeenExecuted: true });
      expect(second).toMatchObject({ timeoutMs: 200 });
      expect(passed).toBeGreaterThan(195);
      expect(passed).toBeLessThan(1_000);
      await patient;
      expect(await pool.ping()).toBe('PONG');
    });

    test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', '1 s', '', null, undefined, {}])(
      'refuses %s',
      (timeout) => {
        expect(() => open().withTimeout(timeout as never)).toThrow(InvalidArgumentError);
      },
    );
  });

  describe('with a signal', () => {
    const ATTEMPTS: [string, (r: RedisPool) => Promise<unknown>][] = [
      ['a command', (r) => r.set('v:aborted', '1')],
      ['a raw command', (r) => r.sendCommand(['SET', 'v:aborted', '1'])],
      ['a blocking command', (r) => r.blPop('v:aborted', 0)],
      ['a multi', (r) => r.multi().set('v:aborted', '1').exec()],
      ['a pipeline', (r) => r.multi().set('v:aborted', '1').execAsPipeline()],
      ['a transaction', (r) => r.transaction((own) => own.set('v:aborted', '1'))],
      ['an isolated callback', (r) => r.isolated((own) => own.set('v:aborted', '1'))],
      ['a subscription', (r) => r.subscribe('v:aborted', () => {})],
    ];

    test.each(ATTEMPTS)('that is aborted already sends nothing: %s', async (_, attempt) => {
      const pool = open();
      const reason = new Error('own');
      const error = (await failure(attempt(pool.withAbortSignal(AbortSignal.abort(reason))))) as AbortError;
      expect(error).toBeInstanceOf(AbortError);
      expect(error).toMatchObject({ code: 'ABORT_ERR', name: 'AbortError', cause: reason });
      expect(pool.stats()).toMatchObject({ connections: 0, pending: 0 });
    });

    test('that aborts while commands wait to be sent, takes them back', async () => {
      const pool = open();
      const controller = new AbortController();
      // There is no connection yet, so it cannot have been sent.
      const attempts = [pool.withAbortSignal(controller.signal).set('v:waiting', '1'), pool.set('v:other', '1')];
      controller.abort();
      expect(await failure(attempts[0] as Promise<unknown>)).toMatchObject({ mayHaveBeenExecuted: false });
      expect(await attempts[1]).toBe('OK');
      expect(await pool.exists('v:waiting')).toBe(0);
      expect(pool.stats().pending).toBe(0);
    });

    test('that aborts while commands are in flight, ends them for their caller, in a frozen server too', async () => {
      const pool = open();
      await pool.ping();
      await redis().freeze();
      const controller = new AbortController();
      const view = pool.withAbortSignal(controller.signal);
      const batched = defineScript({ lua: `return redis.call('GET', KEYS[1])`, keys: 1, args: 0, batch: 8 });
      const attempts = [
        view.get('v:k'),
        view.multi().get('v:k').exec(),
        view.sendCommand(['GET', 'v:k']),
        view.runScript(batched, ['v:k']),
      ];
      const others = [pool.echo('1'), pool.multi().echo('2').exec(), pool.echo('3')];
      await new Promise((resolve) => setTimeout(resolve, 20));
      controller.abort();
      for (const error of await Promise.all(attempts.map((attempt) => failure(attempt)))) {
        expect(error).toBeInstanceOf(AbortError);
        expect(error).toMatchObject({ mayHaveBeenExecuted: true });
      }
      await redis().thaw();
      // The replies to what was aborted are still counted: nobody gets that of another.
      expect(await Promise.all(others)).toEqual(['1', ['2'], '3']);
    });

    test('that aborts while half of a transaction is written, leaves nobody inside it', async () => {
      const pool = open();
      await pool.ping();
      await redis().freeze();
      const controller = new AbortController();
      const multi = pool.withAbortSignal(controller.signal).multi();
      // More than the socket takes while nobody reads at the other end.
      const keys = Array.from({ length: 20 }, (_, i) => `v:half:${i}`);
      for (const key of keys) multi.set(key, Buffer.alloc(1024 * 1024, key));
      const attempt = multi.exec();
      await new Promise((resolve) => setTimeout(resolve, 50));
      controller.abort();
      expect(await failure(attempt)).toBeInstanceOf(AbortError);
      const behind = pool.echo('behind');
      await redis().thaw();
      expect(await behind).toBe('behind');
      expect([0, keys.length]).toContain(await pool.exists(keys));
      expect(await pool.multi().echo('whole').exec()).toEqual(['whole']);
    });

    test('of one turn or another, gives nobody the reply of another: 500 commands, a third aborted', async () => {
      const pool = open();
      const all = Array.from({ length: 500 }, async (_, i) => {
        for (let hop = 0; hop < i % 7; hop++) await new Promise(setImmediate);
        const controller = new AbortController();
        const reply = pool.withAbortSignal(controller.signal).echo(String(i));
        if (i % 3 === 0) controller.abort();
        if (i % 3 === 1) setImmediate(() => i % 2 && controller.abort());
        return reply.then(
          (text) => text === String(i),
          (error) => error instanceof AbortError,
        );
      });
      expect((await Promise.all(all)).every(Boolean)).toBe(true);
      expect(pool.stats().pending).toBe(0);
    });

    test('has one listener of the pool at most, however many commands there are', async () => {
      const pool = open();
      const { signal } = new AbortController();
      let listeners = 0;
      const add = signal.addEventListener.bind(signal);
      const remove = signal.removeEventListener.bind(signal);
      signal.addEventListener = (...args: Parameters<typeof add>) => {
        listeners++;
        add(...args);
      };
      signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        listeners--;
        remove(...args);
      };
      const view = pool.withAbortSignal(signal);
      await Promise.all(Array.from({ length: 50 }, () => view.ping()));
      await Promise.all([view.ping(), view.multi().ping().ping().exec(), view.isolated((own) => own.ping())]);
      await view.sendCommand(['NONSENSE']).catch(() => {});
      await new Promise(setImmediate);
      expect(listeners).toBeLessThanOrEqual(1);
    });
  });

  test('combines with others, in any order', async () => {
    const pool = open();
    await pool.set('v:k', 'value');
    const controller = new AbortController();
    const views = [
      pool
        .withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
        .withTimeout(100)
        .withAbortSignal(controller.signal),
      pool
        .withAbortSignal(controller.signal)
        .withTimeout(100)
        .withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }),
    ];
    for (const view of views) expect(await view.get('v:k')).toEqual(Buffer.from('value'));
    await redis().freeze();
    const errors = await Promise.all(views.map((view) => failure(view.get('v:k'))));
    await redis().thaw();
    for (const error of errors) expect(error).toMatchObject({ timeoutMs: 100 });
    controller.abort();
    for (const view of views) expect(await failure(view.get('v:k'))).toBeInstanceOf(AbortError);
  });
});

describe('a pool that has maxPending commands pending', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test('refuses more at once, sends nothing of them, and takes more when it has fewer', async () => {
    const pool = open({ maxPending: 10 });
    await pool.ping();
    await redis().cli('CONFIG', 'RESETSTAT');
    const taken = Array.from({ length: 10 }, () => pool.incr('o:n'));
    expect(pool.stats().pending).toBe(10);
    const refused: (() => Promise<unknown>)[] = [
      () => pool.incr('o:n'),
      () => pool.sendCommand(['INCR', 'o:n']),
      () => pool.blPop('o:l', 0),
      () => pool.multi().incr('o:n').exec(),
      () => pool.isolated((own) => own.incr('o:n')),
      () => pool.transaction((own) => own.incr('o:n')),
    ];
    let errors = 0;
    for (const attempt of refused) {
      attempt().catch((error) => {
        expect(error).toBeInstanceOf(PoolOverloadedError);
        expect(error.message).toContain('maxPending 10');
        errors++;
      });
    }
    // At once: no reply can have come yet.
    await Promise.resolve().then(() => {});
    await new Promise(process.nextTick);
    expect(errors).toBe(refused.length);
    expect(await Promise.all(taken)).toHaveLength(10);
    expect(await pool.incr('o:n')).toBe(11);
    expect((await commandCalls(redis())).incr).toBe(11);
    expect(pool.stats().pending).toBe(0);
  });
});

describe('arguments that cannot be sent', () => {
  const redis = useRedis();
  const open = usePools(redis);

  const MISTAKES: [string, (r: RedisPool) => Promise<unknown>][] = [
    ['undefined for a value', (r) => r.set('a:k', undefined as never)],
    ['a number for a key', (r) => r.get(5 as never)],
    ['null in a list of keys', (r) => r.mGet(['a', null as never])],
    ['an object for a member', (r) => r.sAdd('a:s', {} as never)],
    ['nothing at all', (r) => (r.hSet as () => Promise<unknown>)()],
    ['a module function without arguments', (r) => (r.json.set as () => Promise<unknown>)()],
    ['a raw number', (r) => r.sendCommand(['SET', 'a:k', 5 as never])],
    ['a raw undefined', (r) => r.sendCommand(['GET', undefined as never])],
    ['a raw Uint8Array', (r) => r.sendCommand(['GET', new Uint8Array(2) as never])],
    ['an empty raw command', (r) => r.sendCommand([])],
    ['no array', (r) => r.sendCommand('PING' as never)],
    ['no arguments', (r) => (r.sendCommand as () => Promise<unknown>)()],
    ['undefined for a key to block on', (r) => r.blPop(undefined as never, 1)],
    ['undefined on an isolated connection', (r) => r.isolated((own) => own.set('a:k', undefined as never))],
    ['undefined to watch', (r) => r.isolated((own) => own.watch(undefined as never))],
  ];

  test.each(MISTAKES)('are an InvalidArgumentError and harm nothing: %s', async (_, mistake) => {
    const pool = open();
    // Others of the same turn, before and behind.
    const [before, error, behind] = await Promise.all([
      pool.echo('before'),
      failure(mistake(pool)),
      pool.echo('behind'),
    ]);
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect([before, behind]).toEqual(['before', 'behind']);
    expect(await pool.echo('later')).toBe('later');
    expect(pool.stats()).toMatchObject({ pending: 0, reconnects: 0, leases: { inUse: 0 } });
  });

  test('are named, and what they hold is not told', async () => {
    const error = (await failure(open().sendCommand(['SET', 'a:k', ['hunter2'] as never]))) as Error;
    expect(error.message).toContain('Argument 2 of SET must be a string or a Buffer');
    expect(error.message).not.toContain('hunter2');
  });
});
