import { describe, expect, test } from 'vitest';
import { connectionsOf } from '../pool/support.js';
import { eventually } from '../support/eventually.js';
import { useRedis } from '../support/redis.js';
import { channels, lockerOn, newKey, servedInTurn, startContender, waitersOf } from './support.js';

const server = useRedis();

describe('real processes', () => {
  test('get the lock in the order in which they asked', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const contenders = await Promise.all([1, 2, 3].map(() => startContender(server())));
    const { order, fences } = await servedInTurn(locker, key, 15, (i) => contenders[i % 3]);
    expect(order).toEqual(Array.from({ length: 15 }, (_, i) => i));
    expect(fences).toEqual([...fences].sort((a, b) => a - b));
  });

  test('are passed over if they were killed, those behind them wait no longer', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const [doomed, other] = await Promise.all([startContender(server()), startContender(server())]);
    const holder = await locker.obtain(key, '1m');
    void doomed.obtain(key, 60_000, 20_000).catch(() => undefined);
    void doomed.obtain(key, 60_000, 20_000).catch(() => undefined);
    await waitersOf(locker, key, 2);
    const alive = other.obtain(key, 60_000, 20_000);
    await waitersOf(locker, key, 3);
    await doomed.kill();
    // The server reads of the closed connection when it gets to it: then only the other's is left.
    await eventually(async () => (await channels(server())).length === 1);
    const releasedAt = performance.now();
    await holder?.release();
    expect(await alive).not.toBeNull();
    expect(performance.now() - releasedAt).toBeLessThan(500);
  });

  test.each([
    ['it took the lock at once', 60_000],
    ['it was handed the lock of one who would have kept it longer', 30_000],
  ])('delay the queue by their TTL and no more if they crash as holders: %s', async (how, ttl) => {
    const locker = lockerOn(server());
    const key = newKey();
    const doomed = await startContender(server());
    const first = how.startsWith('it was') ? await locker.obtain(key, ttl) : undefined;
    const taken = doomed.obtain(key, 700, 20_000);
    if (first) await waitersOf(locker, key, 1);
    else await taken;
    const waiters = [locker.obtain(key, '1m', '20s'), locker.obtain(key, '1m', '20s')];
    await waitersOf(locker, key, first ? 3 : 2);
    await first?.release();
    expect(await taken).not.toBeNull();
    const takenAt = performance.now();
    await doomed.kill();
    const lock = await waiters[0];
    expect(performance.now() - takenAt).toBeLessThan(700 + 400);
    await lock?.release();
    expect(await (await waiters[1])?.release()).toBe(true);
  });
});

describe('waiting', () => {
  test('takes one connection of the pool, however many wait and on however many keys', async () => {
    const locker = lockerOn(server(), { clientName: 'waiting' });
    const keys = Array.from({ length: 20 }, () => newKey());
    const holders = await Promise.all(keys.map((key) => locker.obtain(key, '1m')));
    const waiters = keys.flatMap((key) => [locker.obtain(key, '1m', '20s'), locker.obtain(key, '1m', '20s')]);
    for (const key of keys) await waitersOf(locker, key, 2);
    const connections = await connectionsOf(server(), 'waiting');
    expect(connections.length).toBe(2);
    expect(connections.filter(({ sub }) => Number(sub) > 0).length).toBe(1);
    await Promise.all(holders.map((holder) => holder?.release()));
    for (const waiter of waiters) await (await waiter)?.release();
  });
});
