import { describe, expect, test } from 'vitest';
import type { Lock } from '../../src/index.js';
import { engineOn, failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { channels, lockerOn, newKey, startContender, waitersOf } from './support.js';

const server = useRedis();

describe('a lock on several keys', () => {
  test('holds all of them, with one fence, and gives all of them back', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const keys = [newKey(), newKey(), newKey()];
    const lock = await a.obtain(keys, '1m', 0, { metadata: 'all' });
    expect(lock).toMatchObject({ key: keys[0], keys });
    for (const key of keys) {
      expect(await b.obtain(key, '1m')).toBeNull();
      expect(await b.inspect(key)).toMatchObject({ held: true, fence: lock?.fence });
    }
    expect(await lock?.refresh('2m')).toBe(true);
    for (const key of keys) expect((await b.inspect(key)).ttl).toBeGreaterThan(60_000);
    expect(await lock?.ttl()).toBeGreaterThan(60_000);
    expect(await lock?.release()).toBe(true);
    expect(await lock?.release()).toBe(false);
    for (const key of keys) expect(await b.inspect(key)).toMatchObject({ held: false, waiting: 0 });
  });

  test('is all or nothing: if one key is held, none is taken', async () => {
    const locker = lockerOn(server());
    const keys = [newKey(), newKey(), newKey()];
    await locker.obtain(keys[1] as string, '1m');
    expect(await locker.obtain(keys, '1m')).toBeNull();
    expect(await locker.obtain(keys, '1m', 50)).toBeNull();
    expect(await locker.inspect(keys[0] as string)).toMatchObject({ held: false, waiting: 0 });
    expect(await locker.inspect(keys[2] as string)).toMatchObject({ held: false, waiting: 0 });
  });

  test('is lost when one of them is, and gives the others back', async () => {
    const locker = lockerOn(server());
    const keys = [newKey(), newKey()];
    const lock = await locker.obtain(keys, '1m');
    await server().cli('DEL', keys[1] as string);
    expect(await lock?.ttl()).toBe(0);
    expect(await lock?.refresh('1m')).toBe(false);
    expect(lock?.signal.aborted).toBe(true);
    expect(await lock?.release()).toBe(false);
    expect((await locker.inspect(keys[0] as string)).held).toBe(false);
  });

  test('is not taken from another by a release of one who lost it', async () => {
    const locker = lockerOn(server());
    const keys = [newKey(), newKey()];
    const lost = await locker.obtain(keys, '1m');
    await server().cli('DEL', ...(keys as [string]));
    const lock = await locker.obtain(keys, '1m');
    expect(await lost?.release()).toBe(false);
    expect(await lock?.ttl()).toBeGreaterThan(0);
  });

  test('waits in the queue of each, in order with those who want one', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const [x, y] = [newKey(), newKey()];
    const [onX, onY] = [await a.obtain(x, '1m'), await a.obtain(y, '1m')];
    const order: string[] = [];
    const take = async (name: string, waiter: Promise<Lock | null>) => {
      const lock = await waiter;
      order.push(lock ? name : `${name} got nothing`);
      await lock?.release();
    };
    const all = [take('both', b.obtain([x, y], '1m', '20s'))];
    await waitersOf(a, x, 1);
    all.push(take('x', a.obtain(x, '1m', '20s')));
    await waitersOf(a, x, 2);
    await onX?.release();
    // x is free, and promised: nobody may slip in.
    expect(await a.obtain(x, '1m')).toBeNull();
    expect(order).toEqual([]);
    await onY?.release();
    await Promise.all(all);
    expect(order).toEqual(['both', 'x']);
    for (const key of [x, y]) expect(await a.inspect(key)).toMatchObject({ held: false, waiting: 0 });
  });

  test('lets those behind it go on when it leaves', async () => {
    const locker = lockerOn(server());
    const [x, y] = [newKey(), newKey()];
    await locker.obtain(y, '1m');
    const abort = new AbortController();
    const both = failure(locker.obtain([x, y], '1m', '20s', { signal: abort.signal }));
    await waitersOf(locker, x, 1);
    const single = locker.obtain(x, '1m', '20s');
    await waitersOf(locker, x, 2);
    abort.abort();
    await both;
    expect(await single).not.toBeNull();
    expect(await locker.inspect(y)).toMatchObject({ waiting: 0 });
  });

  test('of a process that is gone is passed over at every key', async () => {
    const locker = lockerOn(server());
    const doomed = await startContender(server());
    const [x, y] = [newKey(), newKey()];
    const [onX, onY] = [await locker.obtain(x, '1m'), await locker.obtain(y, '1m')];
    void doomed.obtain([x, y], 60_000, 20_000).catch(() => undefined);
    await waitersOf(locker, x, 1);
    const single = locker.obtain(y, '1m', '20s');
    await waitersOf(locker, y, 2);
    await onY?.release();
    await doomed.kill();
    const startedAt = performance.now();
    // The server has read of the closed connection.
    await eventually(async () => (await channels(server())).length === 1);
    await onX?.release();
    expect(await single).not.toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(await locker.inspect(x)).toMatchObject({ held: false, waiting: 0 });
  });

  test('of a process that is gone does not keep others from the keys that are free for long', async () => {
    const locker = lockerOn(server());
    const doomed = await startContender(server());
    const [x, y, z] = [newKey(), newKey(), newKey()];
    await locker.obtain(y, '1m');
    const onZ = await locker.obtain(z, '1m');
    void doomed.obtain([x, y], 60_000, 60_000).catch(() => undefined);
    void doomed.obtain([z, x], 60_000, 60_000).catch(() => undefined);
    await waitersOf(locker, x, 2);
    const behind = locker.obtain([x, z], '1m', '1m');
    await waitersOf(locker, z, 2);
    await doomed.kill();
    await eventually(async () => (await channels(server())).length === 1);
    await onZ?.release();
    // Who asks finds out, for all.
    const next = locker.obtain(x, '1m', '30s');
    const askedAt = performance.now();
    await (await behind)?.release();
    expect(await (await next)?.release()).toBe(true);
    expect(performance.now() - askedAt).toBeLessThan(10_000);
    for (const key of [x, y, z]) expect(await locker.inspect(key)).toMatchObject({ waiting: 0 });
  });

  test('of a process that is gone are passed over in one step, however many, and not asked for one by one', async () => {
    const locker = lockerOn(server());
    const doomed = engineOn(server().address);
    const keys = Array.from({ length: 20 }, () => newKey());
    const [x, y] = [keys[0] as string, keys[1] as string];
    await locker.obtain(y, '1m');
    const waits = Array.from({ length: 50 }, () => failure(doomed.getRedis().getLocker().obtain(keys, '1m', '1m')));
    await waitersOf(locker, y, 50);
    const behind = lockerOn(server()).obtain(keys, '1m', '1m');
    await waitersOf(locker, y, 51);
    const listening = await channels(server());
    await doomed.close();
    await Promise.all(waits);
    await eventually(async () => (await channels(server())).length === 1);
    const [left] = await channels(server());
    const gone = listening.find((channel) => channel !== left);
    await server().cli('SET', `lagoon:locks?${gone}`, '1');
    await server().cli('CONFIG', 'RESETSTAT');
    expect(await locker.obtain(x, '1m')).toBeNull();
    expect((await locker.inspect(x)).waiting).toBe(1);
    const published = /cmdstat_publish:calls=(\d+)/.exec(String(await server().cli('INFO', 'commandstats')))?.[1];
    // One question for each of the two processes, and to each of the fifty that it should look, here and at replicas.
    expect(Number(published)).toBeLessThanOrEqual(2 + 2 * 50);
    await server().cli('DEL', y);
    expect(await (await behind)?.release()).toBe(true);
  });

  test('gets them when their holders expire, one after the other', async () => {
    const locker = lockerOn(server());
    const [x, y, z] = [newKey(), newKey(), newKey()];
    await locker.obtain(x, 150);
    await locker.obtain(y, 400);
    const startedAt = performance.now();
    const lock = await locker.obtain([x, y, z], '1m', '10s');
    expect(lock).not.toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(400 + 400);
  });

  test('cannot deadlock with others that name the keys in another order', async () => {
    const lockers = [lockerOn(server()), lockerOn(server())] as const;
    const keys = [newKey(), newKey(), newKey()];
    const inside = new Map<string, number>();
    let most = 0;
    const worker = async (n: number) => {
      for (let i = 0; i < 15; i++) {
        const wanted = [0, 1, 2].map((k) => keys[(k + n + i) % 3] as string).slice(0, 1 + ((n + i) % 3));
        if (i % 2) wanted.reverse();
        const lock = await lockers[(n % 2) as 0].obtain(wanted, '1m', '20s');
        expect(lock).not.toBeNull();
        for (const key of wanted) {
          inside.set(key, (inside.get(key) ?? 0) + 1);
          most = Math.max(most, inside.get(key) ?? 0);
        }
        await new Promise(setImmediate);
        for (const key of wanted) inside.set(key, (inside.get(key) ?? 0) - 1);
        await lock?.release();
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, n) => worker(n)));
    expect(most).toBe(1);
    for (const key of keys) expect(await lockers[0].inspect(key)).toMatchObject({ held: false, waiting: 0 });
  });
});
