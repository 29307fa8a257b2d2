import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { AbortError, type Lock, type Locker } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, startProxy, useRedis } from '../support/redis.js';
import { lockerOn, newKey, scriptCalls, waitersOf, watchCommands } from './support.js';

const server = useRedis();

describe('the queue', () => {
  test('is first in, first out among 50 waiters of one process', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const holder = await locker.obtain(key, '1m');
    const order: number[] = [];
    const waiters = Array.from({ length: 50 }, async (_, i) => {
      const lock = await locker.obtain(key, '1m', '20s');
      order.push(lock ? i : -1);
      await lock?.release();
    });
    await waitersOf(locker, key, 50);
    await holder?.release();
    await Promise.all(waiters);
    expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test.each(['exclusive', 'writer'])(
    'is first in, first out when a process waits for the first time: %s',
    async (kind) => {
      const proxy = await startProxy(server().address);
      try {
        for (const delayMs of [0, 2, 8]) {
          // A server that knows no scripts, and a subscriber connection that takes its time.
          await server().cli('SCRIPT', 'FLUSH');
          const locker = lockerOn(proxy);
          const key = newKey();
          const near = lockerOn(server());
          await (kind === 'exclusive' ? near.obtain(key, '1m') : near.readWriteLock(key).obtainWrite('1m'));
          proxy.delay(delayMs);
          const order: number[] = [];
          const ends: Promise<void>[] = [];
          const obtain = () =>
            kind === 'exclusive' ? locker.obtain(key, '1m', '1m') : locker.readWriteLock(key).obtainWrite('1m', '1m');
          for (let i = 0; i < 200; i++) {
            const wait = async () => {
              const lock = await obtain();
              order.push(i);
              await lock?.release();
            };
            ends.push(wait());
            if (i % 10 === 9) await sleep(1);
          }
          proxy.delay(0);
          await waitersOf(near, key, 200);
          await server().cli('DEL', key);
          // Whoever asks has the first of them served.
          const asker = kind === 'exclusive' ? near.obtain(key, '1m') : near.readWriteLock(key).obtainWrite('1m');
          expect(await asker).toBeNull();
          await Promise.all(ends);
          expect(order).toEqual(Array.from({ length: 200 }, (_, i) => i));
        }
      } finally {
        await proxy.stop();
      }
    },
  );

  test('is first in, first out across lockers that ask in turn', async () => {
    const lockers = [lockerOn(server()), lockerOn(server()), lockerOn(server())] as const;
    const key = newKey();
    const holder = await lockers[0].obtain(key, '1m');
    const order: number[] = [];
    const waiters: Promise<void>[] = [];
    for (let i = 0; i < 12; i++) {
      const wait = async () => {
        const lock = await lockers[(i % 3) as 0].obtain(key, '1m', '20s');
        order.push(lock ? i : -1);
        await lock?.release();
      };
      waiters.push(wait());
      await waitersOf(lockers[0], key, i + 1);
    }
    await holder?.release();
    await Promise.all(waiters);
    expect(order).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });

  test('is handed on by messages: at most 3 commands for each hand-over, and none while nothing happens', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const holder = await a.obtain(key, '1m');
    const waiters = [a, b, a, b, a, b, a, b, a, b].map((locker) => locker.obtain(key, '1m', '20s'));
    await waitersOf(a, key, 10);
    const commands = await watchCommands(server());
    await sleep(300);
    expect(commands).toEqual([]);
    let lock: Lock | null = holder;
    let left = waiters;
    while (lock) {
      await lock.release();
      if (left.length === 0) break;
      const [next, i] = await Promise.race(left.map(async (waiter, n) => [await waiter, n] as const));
      left = left.filter((_, n) => n !== i);
      lock = next;
    }
    expect(commands.length).toBeGreaterThanOrEqual(10);
    expect(commands.length).toBeLessThanOrEqual(3 * 11);
  });

  test('costs two script calls for each cycle of wait and release', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const work = async () => {
      for (let i = 0; i < 10; i++) {
        const lock = await locker.obtain(key, '1m', '20s');
        await lock?.release();
      }
    };
    await Promise.all([work(), work()]);
    await server().cli('CONFIG', 'RESETSTAT');
    await Promise.all([work(), work(), work(), work(), work()]);
    expect(await scriptCalls(server())).toBeLessThanOrEqual(3 * 50);
  });

  test('reaches the next waiter far sooner than any polling would', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const delays: number[] = [];
    for (let i = 0; i < 20; i++) {
      const holder = await a.obtain(key, '1m', '5s');
      const next = b.obtain(key, '1m', '5s');
      await waitersOf(b, key, 1);
      const releasedAt = performance.now();
      const released = holder?.release();
      const lock = await next;
      delays.push(performance.now() - releasedAt);
      expect(await released).toBe(true);
      await lock?.release();
    }
    delays.sort((x, y) => x - y);
    expect(delays[10]).toBeLessThan(20);
  });

  test('leaves no room for barging: who asks when the lock has just expired comes behind those who wait', async () => {
    // The waiter sits behind a slow network, so that the newcomer always asks before it looks again.
    const proxy = await startProxy(server().address);
    const [far, near] = [lockerOn(proxy), lockerOn(server())];
    try {
      for (let i = 0; i < 3; i++) {
        const key = newKey();
        await near.obtain(key, 150);
        proxy.delay(0);
        const first = far.obtain(key, '1m', '10s');
        await waitersOf(near, key, 1);
        proxy.delay(60);
        await eventually(async () => !(await near.inspect(key)).held, { interval: 1 });
        expect(await near.obtain(key, '1m')).toBeNull();
        expect(await near.obtain(key, '1m', 20)).toBeNull();
        const second = near.obtain(key, '1m', '10s');
        const lock = await first;
        expect(await lock?.release()).toBe(true);
        expect((await second)?.fence).toBeGreaterThan(lock?.fence ?? Number.POSITIVE_INFINITY);
      }
    } finally {
      await proxy.stop();
    }
  });

  test('serves those who ask while the first of all waiters is still opening it', async () => {
    const proxy = await startProxy(server().address);
    try {
      for (let i = 0; i < 3; i++) {
        const locker = lockerOn(proxy);
        const key = newKey();
        const holder = await locker.obtain(key, '1m');
        proxy.delay(5);
        const waiters: Promise<Lock | null>[] = [];
        for (let n = 0; n < 40; n++) {
          waiters.push(locker.obtain(key, '1m', '20s'));
          await sleep(2);
        }
        proxy.delay(0);
        await waitersOf(locker, key, 40);
        await holder?.release();
        const outcomes = await Promise.all(
          waiters.map(async (waiter) => {
            const lock = await waiter;
            return lock !== null && (await lock.release());
          }),
        );
        expect(outcomes).toEqual(outcomes.map(() => true));
      }
    } finally {
      await proxy.stop();
    }
  });
});

describe('a waiter that leaves', () => {
  test('because its time is over is passed over', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const holder = await locker.obtain(key, '1m');
    const brief = locker.obtain(key, '1m', 100);
    await waitersOf(locker, key, 1);
    const patient = locker.obtain(key, '1m', '10s');
    expect(await brief).toBeNull();
    await waitersOf(locker, key, 1);
    await holder?.release();
    expect(await patient).not.toBeNull();
  });

  test('because it is aborted is passed over, in its process and in another', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    for (const [locker, other] of [
      [a, a],
      [a, b],
    ] as const) {
      const key = newKey();
      const holder = await locker.obtain(key, '1m');
      const abort = new AbortController();
      const leaving = failure(locker.obtain(key, '1m', '10s', { signal: abort.signal }));
      await waitersOf(locker, key, 1);
      const staying = other.obtain(key, '1m', '10s');
      await waitersOf(locker, key, 2);
      abort.abort();
      expect(await leaving).toBeInstanceOf(AbortError);
      await waitersOf(locker, key, 1);
      await holder?.release();
      expect(await (await staying)?.release()).toBe(true);
    }
  });

  test.each([
    ['a free', 1],
    ['a held', 1],
    ['a free', 3],
    ['a held', 3],
  ])('%s lock at once, in the turn in which it asked, leaves nothing behind, with %i lanes', async (how, lanes) => {
    const locker = lockerOn(server(), { pool: { lanes } });
    // Whoever waited once has the queue open: it asks in the turn of the call.
    const warm = newKey();
    await locker.obtain(warm, '1m');
    await locker.obtain(warm, '1m', 20);
    const near = lockerOn(server());
    for (let hops = 0; hops < 12; hops++) {
      const key = newKey();
      const holder = how === 'a free' ? null : await near.obtain(key, '1m');
      const abort = new AbortController();
      const waits = failure(locker.obtain(key, '1m', '10s', { signal: abort.signal }));
      for (let i = 0; i < hops; i++) await undefined;
      abort.abort();
      expect(await waits).toBeInstanceOf(AbortError);
      // What it had sent is answered before this is.
      await Promise.all(Array.from({ length: lanes }, () => locker.inspect(warm)));
      await eventually(async () => {
        expect(await near.inspect(key)).toMatchObject({ held: holder !== null, waiting: 0 });
      });
      await holder?.release();
      expect(await near.obtain(key, '1m')).not.toBeNull();
    }
  });

  test('passes on what it was handed while it left', async () => {
    const proxy = await startProxy(server().address);
    try {
      const [far, near] = [lockerOn(proxy), lockerOn(server())];
      const key = newKey();
      for (let i = 0; i < 10; i++) {
        const holder = await near.obtain(key, '1m', '5s');
        const abort = new AbortController();
        const leaving = failure(far.obtain(key, '1m', '10s', { signal: abort.signal }));
        await waitersOf(near, key, 1);
        const next = near.obtain(key, '1m', '10s');
        await waitersOf(near, key, 2);
        // What it says and hears takes its time: it is handed the lock before it is known to leave.
        proxy.delay(30);
        await holder?.release();
        abort.abort();
        expect(await leaving).toBeInstanceOf(AbortError);
        const lock = await next;
        proxy.delay(0);
        expect(await lock?.release()).toBe(true);
      }
    } finally {
      await proxy.stop();
    }
  });

  test('gets the lock all the same if it was handed over before its time was up', async () => {
    const proxy = await startProxy(server().address);
    try {
      const [far, near] = [lockerOn(proxy), lockerOn(server())];
      const key = newKey();
      const holder = await near.obtain(key, '1m');
      const late = far.obtain(key, '1m', 400);
      await waitersOf(near, key, 1);
      proxy.delay(0, 400);
      await holder?.release();
      const lock = await late;
      expect(lock?.held).toBe(true);
      expect((await near.inspect(key)).fence).toBe(lock?.fence);
    } finally {
      await proxy.stop();
    }
  });

  test('while Redis cannot be reached leaves as soon as it can be', async () => {
    const proxy = await startProxy(server().address);
    try {
      const [far, near] = [lockerOn(proxy, { commandTimeout: 300 }), lockerOn(server())];
      const key = newKey();
      const holder = await near.obtain(key, '1m');
      const abort = new AbortController();
      const leaving = failure(far.obtain(key, '1m', '1m', { signal: abort.signal }));
      await waitersOf(near, key, 1);
      proxy.blackhole(true);
      abort.abort();
      expect(await leaving).toBeInstanceOf(AbortError);
      await sleep(400);
      proxy.cutAll();
      proxy.blackhole(false);
      await waitersOf(near, key, 0);
      await holder?.release();
      expect(await near.obtain(key, '1m')).not.toBeNull();
    } finally {
      await proxy.stop();
    }
  });

  test('is forgotten also if its signal aborted while the queue was being opened', async () => {
    const proxy = await startProxy(server().address);
    try {
      for (const abortAfter of [10, 60, 110, 160, 210]) {
        const locker = lockerOn(proxy);
        const key = newKey();
        proxy.delay(0);
        const holder = await locker.obtain(key, '1m');
        proxy.delay(25);
        const abort = new AbortController();
        const startedAt = performance.now();
        const waits = failure(locker.obtain(key, '1m', '20s', { signal: abort.signal }));
        await sleep(abortAfter);
        abort.abort();
        expect(await waits).toBeInstanceOf(AbortError);
        expect(performance.now() - startedAt).toBeLessThan(2_000);
        await holder?.release();
        await eventually(async () => {
          expect(await locker.inspect(key)).toMatchObject({ held: false, waiting: 0 });
        });
      }
    } finally {
      await proxy.stop();
    }
  });
});

test.each(['x', 's'])(
  'who may not send messages cannot hand over, and takes nobody his place: kind %s',
  async (kind) => {
    const key = newKey();
    const all = lockerOn(server());
    await server().cli('ACL', 'SETUSER', 'silent', 'on', '>secret', '~*', '+@all', '-publish');
    const silent = lockerOn(server(), { username: 'silent', password: 'secret' });
    const obtain = (locker: Locker, waitTimeout: number) =>
      kind === 'x' ? locker.obtain(key, '1m', waitTimeout) : locker.semaphore(key, 1).obtain('1m', waitTimeout);
    const lock = await obtain(silent, 0);
    const waiter = obtain(all, 60_000);
    await waitersOf(all, key, 1);
    expect(await failure(lock?.release() as Promise<boolean>)).toMatchObject({ replyCode: 'NOPERM' });
    expect(await all.inspect(key)).toMatchObject({ waiting: 1 });
    await server().cli('DEL', key);
    expect(await server().cli('PTTL', `lagoon:locks:${key}`)).toBeGreaterThan(0);
    // Whoever asks serves who was there before.
    expect(await obtain(lockerOn(server()), 0)).toBeNull();
    expect(await (await waiter)?.release()).toBe(true);
  },
);

test('what is granted before a message cannot be sent is not held for nobody', async () => {
  const key = newKey();
  const [all, other] = [lockerOn(server()), lockerOn(server())];
  await server().cli('ACL', 'SETUSER', 'silent', 'on', '>secret', '~*', '&*', '+@all', '-publish');
  const silent = lockerOn(server(), { username: 'silent', password: 'secret' });
  const held = await all.readWriteLock(key).obtainRead('1m');
  const writer = failure(silent.readWriteLock(key).obtainWrite('1m', 300));
  await waitersOf(all, key, 1);
  const reader = failure(silent.readWriteLock(key).obtainRead('1m', '30s'));
  await waitersOf(all, key, 2);
  const last = other.readWriteLock(key).obtainRead('1m', '30s');
  await waitersOf(all, key, 3);
  // The writer gives up: its own reader is next, and then one who cannot be told.
  expect(await writer).toMatchObject({ replyCode: 'NOPERM' });
  const since = performance.now();
  expect(await reader).toMatchObject({ replyCode: 'NOPERM' });
  expect(performance.now() - since).toBeLessThan(5_000);
  expect(await held?.release()).toBe(true);
  expect(await (await last)?.release()).toBe(true);
  expect(await all.inspect(key)).toMatchObject({ held: false, waiting: 0 });
});
