import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError, type Lock, type Locker } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { newKey, poolOn, startContender, waitersOf } from './support.js';

const server = useRedis();

function lockerOn(address: { address: string }): Locker {
  return poolOn(address).getLocker();
}

/** Resolves once so many wait, as the queue itself says. */
function waiting(key: string, count: number): Promise<unknown> {
  return eventually(async () => (await server().cli('LLEN', `lagoon:locks:${key}`)) === count);
}

describe('a semaphore', () => {
  test('gives as many permits as it has', async () => {
    const semaphore = lockerOn(server()).semaphore(newKey(), 3);
    expect(semaphore.permits).toBe(3);
    const locks = await Promise.all([1, 2, 3, 4, 5].map(() => semaphore.obtain('1m')));
    expect(locks.filter(Boolean).length).toBe(3);
    const [first] = locks;
    expect(await first?.release()).toBe(true);
    expect(await first?.release()).toBe(false);
    expect(await semaphore.obtain('1m')).not.toBeNull();
    expect(await semaphore.obtain('1m')).toBeNull();
  });

  test('never gives more, to 50 callers on several connections', async () => {
    const lockers = [lockerOn(server()), lockerOn(server()), lockerOn(server())];
    const key = newKey();
    let inside = 0;
    let most = 0;
    const fences: number[] = [];
    const callers = Array.from({ length: 50 }, async (_, n) => {
      const semaphore = (lockers[n % 3] as Locker).semaphore(key, 4);
      for (let i = 0; i < 4; i++) {
        const lock = (await semaphore.obtain('1m', '20s')) as Lock;
        fences.push(lock.fence);
        most = Math.max(most, ++inside);
        await (n % 2 ? sleep(1) : new Promise(setImmediate));
        inside--;
        expect(await lock.release()).toBe(true);
      }
    });
    await Promise.all(callers);
    expect(most).toBe(4);
    expect(new Set(fences).size).toBe(200);
    expect(await server().cli('EXISTS', key)).toBe(0);
  });

  test('makes room when a holder expires, for all who wait in a process', async () => {
    const locker = lockerOn(server());
    const semaphore = locker.semaphore(newKey(), 2);
    await Promise.all([semaphore.obtain(250), semaphore.obtain(250)]);
    const startedAt = performance.now();
    const locks = await Promise.all([1, 2, 3, 4].map(() => semaphore.obtain(250, '5s')));
    expect(locks).not.toContain(null);
    expect(performance.now() - startedAt).toBeLessThan(500 + 400);
    // Whoever asks next may find room in the same call in which others are served.
    await Promise.all(locks.map((lock) => lock?.release()));
  });

  test('serves those who wait and who asks just then, when room is made for all', async () => {
    const key = newKey();
    const locker = lockerOn(server());
    const semaphore = locker.semaphore(key, 3);
    await Promise.all([1, 2, 3].map(() => semaphore.obtain('1m')));
    const first = semaphore.obtain('1m', '3s');
    await waiting(key, 1);
    // Nobody is told of this: the first would look in a minute, and it is the second who finds room for both.
    await server().cli('DEL', key);
    const startedAt = performance.now();
    const second = semaphore.obtain('1m', '3s');
    const locks = await Promise.all([first, second]);
    expect(locks).not.toContain(null);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(locks[0]?.fence).toBeLessThan(locks[1]?.fence as number);
  });

  test('is first in, first out, across lockers', async () => {
    const lockers = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const holders = await Promise.all([1, 2].map(() => lockers[0]?.semaphore(key, 2).obtain('1m')));
    const order: number[] = [];
    const waiters: Promise<void>[] = [];
    for (let i = 0; i < 8; i++) {
      const wait = async () => {
        const lock = await lockers[i % 2]?.semaphore(key, 2).obtain('1m', '20s');
        order.push(lock ? i : -1);
        await lock?.release();
      };
      waiters.push(wait());
      await waiting(key, i + 1);
    }
    await holders[0]?.release();
    await Promise.all(waiters);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    await holders[1]?.release();
  });

  test('takes the options of a lock: signal, autoRenew, token, metadata; and refresh and ttl work', async () => {
    const key = newKey();
    const semaphore = lockerOn(server()).semaphore(key, 1);
    const lock = (await semaphore.obtain('10s', 0, { token: 'mine', metadata: ' m' })) as Lock;
    expect(lock).toMatchObject({ key, token: 'mine', metadata: ' m', held: true });
    expect(await lock.ttl()).toBeGreaterThan(9_000);
    expect(await lock.refresh('1m')).toBe(true);
    expect(await lock.ttl()).toBeGreaterThan(59_000);
    expect(lock.expiresAt - performance.now()).toBeGreaterThan(59_000);
    const abort = new AbortController();
    const waits = failure(semaphore.obtain('1m', '1m', { signal: abort.signal }));
    await waiting(key, 1);
    abort.abort();
    expect(await waits).toMatchObject({ code: 'ABORT_ERR' });
    await waiting(key, 0);
    expect(await lock.refresh(150)).toBe(true);
    const next = (await semaphore.obtain(400, '5s', { autoRenew: true })) as Lock;
    expect(next.fence).toBeGreaterThan(lock.fence);
    expect(lock.signal.aborted).toBe(true);
    expect(await lock.refresh('1m')).toBe(false);
    expect(await lock.release()).toBe(false);
    await sleep(900);
    expect(await next.ttl()).toBeGreaterThan(0);
    expect(await next.release()).toBe(true);
  });

  test('keeps one permit when another of it expires', async () => {
    const semaphore = lockerOn(server()).semaphore(newKey(), 2);
    const [long, short] = [await semaphore.obtain('1m'), await semaphore.obtain(50)];
    await sleep(100);
    expect(short?.held).toBe(false);
    expect(await short?.release()).toBe(false);
    expect(await long?.ttl()).toBeGreaterThan(50_000);
    expect(await semaphore.obtain('1m')).not.toBeNull();
    expect(await semaphore.obtain('1m')).toBeNull();
  });

  test('hands a permit on at once when a waiter shortens and nobody releases', async () => {
    const key = newKey();
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const lock = await a.semaphore(key, 1).obtain('1m');
    const waiter = b.semaphore(key, 1).obtain('1m', '10s');
    await waiting(key, 1);
    await lock?.refresh(200);
    const startedAt = performance.now();
    expect(await waiter).not.toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(700);
  });

  test('passes over those whose process is gone', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const doomed = await startContender(server());
    const holder = await locker.obtain(key, '1m');
    void doomed.obtain(key, 60_000, 20_000).catch(() => undefined);
    await waitersOf(locker, key, 1);
    await doomed.kill();
    await sleep(50);
    await holder?.release();
    expect(await locker.semaphore(key, 1).obtain('1m', '1s')).not.toBeNull();
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '2', undefined] as never[])(
    'of %s permits is refused',
    (permits) => {
      expect(() => lockerOn({ address: '127.0.0.1:1' }).semaphore('key', permits)).toThrow(InvalidArgumentError);
    },
  );
});
