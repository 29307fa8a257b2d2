import { describe, expect, test } from 'vitest';
import type { Lock } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { lockerOn, newKey, scriptCalls, waitersOf } from './support.js';

const server = useRedis();

/** How often scripts have called a command since the last CONFIG RESETSTAT. */
async function calls(command: string): Promise<number> {
  const stats = String(await server().cli('INFO', 'commandstats'));
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
}

describe('many who wait', () => {
  test('leave from anywhere in the queue, and the others keep their order', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const holder = await locker.obtain(key, '5m');
    const order: number[] = [];
    const aborts = Array.from({ length: 900 }, () => new AbortController());
    const ends = aborts.map(async ({ signal }, i) => {
      const lock = await locker.obtain(key, '5m', '5m', { signal }).catch(() => undefined);
      if (lock) order.push(i);
      await lock?.release();
    });
    await waitersOf(locker, key, 900);
    await server().cli('CONFIG', 'RESETSTAT');
    // All but every third, from the end: none of them is the first of the queue.
    const leaving = (i: number) => i % 3 !== 0;
    for (const [i, abort] of [...aborts.entries()].reverse()) if (leaving(i)) abort.abort();
    await waitersOf(locker, key, 300);
    // The queue was not searched for each of them, and what has left does not stay.
    expect(await calls('lrem')).toBe(0);
    expect(await server().cli('LLEN', `lagoon:locks:${key}`)).toBeLessThanOrEqual(600);
    await holder?.release();
    await Promise.all(ends);
    expect(order).toEqual(Array.from({ length: 300 }, (_, i) => i * 3));
    expect(await locker.inspect(key)).toMatchObject({ held: false, waiting: 0 });
    expect(await server().cli('EXISTS', `lagoon:locks:${key}`, `lagoon:locks!${key}`)).toBe(0);
  });

  test.each(['exclusive', 'permits'])('give up together in a few script calls, and all hear null: %s', async (kind) => {
    const locker = lockerOn(server());
    const key = newKey();
    const obtain = (waitTimeout: number) =>
      kind === 'permits' ? locker.semaphore(key, 1).obtain('5m', waitTimeout) : locker.obtain(key, '5m', waitTimeout);
    await obtain(0);
    await obtain(1);
    const waits = Array.from({ length: 1_000 }, () => obtain(6_000));
    await waitersOf(locker, key, 1_000);
    await server().cli('CONFIG', 'RESETSTAT');
    expect(new Set(await Promise.all(waits))).toEqual(new Set([null]));
    // Their timers end in some turns of the event loop, and what leaves in one shares script calls of 64.
    expect(await scriptCalls(server())).toBeLessThan(500);
    expect(await locker.inspect(key)).toMatchObject({ waiting: 0 });
  });

  test('a waiter that a lost list has forgotten is queued again', async () => {
    const [locker, other] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const holder = (await other.obtain(key, '5m')) as Lock;
    const first = locker.obtain(key, '5m', '1m');
    await waitersOf(other, key, 1);
    await server().cli('DEL', `lagoon:locks:${key}`);
    const second = other.obtain(key, '5m', '1m');
    await eventually(async () => (await server().cli('LLEN', `lagoon:locks:${key}`)) === 1);
    // All ask again.
    await server().cli('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await waitersOf(other, key, 2);
    expect(await holder.release()).toBe(true);
    expect(await (await second)?.release()).toBe(true);
    expect(await (await first)?.release()).toBe(true);
  });
});

describe('many who hold', () => {
  test.each(['permit', 'reader'])('refresh, release and ttl of a %s look at no other', async (kind) => {
    const locker = lockerOn(server());
    const key = newKey();
    const obtain = () =>
      kind === 'permit' ? locker.semaphore(key, 200).obtain('5m') : locker.readWriteLock(key).obtainRead('5m');
    const locks = (await Promise.all(Array.from({ length: 200 }, obtain))) as Lock[];
    await server().cli('CONFIG', 'RESETSTAT');
    for (const lock of locks.slice(0, 20)) {
      expect(await lock.refresh('10m')).toBe(true);
      expect(await lock.ttl()).toBeGreaterThan(300_000);
      expect(await lock.release()).toBe(true);
      expect(await lock.release()).toBe(false);
    }
    expect(await calls('zrangebyscore')).toBe(0);
    expect(await server().cli('ZCARD', key)).toBe(180);
  });

  test('a permit whose time is over is not refreshed, whoever looks', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const [brief, other] = [await locker.semaphore(key, 2).obtain('1m'), await locker.semaphore(key, 2).obtain('1m')];
    const [member] = (await server().cli('ZRANGE', key, '0', '0')) as string[];
    await server().cli('ZADD', key, '1', member as string);
    expect([await brief?.refresh('1m'), await other?.refresh('1m')].sort()).toEqual([false, true]);
  });

  test('who waits for a permit leaves without a look at the holders', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await Promise.all(Array.from({ length: 50 }, () => locker.semaphore(key, 50).obtain('5m')));
    const abort = new AbortController();
    const waits = failure(locker.semaphore(key, 50).obtain('5m', '5m', { signal: abort.signal }));
    const brief = locker.semaphore(key, 50).obtain('5m', 300);
    await waitersOf(locker, key, 2);
    await server().cli('CONFIG', 'RESETSTAT');
    abort.abort();
    expect((await waits)?.code).toBe('ABORT_ERR');
    expect(await brief).toBeNull();
    await eventually(async () => (await calls('srem')) === 2);
    expect(await calls('zrangebyscore')).toBe(0);
  });
});
