import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError, type Lock, LockLostError, LockNotObtainedError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { useRedis } from '../support/redis.js';
import { lockerOn, newKey, poolOn, waitersOf } from './support.js';

const server = useRedis();

describe('run', () => {
  test('every view of a pool has the same locker, so that a run inside a run joins it', async () => {
    const redis = poolOn(server());
    expect(redis.withTimeout('1s').getLocker()).toBe(redis.getLocker());
    expect(redis.withAbortSignal(new AbortController().signal).getLocker()).toBe(redis.getLocker());
  });

  test('gives what the body gives, holds the lock during it and not after', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const result = await locker.run(key, { ttl: '1m' }, async (lock) => {
      expect(await locker.inspect(key)).toMatchObject({ held: true, fence: lock.fence });
      return { fence: lock.fence };
    });
    expect(result.fence).toBeGreaterThan(0);
    expect((await locker.inspect(key)).held).toBe(false);
    expect(await locker.run(key, { ttl: '1m' }, () => 'at once')).toBe('at once');
  });

  test("makes the body's error its own, and releases", async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const error = new Error('of the body');
    expect(await failure(locker.run(key, { ttl: '1m' }, () => Promise.reject(error)))).toBe(error);
    const thrown = locker.run(key, { ttl: '1m' }, () => {
      throw error;
    });
    expect(await failure(thrown)).toBe(error);
    expect((await locker.inspect(key)).held).toBe(false);
  });

  test('rejects with LockNotObtainedError if another holds it for all of waitTimeout, and never calls the body', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.obtain(key, '1m');
    let called = false;
    for (const waitTimeout of [undefined, 0, 100] as const) {
      const error = await failure(
        locker.run(key, { ttl: '1m', ...(waitTimeout !== undefined && { waitTimeout }) }, () => {
          called = true;
        }),
      );
      expect(error).toBeInstanceOf(LockNotObtainedError);
      expect(error).toMatchObject({ code: 'LAGOON_LOCK_NOT_OBTAINED' });
      expect(error?.message).toContain(key);
    }
    expect(called).toBe(false);
  });

  test('waits its turn, and stops waiting when its signal aborts', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const holder = await locker.obtain(key, '1m');
    const abort = new AbortController();
    const aborted = failure(locker.run(key, { ttl: '1m', waitTimeout: '10s', signal: abort.signal }, () => 1));
    await waitersOf(locker, key, 1);
    const served = locker.run(key, { ttl: '1m', waitTimeout: '10s' }, () => 2);
    await waitersOf(locker, key, 2);
    abort.abort();
    expect(await aborted).toMatchObject({ code: 'ABORT_ERR' });
    await holder?.release();
    expect(await served).toBe(2);
  });

  test('renews the lock for as long as the body runs', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.run(key, { ttl: 1_000 }, async (lock) => {
      await sleep(2_200);
      expect(lock.signal.aborted).toBe(false);
      expect(await lock.ttl()).toBeGreaterThan(0);
    });
    expect((await locker.inspect(key)).held).toBe(false);
  });

  test('tells a body whose lock is lost at once, and rejects with LockLostError', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    let reason: unknown;
    const error = await failure(
      locker.run(key, { ttl: '1s' }, async (lock) => {
        const lost = new Promise((resolve) => lock.signal.addEventListener('abort', resolve));
        await server().cli('SET', key, 'another', 'PX', '60000');
        await lost;
        reason = lock.signal.reason;
        return 'a result that counts for nothing';
      }),
    );
    expect(error).toBeInstanceOf(LockLostError);
    expect(error).toBe(reason);
    expect(await server().cli('GET', key)).toBe('another');
  });

  test('rejects with LockLostError also if nobody noticed until the end', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const gone = locker.run(key, { ttl: '1m' }, () => server().cli('DEL', key));
    expect(await failure(gone)).toBeInstanceOf(LockLostError);
    const blocked = locker.run(newKey(), { ttl: 400 }, () => {
      for (const until = performance.now() + 500; performance.now() < until; );
    });
    expect(await failure(blocked)).toBeInstanceOf(LockLostError);
  });

  test("lets the body's error win over the loss", async () => {
    const key = newKey();
    const error = new Error('of the body');
    const run = lockerOn(server()).run(key, { ttl: '1m' }, async () => {
      await server().cli('DEL', key);
      throw error;
    });
    expect(await failure(run)).toBe(error);
  });

  test('refuses a ttl or a key that cannot be right', async () => {
    const locker = lockerOn(server());
    expect(await failure(locker.run(newKey(), { ttl: 0 }, () => 1))).toBeInstanceOf(InvalidArgumentError);
    expect(await failure(locker.run(newKey(), { ttl: '1s', waitTimeout: -1 }, () => 1))).toBeInstanceOf(
      InvalidArgumentError,
    );
    for (const key of ['', 5, undefined] as never[]) {
      expect(await failure(locker.run(key, { ttl: '1s' }, () => 1))).toBeInstanceOf(InvalidArgumentError);
    }
  });
});

describe('run inside run', () => {
  test('joins on the same key, however deep, and the outermost releases', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const locks: Lock[] = [];
    await locker.run(key, { ttl: '1m' }, async (outer) => {
      locks.push(outer);
      await locker.run(Buffer.from(key), { ttl: '1m' }, async (middle) => {
        locks.push(middle);
        await locker.run(key, { ttl: '1m' }, (inner) => void locks.push(inner));
        expect((await locker.inspect(key)).held).toBe(true);
      });
      expect((await locker.inspect(key)).held).toBe(true);
    });
    expect(new Set(locks).size).toBe(1);
    expect(locks.length).toBe(3);
    expect((await locker.inspect(key)).held).toBe(false);
  });

  test('takes a lock of its own on another key', async () => {
    const locker = lockerOn(server());
    const [a, b] = [newKey(), newKey()];
    await locker.run(a, { ttl: '1m' }, (outer) =>
      locker.run(b, { ttl: '1m' }, async (inner) => {
        expect(inner).not.toBe(outer);
        expect((await locker.inspect(a)).held && (await locker.inspect(b)).held).toBe(true);
        // Back on the first key, past the second.
        await locker.run(a, { ttl: '1m' }, (again) => expect(again).toBe(outer));
      }),
    );
  });

  test('after an inner body that failed the outer one still holds', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.run(key, { ttl: '1m' }, async () => {
      await failure(locker.run(key, { ttl: '1m' }, () => Promise.reject(new Error('inner'))));
      expect((await locker.inspect(key)).held).toBe(true);
    });
    expect((await locker.inspect(key)).held).toBe(false);
  });

  test('is told of the loss, inner and outer', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    let inner: unknown;
    const outer = await failure(
      locker.run(key, { ttl: '1s' }, async (lock) => {
        await server().cli('DEL', key);
        inner = await failure(
          locker.run(
            key,
            { ttl: '1s' },
            () => new Promise<void>((resolve) => lock.signal.addEventListener('abort', () => resolve())),
          ),
        );
      }),
    );
    expect(inner).toBeInstanceOf(LockLostError);
    expect(outer).toBeInstanceOf(LockLostError);
  });

  test('does not begin under a lock that is lost, and takes one of its own after one that was given back', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const begun: string[] = [];
    const run = locker.run(key, { ttl: '1m' }, async (outer) => {
      expect(await outer.release()).toBe(true);
      await locker.run(key, { ttl: '1m' }, async (own) => {
        begun.push('own');
        expect(own.fence).toBeGreaterThan(outer.fence);
        await server().cli('DEL', key);
        expect(await own.refresh('1m')).toBe(false);
        await locker.run(key, { ttl: '1m' }, () => void begun.push('under a lock that is lost'));
      });
    });
    expect(await failure(run)).toBeInstanceOf(LockLostError);
    expect(begun).toEqual(['own']);
  });

  test('excludes those of parallel contexts, whichever locker they use', async () => {
    const lockers = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    let inside = 0;
    let most = 0;
    const contexts = Array.from({ length: 12 }, (_, n) => {
      const locker = lockers[n % 2] as (typeof lockers)[0];
      return locker.run(key, { ttl: '1m', waitTimeout: '20s' }, async () => {
        most = Math.max(most, ++inside);
        await locker.run(key, { ttl: '1m' }, () => sleep(2));
        inside--;
      });
    });
    await Promise.all(contexts);
    expect(most).toBe(1);
  });

  test('un-awaited but begun while the outer one runs keeps the lock until it ends', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    let finish: () => void = () => undefined;
    let inner: Promise<Lock> | undefined;
    const outer = await locker.run(key, { ttl: '1m' }, (lock) => {
      inner = locker.run(key, { ttl: '1m' }, async (own) => {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return own;
      });
      return lock;
    });
    expect((await locker.inspect(key)).held).toBe(true);
    expect(outer.held).toBe(true);
    finish();
    expect(await inner).toBe(outer);
    expect((await locker.inspect(key)).held).toBe(false);
  });

  test('begun after the outer one ended, in its context, takes a lock of its own', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    let late: Promise<Lock> | undefined;
    let go: () => void = () => undefined;
    const outer = await locker.run(key, { ttl: '1m' }, (lock) => {
      late = new Promise<void>((resolve) => {
        go = resolve;
      }).then(() => locker.run(key, { ttl: '1m' }, (own) => own));
      return lock;
    });
    const other = await locker.obtain(key, '1m');
    expect(other).not.toBeNull();
    go();
    expect(await failure(late as Promise<Lock>)).toBeInstanceOf(LockNotObtainedError);
    await other?.release();
    // And once more from within a context that is over, with the lock free.
    let later: Promise<Lock> | undefined;
    await locker.run(key, { ttl: '1m' }, () => {
      later = sleep(50).then(() => locker.run(key, { ttl: '1m' }, (own) => own));
    });
    expect((await later)?.fence).toBeGreaterThan(outer.fence);
  });
});

describe('tryLock', () => {
  test('resolves to the function that gives the lock back', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const unlock = await locker.tryLock(key, '1m');
    expect((await locker.inspect(key)).held).toBe(true);
    expect(await unlock()).toBe(true);
    expect(await unlock()).toBe(false);
    expect((await locker.inspect(key)).held).toBe(false);
  });

  test('rejects at once with LockNotObtainedError if another holds it', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const unlock = await locker.tryLock(key, '1m');
    expect(await failure(locker.tryLock(key, '1m'))).toBeInstanceOf(LockNotObtainedError);
    await unlock();
    await (await locker.tryLock(key, '1m'))();
  });

  test('does not take the lock from another after it expired', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const unlock = await locker.tryLock(key, 400);
    const next = await locker.obtain(key, '1m', '5s');
    expect(await unlock()).toBe(false);
    expect(await next?.ttl()).toBeGreaterThan(0);
  });
});
