import { expect, test } from 'vitest';
import {
  AbortError,
  ClosedError,
  type Lock,
  type Locker,
  LockLostError,
  LockNotObtainedError,
} from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

/** Short, and long enough for a busy machine to renew in time. */
const TTL_MS = 1_500;

/** Resolves once a lock has lived for longer than it would have without renewals. */
async function pastItsTtl(lock: Lock | null): Promise<void> {
  const until = (lock?.expiresAt ?? 0) + 1;
  await eventually(() => performance.now() > until);
}

/** Resolves once so many claims wait for the key. */
function waiting(locker: Locker, key: string, count: number): Promise<unknown> {
  return eventually(async () => (await locker.inspect(key)).waiting === count);
}

/** The exclusive lock on a key or several: obtain, wait, refresh, release, run. */
export function locks(site: Site): void {
  const here = () => site.redis.getLocker();
  const elsewhere = () => site.elsewhere.getLocker();

  test('one holder at a time, among all processes', async () => {
    const key = site.key('lock');
    const lock = await here().obtain(key, '10s');
    expect(lock).toMatchObject({ key, keys: [key], held: true });
    expect(await elsewhere().obtain(key, '10s')).toBeNull();
    expect(await here().obtain(key, '10s')).toBeNull();
    expect(await lock?.release()).toBe(true);
    expect(await lock?.release()).toBe(false);
    expect(lock?.held).toBe(false);
    const next = await elsewhere().obtain(key, '10s');
    expect(await next?.release()).toBe(true);
  });

  test('ttl, refresh and expiry', async () => {
    const key = site.key('lock');
    const lock = await here().obtain(key, '10s');
    expect(await lock?.ttl()).toBeGreaterThan(9_000);
    expect(await lock?.refresh('1m')).toBe(true);
    expect(await lock?.ttl()).toBeGreaterThan(50_000);
    const { signal } = lock as { signal: AbortSignal };
    expect(await lock?.refresh(500)).toBe(true);
    await eventually(() => signal.aborted);
    expect(signal.reason).toBeInstanceOf(LockLostError);
    expect(await lock?.ttl()).toBe(0);
    expect(await lock?.refresh('1m')).toBe(false);
    const next = await elsewhere().obtain(key, '10s', '2s');
    expect(next?.held).toBe(true);
    expect(await lock?.release()).toBe(false);
    expect(await next?.release()).toBe(true);
  });

  test('waiting is first in, first out across processes', async () => {
    const key = site.key('queue');
    const first = await here().obtain(key, '10s');
    const order: number[] = [];
    const waiters: Promise<void>[] = [];
    for (let n = 0; n < 6; n++) {
      const locker = n % 2 ? here() : elsewhere();
      waiters.push(
        locker.obtain(key, '10s', '20s').then(async (lock) => {
          order.push(n);
          await lock?.release();
        }),
      );
      await waiting(here(), key, n + 1);
    }
    expect(await here().obtain(key, '10s')).toBeNull();
    await first?.release();
    await Promise.all(waiters);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await here().inspect(key)).toEqual({ held: false, ttl: 0, fence: undefined, waiting: 0, holders: [] });
  });

  test('a release hands the lock over at once, whoever has looked away meanwhile', async () => {
    const keys = site.keys(20, 'hand-over');
    const held = await Promise.all(keys.map((key) => here().obtain(key, '10s')));
    const waiters = keys.map((key, i) => (i % 2 ? here() : elsewhere()).obtain(key, '10s', '20s'));
    await Promise.all(keys.map((key) => waiting(here(), key, 1)));
    expect(await Promise.all(held.map((lock) => lock?.release()))).toEqual(keys.map(() => true));
    const next = await Promise.all(waiters);
    expect(next.map((lock) => lock?.held)).toEqual(keys.map(() => true));
    expect(await Promise.all(next.map((lock) => lock?.release()))).toEqual(keys.map(() => true));
  });

  test('a wait ends with its time, or with its signal, and leaves no place in the queue', async () => {
    const key = site.key('lock');
    await using lock = await here().obtain(key, '10s');
    expect(lock).not.toBeNull();
    expect(await elsewhere().obtain(key, '10s', 100)).toBeNull();
    const controller = new AbortController();
    const aborted = failure(elsewhere().obtain(key, '10s', '20s', { signal: controller.signal }));
    await waiting(here(), key, 1);
    controller.abort();
    expect(await aborted).toBeInstanceOf(AbortError);
    await waiting(here(), key, 0);
  });

  test('a waiter gets what a crashed holder leaves behind once its time is over', async () => {
    const key = site.key('crash');
    const engine = site.open();
    const crashed = await engine.getRedis().getLocker().obtain(key, '1s');
    await engine.close({ timeout: 0 });
    const next = await here().obtain(key, '10s', '10s');
    expect(next?.fence).toBeGreaterThan(crashed?.fence ?? Number.POSITIVE_INFINITY);
    await next?.release();
  });

  test('a waiter that is gone is skipped', async () => {
    const key = site.key('gone');
    const engine = site.open({ clientName: 'gone' });
    const lock = await here().obtain(key, '20s');
    const gone = failure(engine.getRedis().getLocker().obtain(key, '20s', '20s'));
    await waiting(here(), key, 1);
    const patient = elsewhere().obtain(key, '20s', '20s');
    await waiting(here(), key, 2);
    await engine.close({ timeout: 0 });
    expect(await gone).toBeInstanceOf(ClosedError);
    await site.disconnected('gone');
    await lock?.release();
    const startedAt = performance.now();
    expect((await patient)?.held).toBe(true);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await (await patient)?.release();
  });

  test('the fence grows with every holder, also when the key was deleted or has expired', async () => {
    const key = site.key('fence');
    const fences: number[] = [];
    for (const locker of [here(), elsewhere(), here()]) {
      const lock = await locker.obtain(key, '10s');
      fences.push(Number(lock?.fence));
      await lock?.release();
    }
    await here().obtain(key, '10s');
    await site.redis.del(key);
    const afterDeletion = await here().obtain(key, 500, '5s');
    fences.push(Number(afterDeletion?.fence));
    const afterExpiry = await elsewhere().obtain(key, '10s', '5s');
    fences.push(Number(afterExpiry?.fence));
    await afterExpiry?.release();
    expect(fences.every(Number.isSafeInteger)).toBe(true);
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
  });

  test('a lock of another program, SET NX PX with a token, is respected; its end is noticed', async () => {
    const key = site.key('foreign');
    expect(await site.redis.set(key, 'its token', { condition: 'NX', expiration: { type: 'PX', value: 60_000 } })).toBe(
      'OK',
    );
    expect(await here().obtain(key, '10s')).toBeNull();
    expect(await here().inspect(key)).toMatchObject({ held: true, fence: undefined });
    const waiter = here().obtain(key, '10s', '10s');
    await waiting(here(), key, 1);
    await site.redis.del(key);
    const lock = await waiter;
    expect(lock?.held).toBe(true);
    // And the other way round.
    expect(await site.redis.set(key, 'its token', { condition: 'NX' })).toBeNull();
    expect(await site.redis.get(key)).toContain(lock?.token);
    await lock?.release();
    expect(await site.redis.exists(key)).toBe(0);
  });

  test('token and metadata stand in the key, for others to read', async () => {
    const key = site.key('lock');
    const lock = await here().obtain(key, '10s', 0, { token: 'token-of-mine', metadata: 'who and why' });
    expect(lock).toMatchObject({ token: 'token-of-mine', metadata: 'who and why' });
    expect(await site.redis.get(key)).toMatch(/^token-of-minewho and why/);
    await lock?.release();
  });

  test('inspect() tells holder, time, fence and waiters', async () => {
    const key = site.key('inspected');
    expect(await here().inspect(key)).toEqual({ held: false, ttl: 0, fence: undefined, waiting: 0, holders: [] });
    const lock = await elsewhere().obtain(key, '10s');
    const waiter = elsewhere().obtain(key, '10s', '10s');
    await waiting(here(), key, 1);
    const state = await here().inspect(key);
    expect(state).toMatchObject({ held: true, fence: lock?.fence, waiting: 1, holders: [{ kind: 'exclusive' }] });
    expect(state.ttl).toBeGreaterThan(5_000);
    await lock?.release();
    await (await waiter)?.release();
  });

  test('many locks in one turn, wherever their keys are', async () => {
    const keys = site.keys(200, 'many');
    const locks = await Promise.all(keys.map((key) => here().obtain(key, '10s')));
    expect(locks.every((lock) => lock?.held)).toBe(true);
    expect((await Promise.all(keys.map((key) => elsewhere().obtain(key, '10s')))).every((lock) => lock === null)).toBe(
      true,
    );
    expect(await Promise.all(locks.map((lock) => lock?.release()))).toEqual(keys.map(() => true));
  });

  test('several keys that share a slot: all of them or none', async () => {
    const key = site.key('several');
    const [a, b, c] = [`${key}:a`, `${key}:b`, `${key}:c`];
    const both = await here().obtain([a, b], '10s');
    expect(both?.keys).toEqual([a, b]);
    expect(await elsewhere().obtain([b, c], '10s')).toBeNull();
    const free = await elsewhere().obtain(c, '10s');
    expect(free?.held).toBe(true);
    const waiter = elsewhere().obtain([b, c], '10s', '10s');
    await waiting(here(), b, 1);
    await both?.release();
    await free?.release();
    const next = await waiter;
    expect(next?.fence).toBeGreaterThan(both?.fence ?? Number.POSITIVE_INFINITY);
    expect(await next?.refresh('20s')).toBe(true);
    expect(await next?.release()).toBe(true);
    expect(await site.redis.exists([a, b, c])).toBe(0);
  });

  test('tryLock() gives the function that gives it back, or says that another holds it', async () => {
    const key = site.key('lock');
    const unlock = await here().tryLock(key, '10s');
    expect(await failure(elsewhere().tryLock(key, '10s'))).toBeInstanceOf(LockNotObtainedError);
    expect(await unlock()).toBe(true);
    expect(await unlock()).toBe(false);
  });

  test('autoRenew keeps a lock past its ttl', async () => {
    const key = site.key('renewed');
    const lock = await here().obtain(key, TTL_MS, 0, { autoRenew: true });
    await pastItsTtl(lock);
    expect(await elsewhere().obtain(key, '1s')).toBeNull();
    expect(lock?.held).toBe(true);
    expect(await lock?.release()).toBe(true);
  });

  test('run() renews while its function runs, and can be called again inside', async () => {
    const key = site.key('run');
    const result = await here().run(key, { ttl: TTL_MS }, async (lock) => {
      await pastItsTtl(lock);
      expect(await elsewhere().obtain(key, '1s')).toBeNull();
      const inner = await here().run(key, { ttl: TTL_MS }, ({ fence }) => fence);
      expect(inner).toBe(lock.fence);
      expect(lock.held).toBe(true);
      return 'done';
    });
    expect(result).toBe('done');
    expect(await site.redis.exists(key)).toBe(0);
    await using other = await elsewhere().obtain(key, '10s');
    expect(other?.held).toBe(true);
    expect(await failure(here().run(key, { ttl: '1s' }, () => 'never'))).toBeInstanceOf(LockNotObtainedError);
  });

  test('run() tells its function that the lock is lost, and its caller', async () => {
    const key = site.key('lost');
    const running = here().run(key, { ttl: TTL_MS }, async ({ signal }) => {
      await site.elsewhere.del(key);
      await eventually(() => signal.aborted);
      return signal.reason;
    });
    expect(await failure(running)).toBeInstanceOf(LockLostError);
    const own = new Error('own');
    expect(await failure(here().run(key, { ttl: '10s' }, () => Promise.reject(own)))).toBe(own);
    expect(await site.redis.exists(key)).toBe(0);
  });

  test('the close of its engine ends a wait', async () => {
    const key = site.key('closing');
    await using lock = await here().obtain(key, '20s');
    expect(lock?.held).toBe(true);
    const engine = site.open();
    const waiter = failure(engine.getRedis().getLocker().obtain(key, '10s', '20s'));
    await waiting(here(), key, 1);
    await engine.close();
    expect(await waiter).toBeInstanceOf(ClosedError);
  });
}
