import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ConnectionError, type Lock } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, startProxy, useRedis } from '../support/redis.js';
import { lockerOn, newKey, waitersOf } from './support.js';

const server = useRedis();

/** Releases each lock as it comes; resolves with how many came. */
async function drain(waiters: readonly Promise<Lock | null>[]): Promise<number> {
  const outcomes = waiters.map(async (waiter) => (await (await waiter)?.release()) === true);
  return (await Promise.all(outcomes)).filter(Boolean).length;
}

describe('a message is a hint, never the proof', () => {
  test('waiters whose subscription is cut again and again all get the lock', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const holder = await a.obtain(key, '2s');
    const waiters = Array.from({ length: 10 }, (_, i) => (i % 2 ? a : b).obtain(key, '2s', '20s'));
    await waitersOf(a, key, 10);
    let done = false;
    const nemesis = (async () => {
      while (!done) {
        await server().cli('CLIENT', 'KILL', 'TYPE', 'pubsub');
        await sleep(20);
      }
    })();
    await sleep(50);
    await holder?.release();
    expect(await drain(waiters)).toBe(10);
    done = true;
    await nemesis;
    expect(await a.inspect(key)).toMatchObject({ held: false, waiting: 0 });
  });

  test('a waiter that was passed over while its subscription was away asks again and is served', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const holder = await a.obtain(key, '1m');
    const waiter = b.obtain(key, '1m', '20s');
    await waitersOf(a, key, 1);
    await server().cli('CLIENT', 'KILL', 'TYPE', 'pubsub');
    const startedAt = performance.now();
    await holder?.release();
    expect(await waiter).not.toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('a message that nobody reads any more, because the line is dead, costs the TTL at most', async () => {
    const proxy = await startProxy(server().address);
    try {
      const [far, near] = [lockerOn(proxy), lockerOn(server())];
      const key = newKey();
      const holder = await near.obtain(key, '1m');
      void failure(far.obtain(key, 500, '1m'));
      await waitersOf(near, key, 1);
      const next = near.obtain(key, '1m', '20s');
      await waitersOf(near, key, 2);
      proxy.blackhole(true);
      const startedAt = performance.now();
      await holder?.release();
      expect(await next).not.toBeNull();
      expect(performance.now() - startedAt).toBeLessThan(500 + 400);
    } finally {
      await proxy.stop();
    }
  });

  test('a release whose reply is lost does not leave the waiters of its own process behind', async () => {
    const proxy = await startProxy(server().address);
    try {
      const locker = lockerOn(proxy);
      const key = newKey();
      const holder = await locker.obtain(key, '1m');
      const waiters = [locker.obtain(key, '2m', '20s'), locker.obtain(key, '2m', '20s')];
      await waitersOf(locker, key, 2);
      const startedAt = performance.now();
      proxy.truncate(1);
      expect(await failure(holder?.release() as Promise<boolean>)).toBeInstanceOf(ConnectionError);
      expect(await drain(waiters)).toBe(2);
      expect(performance.now() - startedAt).toBeLessThan(2_000);
    } finally {
      await proxy.stop();
    }
  });
});

describe('the queue is gone', () => {
  test('FLUSHALL: every waiter gets the lock, one after the other', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    await a.obtain(key, 500);
    const waiters = [a, a, b, b].map((locker) => locker.obtain(key, 500, '10s'));
    await waitersOf(a, key, 4);
    await server().cli('FLUSHALL');
    const startedAt = performance.now();
    expect(await drain(waiters)).toBe(4);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(await a.inspect(key)).toMatchObject({ held: false, waiting: 0 });
  });

  test('FLUSHALL: also where nobody gives the lock back', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.obtain(key, 300);
    const waiters = [1, 2, 3].map(() => locker.obtain(key, 300, '10s'));
    await waitersOf(locker, key, 3);
    await server().cli('FLUSHALL');
    const locks = await Promise.all(waiters);
    expect(new Set(locks.map((lock) => lock?.fence)).size).toBe(3);
    expect(locks).not.toContain(null);
  });

  test('who gives up takes a lock that is free, though nobody said so', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.obtain(key, '1m');
    const waiter = locker.obtain(key, '1m', '500ms');
    await waitersOf(locker, key, 1);
    await server().cli('DEL', key);
    const lock = await waiter;
    expect(await locker.inspect(key)).toMatchObject({ held: true, fence: lock?.fence, waiting: 0 });
  });

  test('the server starts again with nothing: waiters get the lock', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.obtain(key, 500);
    const waiters = [1, 2, 3].map(() => locker.obtain(key, 500, '20s'));
    await waitersOf(locker, key, 3);
    await server().kill();
    await server().restart();
    expect(await drain(waiters)).toBe(3);
  });

  test('who got the lock by asking again is not left in the queue', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.obtain(key, 400);
    const waiter = locker.obtain(key, '1m', '10s');
    await waitersOf(locker, key, 1);
    // As if the process had been stopped for longer than the book remembers who waits.
    await server().cli('DEL', 'lagoon:locks');
    const lock = await waiter;
    await eventually(async () => {
      expect(await locker.inspect(key)).toMatchObject({ held: true, waiting: 0 });
    });
    expect(await lock?.ttl()).toBeGreaterThan(0);
    expect(await lock?.release()).toBe(true);
  });
});

describe('a line of waiters never falls asleep', () => {
  test('each gets the lock when the one before it lets it expire', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await locker.obtain(key, 150);
    const locks = await Promise.all([1, 2, 3, 4].map(() => locker.obtain(key, 150, '10s')));
    expect(locks).not.toContain(null);
    const fences = locks.map((lock) => lock?.fence ?? 0);
    expect(fences).toEqual([...fences].sort((a, b) => a - b));
  });

  test('the holder shortens its time and then crashes: the waiters know', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const holder = await a.obtain(key, '30s');
    const waiter = b.obtain(key, '1m', '20s');
    await waitersOf(a, key, 1);
    await holder?.refresh(300);
    const startedAt = performance.now();
    expect(await waiter).not.toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(300 + 500);
  });
});
