import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { bufferCodec, type Cache, type PutOptions } from '../../src/index.js';
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

describe('a back-off', () => {
  const options = { ttl: 1, grace: '1m', backoff: '1h' } as const;
  const fail = () => Promise.reject(new Error('no'));

  test('is over once a load that callers waited for has succeeded', async () => {
    const probe = cacheOn(server());
    const { cache, pool, name, count } = probe;
    await stale(probe);
    expect(await cache.getOrSet('k', fail, options)).toBe('stale');
    await eventually(() => count('refresh-failed') === 1);
    await pool.del(name('k'));
    expect(await cache.getOrSet('k', () => 'loaded', options)).toBe('loaded');
    await eventually(async () => (await cache.getOrSet('k', () => 'refreshed', options)) === 'refreshed');
  });

  test('is over once another process has loaded the value', async () => {
    const probe = cacheOn(server());
    const { cache, pool, name, count } = probe;
    const other = cacheOn(server(), { prefix: probe.prefix }).cache;
    await stale(probe);
    expect(await cache.getOrSet('k', fail, { ...options, lock: true })).toBe('stale');
    await eventually(() => count('refresh-failed') === 1);
    await pool.del(name('k'));
    const loader = heldLoader<string>();
    const loading = other.getOrSet('k', loader.load, { ttl: '1m', lock: true });
    await loader.began;
    const waiting = cache.getOrSet('k', () => 'not called', { lock: true });
    loader.give('loaded');
    expect([await loading, await waiting]).toEqual(['loaded', 'loaded']);
    await stale(probe);
    const refresh = heldLoader<string>();
    expect(await cache.getOrSet('k', refresh.load, options)).toBe('stale');
    await refresh.began;
    refresh.give('refreshed');
  });

  test('does not begin anew because another process is at it', async () => {
    const one = cacheOn(server());
    const two = cacheOn(server(), { prefix: one.prefix });
    await stale(one);
    const calledAt: number[] = [];
    const load = () => {
      calledAt.push(performance.now());
      return Promise.reject(new Error('no'));
    };
    const lock = { ...GRACE, lock: true, backoff: 100 } as const;
    const askUntil = (calls: number) =>
      eventually(async () => {
        await one.cache.getOrSet('k', load, lock);
        return calledAt.length === calls;
      });
    await askUntil(2);
    const loader = heldLoader<string>();
    await two.cache.getOrSet('k', loader.load, lock);
    await loader.began;
    await sleep(250);
    await one.cache.getOrSet('k', load, lock);
    await one.pool.ping();
    expect(calledAt).toHaveLength(2);
    loader.fail(new Error('no'));
    await askUntil(3);
    await askUntil(4);
    expect((calledAt[3] as number) - (calledAt[2] as number)).toBeGreaterThanOrEqual(399);
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
  const locking = gate.holdCommand('EVALSHA', `lagoon:load:${late.name('k')}`);
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

test('bytes, which no script can give, are read with their time in one step too', async () => {
  const { cache, pool, name } = cacheOn<Buffer>(server(), { codec: bufferCodec });
  const value = Buffer.from([0, 255, 13, 10, 128]);
  await cache.put('k', value, { ttl: '1m', grace: '1m' });
  expect(await cache.get('k')).toEqual(value);
  expect(await cache.getOrSet('k', () => Buffer.from('never'), { grace: '1m' })).toEqual(value);
  await pool.pExpire(name('k'), 50_000);
  expect(await cache.get('k')).toBeUndefined();
  expect(await cache.getOrSet('k', () => Buffer.from('new'), { grace: '1m' })).toEqual(value);
  await eventually(async () => (await cache.get('k'))?.toString() === 'new');
});

describe('value and remaining time are those of one moment', () => {
  /** Holds back what a cache asks second, and lets another process store a value meanwhile. */
  async function replacedWhileRead(
    before: [value: string, options: PutOptions],
    read: (cache: Cache<unknown>) => Promise<unknown>,
    after: [value: string, options: PutOptions],
    local: boolean,
    command = 'EVALSHA',
  ): Promise<unknown> {
    const gate = await startGate(server());
    const near = cacheOn(server());
    const far = await (local ? localCacheOn : cacheOn)(gate, { prefix: near.prefix });
    await near.cache.put('k', ...before);
    if (before[1].ttl === 10) await eventually(async () => (await near.pool.pTTL(near.name('k'))) < 3_600_000);
    const held = gate.holdCommand(command, near.name('k'));
    const reading = read(far.cache);
    await held.reached;
    await near.cache.put('k', ...after);
    held.release();
    return reading;
  }

  const STALE: [string, PutOptions] = ['yesterday', { ttl: 10, grace: '1h' }];
  const LONG: [string, PutOptions] = ['today', { ttl: '5h', grace: '1h' }];

  test.each<[string, (cache: Cache<unknown>) => Promise<unknown>]>([
    ['get', (cache) => cache.get('k')],
    ['getMany', async (cache) => (await cache.getMany(['k']))[0]],
    ['getOrSet', (cache) => cache.getOrSet('k', () => 'loaded')],
    ['getOrSet with grace', (cache) => cache.getOrSet('k', () => 'loaded', { grace: '1h' })],
    ['getOrSet with a lock', (cache) => cache.getOrSet('k', () => 'loaded', { lock: true })],
  ])('%s never gives a value whose ttl is over with the time of its successor', async (_, read) => {
    for (const local of [false, true]) expect(await replacedWhileRead(STALE, read, LONG, local)).toBe('today');
  });

  test('getDel never gives a value whose ttl is over with the time of its successor', async () => {
    const taken = await replacedWhileRead(STALE, (cache) => cache.getDel('k'), LONG, false, 'PTTL');
    expect(taken).toBe('today');
  });

  test.each<[string, (cache: Cache<unknown>) => Promise<unknown>]>([
    ['get', (cache) => cache.get('k')],
    ['has', async (cache) => ((await cache.has('k')) ? 'second' : undefined)],
    ['getOrSet', (cache) => cache.getOrSet('k', () => 'loaded')],
  ])('%s finds one while there is a fresh value at every moment', async (_, read) => {
    for (const local of [false, true]) {
      const first: [string, PutOptions] = ['first', { ttl: '1h', grace: '1h' }];
      expect(await replacedWhileRead(first, read, ['second', { ttl: '1m' }], local)).toBe('second');
    }
  });
});
