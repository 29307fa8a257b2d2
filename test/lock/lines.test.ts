import { describe, expect, test } from 'vitest';
import type { Lock } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, startProxy, useRedis } from '../support/redis.js';
import { lockerOn, newKey, poolOn, waitersOf } from './support.js';

// Of those who wait at one place in one process the first looks for all.
const server = useRedis();

/** Ends with the lock for each, one after the other. */
async function served(waits: readonly Promise<Lock | null>[]): Promise<void> {
  for (const wait of waits) expect(await (await wait)?.release()).toBe(true);
}

/** A locker that has waited before, so that it queues its next claims at once. */
async function lockerThatWaited(address: { address: string }) {
  const locker = lockerOn(address);
  const key = newKey();
  const holder = await locker.obtain(key, '1m');
  const wait = locker.obtain(key, '1m', '10s');
  await waitersOf(locker, key, 1);
  await holder?.release();
  await served([wait]);
  return locker;
}

test('the next one looks when the first is about to leave', async () => {
  const proxy = await startProxy(server().address);
  try {
    const locker = await lockerThatWaited(proxy);
    const key = newKey();
    await server().cli('SET', key, 'of a stranger');
    proxy.delay(50, 50);
    // A stranger's key is looked at every 300 ms: just when the first is on its way out of the queue.
    const first = locker.obtain(key, '1m', 350);
    const second = locker.obtain(key, '1m', '10s');
    expect(await first).toBeNull();
    proxy.delay(0);
    await server().cli('DEL', key);
    const deletedAt = performance.now();
    await served([second]);
    expect(performance.now() - deletedAt).toBeLessThan(2_000);
  } finally {
    await proxy.stop();
  }
});

test('of keys that are several and of one that looks like them each is a line of its own', async () => {
  const [locker, other] = [lockerOn(server()), lockerOn(server())];
  const [x, y] = [newKey(), newKey()];
  const both = `${x}\0${y}`;
  const holder = await other.obtain(both, '1m', 0, { autoRenew: true });
  await other.obtain(x, '1s');
  const behind = locker.obtain(both, '1m', '20s');
  await waitersOf(other, both, 1);
  const askedAt = performance.now();
  await served([locker.obtain([x, y], '1m', '10s')]);
  expect(performance.now() - askedAt).toBeLessThan(5_000);
  await holder?.release();
  await served([behind]);
});

describe('all are in the queue again', () => {
  test('when the requests of all were lost', async () => {
    const [locker, other] = [await lockerThatWaited(server()), lockerOn(server())];
    const key = newKey();
    const holder = await other.obtain(key, '1m');
    await server().cli('CLIENT', 'PAUSE', '5000', 'WRITE');
    const waits = [1, 2, 3].map(() => locker.obtain(key, '1m', '20s'));
    const late = [1, 2].map(() => failure(locker.obtain(key, '1m', '2s')));
    await eventually(async () => /blocked_clients:[1-9]/.test(String(await server().cli('INFO', 'clients'))));
    // The lanes, and not the subscription.
    await server().cli('CLIENT', 'KILL', 'TYPE', 'normal');
    await server().cli('CLIENT', 'UNPAUSE');
    await waitersOf(other, key, 5);
    // Not obtained, and nothing else: Redis could be asked.
    expect(await Promise.all(late)).toEqual([undefined, undefined]);
    await holder?.release();
    await served(waits);
  });

  test('when there was no connection at first to listen on', async () => {
    const pool = poolOn(server(), { pool: { lanes: 1, max: 2, acquireTimeout: 300 } });
    const other = lockerOn(server());
    const key = newKey();
    const holder = await other.obtain(key, '1m');
    let waits: Promise<Lock | null>[] = [];
    await pool.isolated(async () => {
      waits = [1, 2, 3].map(() => pool.getLocker().obtain(key, '1m', '20s'));
      await eventually(() => pool.stats().leases.waiting > 0);
      await eventually(() => pool.stats().leases.waiting === 0);
    });
    await waitersOf(other, key, 3);
    await holder?.release();
    await served(waits);
  });

  test('when Redis has lost the queue', async () => {
    const [locker, other] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    await other.obtain(key, 700);
    const waits = [1, 2, 3].map(() => locker.obtain(key, '1m', '20s'));
    await waitersOf(other, key, 3);
    await server().cli('FLUSHALL');
    const holder = await other.obtain(key, '1m');
    await waitersOf(other, key, 3);
    await holder?.release();
    await served(waits);
  });
});
