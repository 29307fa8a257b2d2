import { afterEach, describe, expect, test } from 'vitest';
import {
  ClosedError,
  CommandTimeoutError,
  ConnectionError,
  LagoonError,
  type Lock,
  ReplyError,
} from '../../src/index.js';
import { engineOn, failure, timed } from '../support/engine.js';
import { eventually, freePort, startProxy, useRedis } from '../support/redis.js';
import { unhandledDuring } from '../topology/support.js';
import { lockerOn, newKey, waitersOf } from './support.js';

const server = useRedis();

describe('a key that holds another type', () => {
  test('is a clear error, whether one waits or not, on one key or several', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await server().cli('RPUSH', key, 'value');
    for (const attempt of [
      () => locker.obtain(key, '1m'),
      () => locker.obtain(key, '1m', '5s'),
      () => locker.obtain([newKey(), key], '1m'),
      () => locker.obtain([newKey(), key], '1m', '5s'),
      () => locker.semaphore(key, 2).obtain('1m', '5s'),
      () => locker.readWriteLock(key).obtainRead('1m'),
      () => locker.inspect(key),
    ]) {
      const error = await failure(attempt());
      expect(error).toBeInstanceOf(ReplyError);
      expect(error).toMatchObject({ replyCode: 'WRONGTYPE' });
    }
    expect(await server().cli('LRANGE', key, '0', '-1')).toEqual(['value']);
  });

  test('does not harm those who ask in the same turn', async () => {
    const locker = lockerOn(server());
    const keys = [newKey(), newKey(), newKey()];
    await server().cli('RPUSH', keys[1] as string, 'value');
    for (const wait of [0, '5s'] as const) {
      const outcomes = await Promise.allSettled(keys.map((key) => locker.obtain(key, '1m', wait)));
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      const locks = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : undefined));
      expect(locks[0]?.held && locks[2]?.held).toBe(true);
      expect(await Promise.all(locks.map((lock) => lock?.release()))).toEqual([true, undefined, true]);
    }
  });

  test('that a lock had before is not the lock any more, and stays', async () => {
    const locker = lockerOn(server());
    const [key, other] = [newKey(), newKey()];
    const locks = await Promise.all([key, other].map((each) => locker.obtain(each, '1m')));
    await server().cli('DEL', key);
    await server().cli('RPUSH', key, 'value');
    expect(await Promise.all(locks.map((lock) => lock?.refresh('2m')))).toEqual([false, true]);
    expect(await Promise.all(locks.map((lock) => lock?.release()))).toEqual([false, true]);
    expect(await server().cli('LLEN', key)).toBe(1);
  });
});

describe('a server that only reads', () => {
  afterEach(() => server().cli('REPLICAOF', 'NO', 'ONE'));

  test('is a clear error', async () => {
    const locker = lockerOn(server());
    await locker.obtain(newKey(), '1m');
    await server().cli('REPLICAOF', '127.0.0.1', String(await freePort()));
    for (const wait of [0, '5s'] as const) {
      const error = await failure(locker.obtain(newKey(), '1m', wait));
      expect(error).toBeInstanceOf(ReplyError);
      expect(error).toMatchObject({ replyCode: 'READONLY' });
    }
  });

  test('is an error for refresh and release; the lock ends by its time', async () => {
    const locker = lockerOn(server());
    const lock = (await locker.obtain(newKey(), 600)) as Lock;
    await server().cli('REPLICAOF', '127.0.0.1', String(await freePort()));
    expect(await failure(lock.refresh('1m'))).toMatchObject({ replyCode: 'READONLY' });
    expect(lock.held).toBe(true);
    expect(await failure(lock.release())).toMatchObject({ replyCode: 'READONLY' });
  });

  test('is told to all who wait when they ask again', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.obtain(key, 300);
    const waiters = [1, 2, 3].map(() => failure(locker.obtain(key, 300, '10s')));
    await waitersOf(locker, key, 3);
    await server().cli('REPLICAOF', '127.0.0.1', String(await freePort()));
    const startedAt = performance.now();
    for (const error of await Promise.all(waiters)) expect(error).toMatchObject({ replyCode: 'READONLY' });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});

describe('a server that is down', () => {
  test.each([0, 100, '1s'] as const)('is an error and never null, with waitTimeout %s', async (wait) => {
    const locker = lockerOn({ address: `127.0.0.1:${await freePort()}` }, { commandTimeout: 300 });
    const error = await failure(locker.obtain(newKey(), '1m', wait));
    expect(error).toBeInstanceOf(LagoonError);
    expect([ConnectionError, CommandTimeoutError].some((type) => error instanceof type)).toBe(true);
  });

  test('is an error and never null also to who has waited before', async () => {
    const locker = lockerOn(server(), { commandTimeout: 300 });
    const key = newKey();
    await locker.obtain(key, '1m');
    expect(await locker.obtain(key, '1m', 10)).toBeNull();
    await server().kill();
    try {
      const attempts = [0, 50, 600].map((wait) => failure(locker.obtain(key, '1m', wait)));
      for (const error of await Promise.all(attempts)) expect(error).toBeInstanceOf(LagoonError);
    } finally {
      await server().restart();
    }
  });

  test('comes back while one waits, and the wait ends with the lock', async () => {
    const locker = lockerOn(server(), { commandTimeout: 300 });
    const key = newKey();
    await locker.obtain(key, '1m');
    const waiters = [locker.obtain(key, '1m', '20s'), locker.obtain(key, '1m', '20s')];
    await waitersOf(locker, key, 2);
    await server().kill();
    // Long enough for what was asked meanwhile to fail.
    await new Promise((resolve) => setTimeout(resolve, 700));
    await server().restart();
    const lock = await Promise.race(waiters);
    expect(await lock?.release()).toBe(true);
    for (const waiter of waiters) expect(await waiter).not.toBeNull();
  });

  test('is an error of release, which ends in time', async () => {
    const locker = lockerOn(server(), { commandTimeout: 300 });
    const lock = await locker.obtain(newKey(), '1m');
    await server().kill();
    try {
      expect(await failure(lock?.release() as Promise<boolean>)).toBeInstanceOf(LagoonError);
    } finally {
      await server().restart();
    }
  });

  test('is no reason not to release again', async () => {
    const proxy = await startProxy(server().address);
    try {
      const [locker, other] = [lockerOn(proxy, { commandTimeout: 300 }), lockerOn(server())];
      const key = newKey();
      const lock = (await locker.obtain(key, '1m')) as Lock;
      proxy.blackhole(true);
      const failed = failure(lock.release());
      const meanwhile = failure(lock.release());
      for (const error of await Promise.all([failed, meanwhile])) expect(error).toBeInstanceOf(LagoonError);
      expect(lock.held).toBe(false);
      expect(await other.obtain(key, '1m')).toBeNull();
      // What Redis has not heard it never will.
      proxy.cutAll();
      proxy.blackhole(false);
      const releases = [lock.release(), lock.release()];
      expect(await Promise.all(releases)).toEqual([true, false]);
      expect(await lock.release()).toBe(false);
      expect(await (await other.obtain(key, '1m'))?.release()).toBe(true);
    } finally {
      await proxy.stop();
    }
  });
});

describe('a frozen server', () => {
  afterEach(() => server().thaw());

  test('everything settles within the timeout', async () => {
    const locker = lockerOn(server(), { commandTimeout: 500 });
    const [held, other] = (await Promise.all([newKey(), newKey()].map((key) => locker.obtain(key, '1m')))) as Lock[];
    await locker.obtain(held?.key as string, '1m', 10);
    await server().freeze();
    const took = await Promise.all([
      timed(locker.obtain(newKey(), '1m')),
      timed(locker.obtain(newKey(), '1m', 20)),
      timed(locker.obtain([newKey(), newKey()], '1m', 20)),
      timed((held as Lock).refresh('1m')),
      timed((held as Lock).ttl()),
      timed((other as Lock).release()),
      timed(locker.inspect('key')),
    ]);
    for (const ms of took) expect(ms).toBeLessThan(20 + 550 + 250);
    const error = await failure(locker.obtain(newKey(), '1m'));
    expect([ConnectionError, CommandTimeoutError].some((type) => error instanceof type)).toBe(true);
  });

  test.each([0, 20])(
    'what it gives when nobody is told any more is given back, waitTimeout %i',
    async (waitTimeout) => {
      const [locker, other] = [lockerOn(server(), { commandTimeout: 300 }), lockerOn(server())];
      // Redis knows the scripts from now on, so that it executes what it hears.
      await (await locker.obtain(newKey(), '1m'))?.release();
      await (await locker.obtain([newKey(), newKey()], '1m'))?.release();
      const keys = [newKey(), newKey(), newKey()] as [string, string, string];
      await server().freeze();
      const obtains = [locker.obtain(keys[0], '1m', waitTimeout), locker.obtain([keys[1], keys[2]], '1m', waitTimeout)];
      for (const error of await Promise.all(obtains.map(failure))) expect(error).toBeInstanceOf(CommandTimeoutError);
      await server().thaw();
      for (const key of keys) expect(await (await other.obtain(key, '1m', '10s'))?.release()).toBe(true);
    },
  );

  test('what it gives to a token of the caller is kept, as he may have asked for it again', async () => {
    const locker = lockerOn(server(), { commandTimeout: 300 });
    await (await locker.obtain(newKey(), '1m'))?.release();
    const key = newKey();
    await server().freeze();
    expect(await failure(locker.obtain(key, '1m', 0, { token: 'mine' }))).toBeInstanceOf(CommandTimeoutError);
    await server().thaw();
    await eventually(async () => (await locker.inspect(key)).held);
    await locker.obtain(newKey(), '1m', 0, { token: 'mine' });
    expect((await locker.inspect(key)).holders).toMatchObject([{ value: 'mine' }]);
  });

  test('an aborted wait ends at once', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.obtain(key, '1m');
    const abort = new AbortController();
    const waits = failure(locker.obtain(key, '1m', '1m', { signal: abort.signal }));
    await waitersOf(locker, key, 1);
    await server().freeze();
    const startedAt = performance.now();
    abort.abort();
    await waits;
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  test('an abort is all that is heard of an attempt that fails after it', async () => {
    const key = newKey();
    await server().cli('RPUSH', key, 'value');
    const slow = lockerOn(server(), { commandTimeout: 300 });
    const closing = engineOn(server().address);
    const lockers = [slow, closing.getRedis().getLocker()];
    for (const locker of lockers) await (await locker.obtain(newKey(), '1m'))?.release();
    const unhandled = await unhandledDuring(async () => {
      const abort = new AbortController();
      const refused = failure(slow.obtain(key, '1m', 0, { signal: abort.signal }));
      abort.abort();
      expect((await refused)?.code).toBe('ABORT_ERR');
      await slow.inspect(newKey());
      await server().freeze();
      const again = new AbortController();
      const lost = lockers.flatMap((locker) =>
        [0, '10s' as const].map((waitTimeout) =>
          failure(locker.obtain([newKey(), newKey()], '1m', waitTimeout, { signal: again.signal })),
        ),
      );
      again.abort();
      for (const error of await Promise.all(lost)) expect(error?.code).toBe('ABORT_ERR');
      await closing.close({ timeout: 50 });
      // Called behind them, it fails behind them.
      expect(await failure(slow.inspect(newKey()))).toBeInstanceOf(CommandTimeoutError);
    });
    expect(unhandled).toEqual([]);
  });

  test('an abort ends the first attempt too, and what Redis may have given then is given back', async () => {
    const proxy = await startProxy(server().address);
    try {
      const locker = lockerOn(proxy);
      const near = lockerOn(server());
      await locker.obtain(newKey(), '1m');
      const key = newKey();
      proxy.delay(600);
      const abort = new AbortController();
      const startedAt = performance.now();
      const waits = failure(locker.obtain(key, '1m', '10s', { signal: abort.signal }));
      setTimeout(() => abort.abort(), 20);
      expect((await waits)?.code).toBe('ABORT_ERR');
      expect(performance.now() - startedAt).toBeLessThan(500);
      await eventually(async () => (await near.inspect(key)).held);
      await eventually(async () => !(await near.inspect(key)).held);
    } finally {
      await proxy.stop();
    }
  });
});

describe('a closed engine', () => {
  test('gives no locks', async () => {
    const engine = engineOn(server().address);
    const locker = engine.getRedis().getLocker();
    const lock = await locker.obtain(newKey(), '1m');
    await engine.close();
    expect(await failure(locker.obtain(newKey(), '1m'))).toBeInstanceOf(ClosedError);
    expect(await failure(locker.obtain(newKey(), '1m', '1s'))).toBeInstanceOf(ClosedError);
    expect(await failure(lock?.release() as Promise<boolean>)).toBeInstanceOf(ClosedError);
  });
});
