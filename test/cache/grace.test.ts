import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { startGate } from './gate.js';
import { cacheOn, expectBetween, heldLoader, localCacheOn, type Probe } from './support.js';

const server = useRedis();
const GRACE = { grace: '1m' } as const;

/** Stores a value that is stale when this resolves. */
async function stale({ cache, pool, name }: Probe<unknown>, key = 'k'): Promise<void> {
  await cache.put(key, 'stale', { ttl: 10, grace: '1m' });
  await eventually(async () => (await pool.pTTL(name(key))) < 59_990);
}

describe.each([false, true])('a value in its grace (local: %s)', (local) => {
  const open = () => (local ? localCacheOn(server()) : Promise.resolve(cacheOn(server())));

  test('is none for get, has, getMany and getDel', async () => {
    const probe = await open();
    await stale(probe);
    expect(await probe.cache.get('k')).toBeUndefined();
    expect(await probe.cache.has('k')).toBe(false);
    expect(await probe.cache.getMany(['k'])).toEqual([undefined]);
    expect(await probe.cache.getDel('k')).toBeUndefined();
    expect(await probe.cache.keys()).toEqual([]);
  });

  test('serves while one loader refreshes it', async () => {
    const probe = await open();
    const { cache } = probe;
    await stale(probe);
    const loader = heldLoader<string>();
    const ask = () => cache.getOrSet('k', loader.load, { ...GRACE, ttl: '1m' });
    const values = await Promise.all(Array.from({ length: 100 }, ask));
    for (let i = 0; i < 5; i++) values.push(await ask());
    expect(new Set(values)).toEqual(new Set(['stale']));
    expect(loader.calls).toBe(1);
    loader.give('fresh');
    await eventually(async () => (await ask()) === 'fresh');
    expect(loader.calls).toBe(1);
    expect(await cache.get('k')).toBe('fresh');
    expect(cache.stats().staleServes).toBeGreaterThan(5);
  });

  test('serves only those who ask for it', async () => {
    const probe = await open();
    await stale(probe);
    expect(await probe.cache.getOrSet('k', () => 'fresh')).toBe('fresh');
    expect(probe.cache.stats().staleServes).toBe(0);
  });

  test('serves no longer than its grace', async () => {
    const { cache } = await open();
    const over = performance.now() + 70;
    await cache.put('k', 'stale', { ttl: 10, grace: 60 });
    await sleep(15);
    const fail = () => Promise.reject(new Error('no'));
    await eventually(async () => (await failure(cache.getOrSet('k', fail, { grace: 60 })))?.message === 'no', {
      interval: 1,
    });
    expectBetween(performance.now() - over, -1, 1_000);
  });

  test('serves while the loader fails, which is tried again after a back-off that doubles', async () => {
    const probe = await open();
    const { cache, events } = probe;
    await stale(probe);
    const calledAt: number[] = [];
    const error = new Error('no');
    const load = () => {
      calledAt.push(performance.now());
      return Promise.reject(error);
    };
    while (calledAt.length < 4) {
      expect(await cache.getOrSet('k', load, { ...GRACE, backoff: 30 })).toBe('stale');
      await sleep(1);
    }
    const gaps = calledAt.slice(1).map((at, i) => at - (calledAt[i] as number));
    for (const [i, gap] of gaps.entries()) expect(gap).toBeGreaterThanOrEqual(30 * 2 ** i - 1);
    expectBetween(gaps[2] as number, 119, 1_000);
    await eventually(() => events.filter(({ type }) => type === 'refresh-failed').length === 4);
    expect(events.find(({ type }) => type === 'refresh-failed')).toEqual({ type: 'refresh-failed', key: 'k', error });
  });

  test('is replaced once the loader works again, and its back-off begins anew', async () => {
    const probe = await open();
    const { cache, count } = probe;
    await stale(probe);
    const options = { ...GRACE, ttl: 10, backoff: 50 } as const;
    let works = false;
    let calls = 0;
    let calledAt = 0;
    const load = () => {
      calls++;
      calledAt = performance.now();
      return works ? 'fresh' : Promise.reject(new Error('no'));
    };
    while (calls < 3) {
      await cache.getOrSet('k', load, options);
      await sleep(1);
    }
    works = true;
    await eventually(async () => (await cache.getOrSet('k', load, options)) === 'fresh');
    works = false;
    const { length } = { length: count('refresh-failed') };
    await eventually(async () => {
      await cache.getOrSet('k', load, options);
      return count('refresh-failed') > length;
    });
    const failedAt = calledAt;
    const before = calls;
    await eventually(async () => {
      await cache.getOrSet('k', load, options);
      return calls > before;
    });
    // After three failures it would have been 400 ms.
    expectBetween(calledAt - failedAt, 49, 300);
  });
});

test('getOrSet stores its grace in Redis beyond the ttl', async () => {
  const { cache, pool, name } = cacheOn(server());
  await cache.getOrSet('k', () => 'v', { ttl: '10s', grace: '50s' });
  expectBetween(await pool.pTTL(name('k')), 59_000, 60_000);
  await cache.getOrSet('ever', () => 'v', { grace: '50s' });
  expect(await pool.pTTL(name('ever'))).toBe(-1);
  expect(await cache.get('ever')).toBe('v');
});

test('with lock, one process refreshes', async () => {
  const one = cacheOn(server());
  const two = cacheOn(server(), { prefix: one.prefix });
  await stale(one);
  const [first, second] = [heldLoader<string>(), heldLoader<string>()];
  const options = { ...GRACE, lock: true, ttl: '1m' } as const;
  expect(await one.cache.getOrSet('k', first.load, options)).toBe('stale');
  await first.began;
  for (let i = 0; i < 10; i++) {
    expect(await two.cache.getOrSet('k', second.load, options)).toBe('stale');
    await sleep(2);
  }
  expect(second.calls).toBe(0);
  first.give('fresh');
  await eventually(async () => (await two.cache.getOrSet('k', second.load, options)) === 'fresh');
  expect(second.calls).toBe(0);
});

test('with lock, a process that comes to the lock after another has refreshed does not load again', async () => {
  const gate = await startGate(server());
  const late = cacheOn(gate);
  const quick = cacheOn(server(), { prefix: late.prefix });
  await stale(late);
  const options = { ...GRACE, lock: true, ttl: '1m' } as const;
  const locking = gate.holdCommand('EVALSHA');
  expect(await late.cache.getOrSet('k', () => 'twice', options)).toBe('stale');
  await locking.reached;
  await quick.cache.getOrSet('k', () => 'fresh', options);
  await eventually(async () => (await quick.cache.get('k')) === 'fresh');
  await quick.pool.ping();
  locking.release();
  await sleep(50);
  expect(await late.cache.get('k')).toBe('fresh');
  expect(late.cache.stats().loads).toBe(0);
});
