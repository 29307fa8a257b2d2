import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

/** Mutexes, read-write locks and semaphores. */
export function lockKinds(site: Site): void {
  const here = () => site.redis.getLocker();
  const elsewhere = () => site.elsewhere.getLocker();

  test('a mutex can be acquired again by whoever holds it', async () => {
    const key = site.key('mutex');
    const mutex = here().mutex(key, { ttl: '10s' });
    const other = elsewhere().mutex(key, { ttl: '10s' });
    expect(await mutex.acquire()).toBe(true);
    expect(await mutex.acquire()).toBe(true);
    expect(await other.acquire()).toBe(false);
    expect(mutex.lock?.fence).toBeGreaterThan(0);
    expect(await mutex.release()).toBe(true);
    expect(await other.acquire()).toBe(false);
    mutex.setExpire('1m');
    expect(await mutex.acquire()).toBe(true);
    expect(await mutex.lock?.ttl()).toBeGreaterThan(50_000);
    expect([await mutex.release(), await mutex.release(), await mutex.release()]).toEqual([true, true, false]);
    expect(await other.acquire()).toBe(true);
    expect(await other.release()).toBe(true);
  });

  test('a read-write lock has many readers or one writer', async () => {
    const key = site.key('read-write');
    const [ours, theirs] = [here().readWriteLock(key), elsewhere().readWriteLock(key)];
    const readers = [await ours.obtainRead('10s'), await theirs.obtainRead('10s')];
    expect(readers.every((lock) => lock?.held)).toBe(true);
    expect(await theirs.obtainWrite('10s')).toBeNull();
    const writing = theirs.obtainWrite('10s', '20s');
    // Who asks after a writer waits behind it, even if only readers hold the lock.
    await eventually(async () => {
      const early = await ours.obtainRead('10s');
      await early?.release();
      return early === null;
    });
    const reading = ours.obtainRead('10s', '20s');
    for (const lock of readers) expect(await lock?.release()).toBe(true);
    const writer = await writing;
    expect(writer?.held).toBe(true);
    expect(await ours.obtainRead('10s')).toBeNull();
    expect(await writer?.refresh('20s')).toBe(true);
    expect(await writer?.release()).toBe(true);
    expect(await (await reading)?.release()).toBe(true);
  });

  test('a semaphore has so many holders', async () => {
    const key = site.key('semaphore');
    const [ours, theirs] = [here().semaphore(key, 3), elsewhere().semaphore(key, 3)];
    const holders = [await ours.obtain('10s'), await theirs.obtain('10s'), await ours.obtain('10s')];
    expect(holders.every((lock) => lock?.held)).toBe(true);
    expect(new Set(holders.map((lock) => lock?.fence)).size).toBe(3);
    expect(await theirs.obtain('10s')).toBeNull();
    const waiters = [theirs.obtain('10s', '20s'), ours.obtain('10s', '20s')];
    expect(await holders[1]?.release()).toBe(true);
    expect(await holders[2]?.release()).toBe(true);
    const next = await Promise.all(waiters);
    expect(next.every((lock) => lock?.held)).toBe(true);
    expect(await ours.obtain('10s')).toBeNull();
    for (const lock of [holders[0], ...next]) expect(await lock?.release()).toBe(true);
  });

  test('a permit comes back when its time is over', async () => {
    const semaphore = here().semaphore(site.key('semaphore'), 1);
    const short = await eventually(() => semaphore.obtain(300));
    const next = await semaphore.obtain('10s', '10s');
    expect(next?.held).toBe(true);
    expect(await short?.release()).toBe(false);
    expect(await next?.release()).toBe(true);
  });

  test('inspect() tells who holds one', async () => {
    const [book, seats] = [site.key('read-write'), site.key('semaphore')];
    const [ours, theirs] = [here().readWriteLock(book), elsewhere().readWriteLock(book)];
    const locks = [
      await ours.obtainRead('10s', 0, { metadata: ' us' }),
      await theirs.obtainRead('20s', 0, { metadata: ' them' }),
      await here().semaphore(seats, 1).obtain('10s', 0, { metadata: ' us' }),
    ];
    const [us, them, seat] = locks.map((lock) => ({ value: `${lock?.token}${lock?.metadata}`, fence: lock?.fence }));
    const writing = theirs.obtainWrite('10s', '20s');
    await eventually(async () => (await here().inspect(book)).waiting === 1);
    expect(await here().inspect(book)).toMatchObject({
      held: true,
      fence: them?.fence,
      holders: [
        { kind: 'reader', ...us },
        { kind: 'reader', ...them },
      ],
    });
    expect((await elsewhere().inspect(book)).ttl).toBeGreaterThan(10_000);
    expect(await elsewhere().inspect(seats)).toMatchObject({ waiting: 0, holders: [{ kind: 'permit', ...seat }] });
    for (const lock of locks) expect(await lock?.release()).toBe(true);
    const writer = await writing;
    expect(await here().inspect(book)).toMatchObject({
      waiting: 0,
      holders: [{ kind: 'writer', fence: writer?.fence }],
    });
    await writer?.release();
    expect(await here().inspect(book)).toEqual({ held: false, ttl: 0, fence: undefined, waiting: 0, holders: [] });
  });
}
