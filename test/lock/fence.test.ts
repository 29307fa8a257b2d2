import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Lock } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { lockerOn, newKey, waitersOf } from './support.js';

const server = useRedis();
const BOOK = 'lagoon:locks';

function expectToGrow(fences: readonly (number | undefined)[]): void {
  for (const [i, fence] of fences.entries()) {
    expect(Number.isSafeInteger(fence)).toBe(true);
    if (i > 0) expect(fence).toBeGreaterThan(fences[i - 1] as number);
  }
}

test('grows strictly over release, expiry, hand-over and a plain DEL', async () => {
  const [a, b] = [lockerOn(server()), lockerOn(server())];
  const key = newKey();
  const fences: (number | undefined)[] = [];
  for (let i = 0; i < 50; i++) {
    const lock = await (i % 2 ? a : b).obtain(key, '1m');
    fences.push(lock?.fence);
    await lock?.release();
  }
  const first = await a.obtain(key, 400);
  const expired = await b.obtain(key, '1m', '5s');
  const handed = a.obtain(key, '1m', '5s');
  await waitersOf(a, key, 1);
  await expired?.release();
  fences.push(first?.fence, expired?.fence, (await handed)?.fence);
  await server().cli('DEL', key);
  fences.push((await b.obtain(key, '1m'))?.fence);
  expectToGrow(fences);
});

test('grows strictly for 100 who wait, and over every kind of claim on a key', async () => {
  const lockers = [lockerOn(server()), lockerOn(server())];
  const key = newKey();
  const fences: number[] = [];
  const take = async (claim: Promise<Lock | null>) => {
    const lock = await claim;
    fences.push(lock?.fence as number);
    await lock?.release();
  };
  await Promise.all(Array.from({ length: 100 }, (_, i) => take(lockers[i % 2]?.obtain(key, '1m', '20s') as never)));
  const locker = lockers[0] as (typeof lockers)[0];
  await take(locker.obtain([newKey(), key], '1m'));
  await take(locker.semaphore(key, 2).obtain('1m'));
  await take(locker.readWriteLock(key).obtainWrite('1m'));
  await take(locker.readWriteLock(key).obtainRead('1m'));
  await take(locker.obtain(key, '1m'));
  expect(fences.length).toBe(105);
  expectToGrow(fences);
});

test('is seeded from the clock of the server, in microseconds', async () => {
  const [seconds, micros] = (await server().cli('TIME')) as [string, string];
  const lock = await lockerOn(server()).obtain(newKey(), '1m');
  const clock = Number(seconds) * 1e6 + Number(micros);
  expect(lock?.fence).toBeGreaterThanOrEqual(clock);
  expect(lock?.fence).toBeLessThan(clock + 5e6);
});

test('grows strictly across FLUSHALL, and across SCRIPT FLUSH', async () => {
  const locker = lockerOn(server());
  const key = newKey();
  const fences: (number | undefined)[] = [];
  for (const command of ['FLUSHALL', 'FLUSHALL', 'SCRIPT FLUSH', 'FLUSHALL', 'FLUSHDB']) {
    fences.push((await locker.obtain(key, '1m'))?.fence);
    await server().cli(...(command.split(' ') as [string]));
    await server().cli('DEL', key);
  }
  expectToGrow(fences);
});

test('grows strictly when the server was killed and starts again with nothing', async () => {
  const locker = lockerOn(server());
  const key = newKey();
  const fences: (number | undefined)[] = [];
  for (let i = 0; i < 2; i++) {
    fences.push((await locker.obtain(key, '1m'))?.fence);
    await server().kill();
    await server().restart();
    await eventually(async () => (await failure(locker.inspect(key))) === undefined);
  }
  fences.push((await locker.obtain(key, '1m'))?.fence);
  expectToGrow(fences);
});

test("grows strictly when the server's clock goes back", async () => {
  const [a, b] = [lockerOn(server()), lockerOn(server())];
  const key = newKey();
  const fences: (number | undefined)[] = [];
  const before = await a.obtain(key, '1m');
  fences.push(before?.fence);
  await before?.release();
  // What the book would say if the clock was an hour ahead when it was last written.
  const ahead = (BigInt(before?.fence ?? 0) + 3_600_000_000n).toString();
  await server().cli('SET', BOOK, ahead);
  for (let i = 0; i < 5; i++) {
    const lock = await a.obtain(key, '1m');
    fences.push(lock?.fence);
    await lock?.release();
  }
  expect(fences[1]).toBeGreaterThan(Number(ahead));
  const holder = await a.obtain(key, 300);
  fences.push(holder?.fence);
  const waiters = [b.obtain(key, '1m', '5s')];
  await waitersOf(a, key, 1);
  waiters.push(a.obtain(key, '1m', '5s'));
  await waitersOf(a, key, 2);
  for (const waiter of waiters) {
    const lock = await waiter;
    fences.push(lock?.fence);
    await lock?.release();
  }
  fences.push((await a.obtain([key, newKey()], '1m'))?.fence);
  expectToGrow(fences);
  await server().cli('DEL', BOOK);
});

test('of one lock stays the same through refresh and renewal, and inspect tells it', async () => {
  const locker = lockerOn(server());
  const lock = (await locker.obtain(newKey(), 400, 0, { autoRenew: true })) as Lock;
  const { fence } = lock;
  await lock.refresh(500);
  await sleep(700);
  expect(lock.fence).toBe(fence);
  expect((await locker.inspect(lock.key)).fence).toBe(fence);
});
