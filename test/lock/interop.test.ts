import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useRedis } from '../support/redis.js';
import { lockerOn, newKey, waitersOf } from './support.js';

const server = useRedis();

/* What services in other languages do: SET NX PX with a token, and DEL if the value is theirs. */
const RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

describe('a client that knows nothing of Lagoon', () => {
  let foreign: ReturnType<typeof createClient>;
  beforeAll(async () => {
    foreign = createClient({ url: server().url });
    await foreign.connect();
  });
  afterAll(() => foreign.close());

  const set = (key: string, token: string, PX = 60_000) => foreign.set(key, token, { NX: true, PX });
  const del = (key: string, token: string) => foreign.eval(RELEASE, { keys: [key], arguments: [token] });

  test('is refused a key that Lagoon holds, and gets it after', async () => {
    const key = newKey();
    const lock = await lockerOn(server()).obtain(key, '1m');
    expect(await set(key, 'theirs')).toBeNull();
    expect(await del(key, 'theirs')).toBe(0);
    await lock?.release();
    expect(await set(key, 'theirs')).toBe('OK');
  });

  test('is refused a key on each of several that Lagoon holds', async () => {
    const keys = [newKey(), newKey()];
    const lock = await lockerOn(server()).obtain(keys, '1m');
    for (const key of keys) expect(await set(key, 'theirs')).toBeNull();
    await lock?.release();
    for (const key of keys) expect(await set(key, 'theirs')).toBe('OK');
  });

  test("finds the token at the beginning of the key's value, and an expiry", async () => {
    const key = newKey();
    const lock = await lockerOn(server()).obtain(key, '1m');
    const value = await foreign.get(key);
    expect(value?.startsWith(lock?.token ?? '?')).toBe(true);
    expect(await foreign.pTTL(key)).toBeGreaterThan(50_000);
    expect(await foreign.pTTL(key)).toBeLessThanOrEqual(60_000);
    // One who knows the token and the way to compare can release it.
    expect(await del(key, value as string)).toBe(1);
    expect(await lock?.ttl()).toBe(0);
  });

  test('excludes Lagoon', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await set(key, 'theirs');
    expect(await locker.obtain(key, '1m')).toBeNull();
    expect(await locker.obtain(key, '1m', 50)).toBeNull();
    expect(await locker.obtain([newKey(), key], '1m', 50)).toBeNull();
    expect(await foreign.get(key)).toBe('theirs');
    expect(await locker.inspect(key)).toMatchObject({ held: true, fence: undefined, waiting: 0 });
  });

  test('is noticed within 500 ms after a plain DEL, by the first of those who wait', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const delays: number[] = [];
    for (let i = 0; i < 4; i++) {
      const key = newKey();
      await set(key, 'theirs');
      const first = a.obtain(key, '1m', '10s');
      await waitersOf(a, key, 1);
      const second = b.obtain(key, '1m', '10s');
      await waitersOf(a, key, 2);
      await sleep(70 * i);
      const deletedAt = performance.now();
      await foreign.del(key);
      const lock = await first;
      delays.push(performance.now() - deletedAt);
      expect(await lock?.release()).toBe(true);
      expect(await (await second)?.release()).toBe(true);
    }
    expect(Math.max(...delays)).toBeLessThan(500);
  });

  test('is noticed by one who wants several keys, and when it set no expiry', async () => {
    const locker = lockerOn(server());
    const keys = [newKey(), newKey()];
    await foreign.set(keys[1] as string, 'theirs');
    const lock = locker.obtain(keys, '1m', '10s');
    await waitersOf(locker, keys[0] as string, 1);
    const deletedAt = performance.now();
    await foreign.del(keys[1] as string);
    expect(await lock).not.toBeNull();
    expect(performance.now() - deletedAt).toBeLessThan(500);
  });

  test('is noticed when it expires', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await set(key, 'theirs', 300);
    const startedAt = performance.now();
    expect(await locker.obtain(key, '1m', '10s')).not.toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(300 + 300);
  });

  test('is noticed also if it took the key from a Lagoon holder that expired', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const ours = await locker.obtain(key, '1m');
    const waiter = locker.obtain(key, '1m', '10s');
    await waitersOf(locker, key, 1);
    await ours?.refresh(250);
    // In the moment of the expiry, before anybody else could ask.
    await foreign.set(key, 'theirs', { PX: 60_000 });
    await sleep(400);
    const deletedAt = performance.now();
    await foreign.del(key);
    expect(await waiter).not.toBeNull();
    expect(performance.now() - deletedAt).toBeLessThan(500);
  });

  test('and Lagoon never hold a key together', async () => {
    const lockers = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    let inside = 0;
    let most = 0;
    const hold = async () => {
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside--;
    };
    const ours = lockers.flatMap((locker) =>
      [1, 2, 3].map(async () => {
        for (let i = 0; i < 8; i++) {
          const lock = await locker.obtain(key, '1m', '20s');
          await hold();
          await lock?.release();
        }
      }),
    );
    let done = false;
    const theirs = (async () => {
      for (let n = 0; !done; n++) {
        if ((await set(key, `theirs ${n}`)) === 'OK') {
          await hold();
          await foreign.del(key);
        }
        await sleep(1);
      }
    })();
    await Promise.all(ours);
    done = true;
    await theirs;
    expect(most).toBe(1);
  });
});
