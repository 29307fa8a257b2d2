import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { useRedis } from '../support/redis.js';
import { lockerOn, newKey } from './support.js';

const server = useRedis();

describe('a mutex', () => {
  test('is acquired by one object at a time', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const [a, b] = [locker.mutex(key, { ttl: '1m' }), locker.mutex(key, { ttl: '1m' })];
    expect(a.key).toBe(key);
    expect(await a.acquire()).toBe(true);
    expect(await b.acquire()).toBe(false);
    expect(await b.release()).toBe(false);
    expect(a.lock?.held).toBe(true);
    expect(b.lock).toBeUndefined();
    expect(await a.release()).toBe(true);
    expect(await b.acquire()).toBe(true);
  });

  test('is given back when it was released as often as it was acquired', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const mutex = locker.mutex(key, { ttl: '1m' });
    const held = async () => (await locker.inspect(key)).held;
    for (let i = 0; i < 3; i++) expect(await mutex.acquire()).toBe(true);
    const { lock } = mutex;
    for (let i = 0; i < 2; i++) {
      expect(await mutex.release()).toBe(true);
      expect(await held()).toBe(true);
      expect(mutex.lock).toBe(lock);
    }
    expect(await mutex.release()).toBe(true);
    expect(await held()).toBe(false);
    expect(await mutex.release()).toBe(false);
    expect(mutex.lock).toBeUndefined();
  });

  test('counts rightly when it is acquired and released at the same time', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const mutex = locker.mutex(key, { ttl: '1m' });
    expect(await Promise.all([1, 2, 3, 4, 5].map(() => mutex.acquire()))).toEqual([true, true, true, true, true]);
    expect(await Promise.all([1, 2, 3, 4].map(() => mutex.release()))).toEqual([true, true, true, true]);
    expect((await locker.inspect(key)).held).toBe(true);
    expect(await Promise.all([mutex.release(), mutex.release(), mutex.acquire()])).toEqual([true, false, true]);
    expect((await locker.inspect(key)).held).toBe(true);
    expect(await mutex.release()).toBe(true);
  });

  test('has its time set anew when it is acquired again', async () => {
    const key = newKey();
    const mutex = lockerOn(server()).mutex(key, { ttl: '10s' });
    await mutex.acquire();
    await server().cli('PEXPIRE', key, '2000');
    await mutex.acquire();
    expect(await mutex.lock?.ttl()).toBeGreaterThan(9_000);
    const fence = mutex.lock?.fence;
    await mutex.release();
    expect(mutex.lock?.fence).toBe(fence);
  });

  test('takes the time of setExpire from then on', async () => {
    const mutex = lockerOn(server()).mutex(newKey(), { ttl: '10s' });
    await mutex.acquire();
    mutex.setExpire('1m');
    expect(await mutex.lock?.ttl()).toBeLessThanOrEqual(10_000);
    await mutex.acquire();
    expect(await mutex.lock?.ttl()).toBeGreaterThan(50_000);
    mutex.setExpire(3_000);
    await mutex.acquire();
    expect(await mutex.lock?.ttl()).toBeLessThanOrEqual(3_000);
    await mutex.release();
    await mutex.release();
    await mutex.release();
    await mutex.acquire();
    expect(await mutex.lock?.ttl()).toBeLessThanOrEqual(3_000);
  });

  test('that was lost to another is not acquired again, and its release says so', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const mutex = locker.mutex(key, { ttl: '1m' });
    await mutex.acquire();
    await mutex.acquire();
    await server().cli('DEL', key);
    const other = await locker.obtain(key, '1m');
    expect(await mutex.acquire()).toBe(false);
    expect(mutex.lock).toBeUndefined();
    expect(await mutex.release()).toBe(false);
    expect(await other?.ttl()).toBeGreaterThan(0);
    await other?.release();
    expect(await mutex.acquire()).toBe(true);
    // The count began anew.
    expect(await mutex.release()).toBe(true);
    expect((await locker.inspect(key)).held).toBe(false);
  });

  test('that expired is acquired anew, with a greater fence and a count of one', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const mutex = locker.mutex(key, { ttl: 60 });
    await mutex.acquire();
    await mutex.acquire();
    const first = mutex.lock;
    await sleep(120);
    expect(mutex.lock).toBeUndefined();
    mutex.setExpire('1m');
    expect(await mutex.acquire()).toBe(true);
    expect(mutex.lock?.fence).toBeGreaterThan(first?.fence ?? Number.POSITIVE_INFINITY);
    expect(await mutex.release()).toBe(true);
    expect((await locker.inspect(key)).held).toBe(false);
  });

  test('whose time is over is not released', async () => {
    const mutex = lockerOn(server()).mutex(newKey(), { ttl: 40 });
    await mutex.acquire();
    await mutex.acquire();
    await sleep(80);
    expect(await mutex.release()).toBe(false);
    expect(await mutex.release()).toBe(false);
  });

  test('refuses a ttl that is no duration', async () => {
    const locker = lockerOn(server());
    expect(() => locker.mutex('key', { ttl: 0 })).toThrow(InvalidArgumentError);
    const mutex = locker.mutex('key', { ttl: '1s' });
    expect(() => mutex.setExpire('0ms')).toThrow(InvalidArgumentError);
    expect(() => mutex.setExpire(Number.NaN)).toThrow(InvalidArgumentError);
    expect(await failure(locker.mutex('', { ttl: '1s' }).acquire())).toBeInstanceOf(InvalidArgumentError);
  });

  test('goes on after a call that failed', async () => {
    const key = newKey();
    const locker = lockerOn(server());
    const mutex = locker.mutex(key, { ttl: '1m' });
    await server().cli('RPUSH', key, 'value');
    expect(await failure(mutex.acquire())).toMatchObject({ replyCode: 'WRONGTYPE' });
    await server().cli('DEL', key);
    expect(await mutex.acquire()).toBe(true);
  });
});
