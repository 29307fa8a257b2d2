import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { GetOrSetOptions } from '../../src/index.js';
import { failure, timed } from '../support/engine.js';
import { eventually, freePort, startProxy, useRedis } from '../support/redis.js';
import { startGate } from './gate.js';
import { cacheOn, expectBetween, heldLoader, isUp, localCacheOn, occupyFirstLane, warm } from './support.js';

const server = useRedis();
const QUICK = { commandTimeout: 1_500, connectTimeout: 50, reconnect: { maxDelay: 50 } } as const;
const TIMEOUT_MS = 150;

describe('while there is no server', () => {
  const nowhere = async () => ({ address: `127.0.0.1:${await freePort()}` });

  test("whenDown 'throw', the default, is the error of Redis and no load", async () => {
    const { cache } = cacheOn(await nowhere(), { timeout: TIMEOUT_MS }, QUICK);
    const loader = heldLoader<string>();
    expect((await failure(cache.getOrSet('k', loader.load)))?.code).toMatch(/^LAGOON_(COMMAND_TIMEOUT|CONNECTION)$/);
    expect(loader.calls).toBe(0);
  });

  test("whenDown 'load' loads, once for all who wait, stores nothing and tells of it", async () => {
    const { cache, events } = cacheOn(await nowhere(), { timeout: TIMEOUT_MS, whenDown: 'load' }, QUICK);
    const calls = Array.from({ length: 100 }, () => cache.getOrSet('k', () => 'loaded'));
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['loaded']));
    expect(cache.stats().loads).toBe(1);
    expect(events).toMatchObject([{ type: 'redis-down', key: 'k' }]);
  });

  test("whenDown 'load': the loader's error is its own", async () => {
    const { cache } = cacheOn(await nowhere(), { timeout: TIMEOUT_MS, whenDown: 'load' }, QUICK);
    const error = new Error('no');
    expect(await failure(cache.getOrSet('k', () => Promise.reject(error)))).toBe(error);
  });

  test.each<[string, GetOrSetOptions]>([
    ['a lock', { lock: true }],
    ['tags', { tags: ['t'] }],
    ['grace and early refresh', { grace: '1m', earlyRefresh: true }],
  ])("whenDown 'load' loads with %s too", async (_, options) => {
    const { cache } = cacheOn(await nowhere(), { timeout: TIMEOUT_MS, whenDown: 'load' }, QUICK);
    expect(await cache.getOrSet('k', () => 'loaded', options)).toBe('loaded');
  });

  test('get, put and the others fail whatever whenDown says', async () => {
    const { cache } = cacheOn(await nowhere(), { whenDown: 'load' }, { ...QUICK, commandTimeout: 100 });
    for (const call of [cache.get('k'), cache.put('k', 1), cache.remove('k'), cache.removeByTag('t')]) {
      expect((await failure(call))?.code).toMatch(/^LAGOON_(COMMAND_TIMEOUT|CONNECTION)$/);
    }
  });
});

test("whenDown 'load' loads, too, if the lock of a refresh that is waited for cannot be asked for", async () => {
  const gate = await startGate(server());
  const { cache, pool, name } = cacheOn<string>(
    gate,
    { whenDown: 'load' },
    { ...QUICK, commandTimeout: 300, pool: { lanes: 2 } },
  );
  const options = { ttl: '1m', grace: '1m', lock: true } as const;
  await cache.put('k', 'stale', { ttl: 1, grace: '1m' });
  const locking = gate.holdCommand('EVALSHA', `lagoon:load:${name('k')}`);
  await eventually(async () => {
    expect(await cache.getOrSet('k', () => 'refreshed', options)).toBe('stale');
    expect(cache.stats().staleServes).toBe(1);
  });
  await locking.reached;
  const { over } = await occupyFirstLane(pool);
  const held = failure(over);
  await server().cli('DEL', name('k'));
  expect(await cache.getOrSet('k', () => 'loaded', options)).toBe('loaded');
  expect(cache.stats().misses).toBe(1);
  await held;
});

describe('a Redis that stops to answer', () => {
  const ALL: [string, GetOrSetOptions][] = [
    ['nothing else', {}],
    ['a lock', { lock: true }],
    ['tags', { tags: ['t'] }],
    ['a grace', { grace: '1m' }],
  ];

  test.each(ALL)('costs getOrSet no more than its timeout, with %s', async (_, options) => {
    const { cache } = cacheOn(server(), { timeout: '1h' }, QUICK);
    await cache.getOrSet('warm', () => 1, options);
    await server().freeze();
    try {
      const ms = await timed(cache.getOrSet('k', () => 'never', { ...options, timeout: TIMEOUT_MS }));
      expectBetween(ms, TIMEOUT_MS - 5, TIMEOUT_MS + 250);
      expect(cache.stats().loads).toBe(1);
    } finally {
      await server().thaw();
    }
  });

  test.each(ALL)(
    "during the load costs no more than its timeout, and whenDown 'load' gives the value: with %s",
    async (_, options) => {
      const { cache, count } = cacheOn(server(), { timeout: TIMEOUT_MS, whenDown: 'load' }, QUICK);
      await cache.getOrSet('warm', () => 1, options);
      const loader = heldLoader<string>();
      const loading = cache.getOrSet('k', loader.load, options);
      await loader.began;
      await server().freeze();
      try {
        loader.give('loaded');
        const from = performance.now();
        expect(await loading).toBe('loaded');
        expect(performance.now() - from).toBeLessThan(2 * TIMEOUT_MS + 250);
        expect(count('redis-down')).toBe(1);
      } finally {
        await server().thaw();
      }
    },
  );

  test.each<[string, string, GetOrSetOptions]>([
    ['before the lock is asked for', 'EVALSHA', { lock: true }],
    ['before the versions of the tags are asked for', 'EVALSHA', { tags: ['t'] }],
    ['before the value is stored', 'EVALSHA', {}],
  ])("%s costs no more than its timeout, and whenDown 'load' loads", async (_, command, options) => {
    const gate = await startGate(server());
    const { cache } = cacheOn(gate, { timeout: TIMEOUT_MS, whenDown: 'load' }, QUICK);
    await cache.getOrSet('warm', () => 1, options);
    const held = gate.holdCommand(command);
    const from = performance.now();
    expect(await cache.getOrSet('k', () => 'loaded', options)).toBe('loaded');
    expectBetween(performance.now() - from, TIMEOUT_MS - 5, 2 * TIMEOUT_MS + 250);
    held.release();
  });

  test('costs a read no more than its timeout while the versions of its tags are asked for', async () => {
    const gate = await startGate(server());
    const { cache } = cacheOn(gate, { timeout: TIMEOUT_MS, whenDown: 'load' }, QUICK);
    await cache.put('k', 'v', { tags: ['t'] });
    const held = gate.holdCommand('GET', `lagoon:tags:${cache.prefix()}#t`);
    const from = performance.now();
    expect(await cache.getOrSet('k', () => 'loaded')).toBe('loaded');
    expectBetween(performance.now() - from, TIMEOUT_MS - 5, TIMEOUT_MS + 250);
    held.release();
  });

  test('serves what the local tier has, fresh or in its grace, whatever whenDown says', async () => {
    const probe = await localCacheOn(server(), { local: { heartbeat: 100 }, timeout: TIMEOUT_MS }, QUICK);
    const { cache } = probe;
    await cache.put('grace', 'kept', { ttl: 200, grace: '1m' });
    await cache.put('none', 'kept', '1m');
    await warm(cache, 'grace');
    await warm(cache, 'none');
    await server().freeze();
    try {
      await eventually(() => probe.count('local-down') === 1);
      await sleep(200);
      expect(await cache.getOrSet('grace', () => 'never', { grace: '1m' })).toBe('kept');
      expect(await cache.getOrSet('grace', () => 'never', { grace: '1m' })).toBe('kept');
      expect((await failure(cache.getOrSet('grace', () => 'never')))?.code).toBe('LAGOON_COMMAND_TIMEOUT');
      expect((await failure(cache.getOrSet('none', () => 'never', { grace: '1m' })))?.code).toBe(
        'LAGOON_COMMAND_TIMEOUT',
      );
      expect((await failure(cache.getOrSet('other', () => 'never', { grace: '1m' })))?.code).toBe(
        'LAGOON_COMMAND_TIMEOUT',
      );
      expect(cache.stats()).toMatchObject({ loads: 0, staleServes: 2 });
    } finally {
      await server().thaw();
    }
    await isUp(probe, 2);
  });

  test('is asked again as soon as it answers, without a call to anything', async () => {
    const proxy = await startProxy(server().address);
    const { cache } = cacheOn(proxy, { timeout: TIMEOUT_MS, whenDown: 'load' }, { ...QUICK, commandTimeout: 300 });
    await cache.put('k', 'stored');
    proxy.blackhole(true);
    expect(await cache.getOrSet('k', () => 'loaded')).toBe('loaded');
    proxy.blackhole(false);
    await eventually(async () => (await cache.getOrSet('k', () => 'loaded')) === 'stored');
    proxy.cutAll();
    await eventually(async () => (await cache.getOrSet('k', () => 'loaded')) === 'stored');
    await proxy.stop();
  });
});
