import { describe, expect, test } from 'vitest';
import { bufferCodec, type Cache, type CacheOptions, type GetOrSetOptions, type PoolOptions } from '../../src/index.js';
import { commandCalls } from '../pool/support.js';
import { eventually, useRedis } from '../support/redis.js';
import { startGate } from './gate.js';
import { cacheOn, heldLoader, localCacheOn, warm } from './support.js';

const server = useRedis();

/** The same cache in this process and in another, for which a second engine stands. */
async function twoProcesses<T = unknown>(options: CacheOptions<T> = {}, poolOptions: PoolOptions = {}) {
  const open = options.local ? localCacheOn<T> : cacheOn<T>;
  const here = await open(server(), options, poolOptions);
  const there = await open(server(), { ...options, prefix: here.prefix }, poolOptions);
  return { here, there };
}

/** What another process does to a key, and what the key holds after that and a load. */
const CHANGES: [string, (cache: Cache<unknown>) => Promise<unknown>, unknown][] = [
  ['remove', (cache) => cache.remove('k'), undefined],
  ['remove of a pattern', (cache) => cache.removeByPattern('[k]*'), undefined],
  ['clear', (cache) => cache.clear(), undefined],
  ['getDel', (cache) => cache.getDel('k'), undefined],
  ['removeByTag', (cache) => cache.removeByTag('t'), undefined],
  ['put', (cache) => cache.put('k', 'put'), 'put'],
  ['putMany', (cache) => cache.putMany([['k', 'put']]), 'put'],
  ['put and remove', (cache) => cache.put('k', 'put').then(() => cache.remove('k')), undefined],
  ['remove and put', (cache) => cache.remove('k').then(() => cache.put('k', 'put')), 'put'],
];

describe.each<[string, GetOrSetOptions, CacheOptions, PoolOptions]>([
  ['a load', {}, {}, {}],
  ['a load under the lock', { lock: true }, {}, {}],
  ['a load with a timeout of its own', { timeout: '2s' }, {}, {}],
  ['a load through 4 lanes', {}, {}, { pool: { lanes: 4 } }],
  ['a load under the lock through 4 lanes', { lock: true }, {}, { pool: { lanes: 4 } }],
  ['a load beside a local tier', {}, { local: true }, {}],
  ['a load behind a keyPrefix', {}, {}, { keyPrefix: 'app:' }],
])('%s during which another process changed the key', (_, load, options, poolOptions) => {
  test.each(CHANGES)('by %s is not stored, its callers have its value', async (_, change, left) => {
    const { here, there } = await twoProcesses(options, poolOptions);
    const loader = heldLoader<string>();
    const loading = here.cache.getOrSet('k', loader.load, { ...load, tags: ['t'] });
    await loader.began;
    await change(there.cache);
    loader.give('loaded');
    expect(await loading).toBe('loaded');
    expect(await there.cache.get('k')).toBe(left);
    await eventually(async () => expect(await here.cache.get('k')).toBe(left));
    // Who asks now has what there is, or loads anew, which is stored.
    const next = left ?? 'anew';
    expect(await here.cache.getOrSet('k', () => 'anew', load)).toBe(next);
    expect(await there.cache.getOrSet('k', () => 'never', load)).toBe(next);
  });
});

describe.each(['a stale value', 'a value that is about to be'])('a refresh of %s', (what) => {
  test.each(CHANGES)('during which another process did %s is not stored', async (_, change, left) => {
    for (const [local, lock] of [
      [false, false],
      [true, false],
      [false, true],
    ] as const) {
      const { here, there } = await twoProcesses({ local });
      const isStale = what === 'a stale value';
      const meta = isStale ? { g: 60_000 } : { d: 1_000 };
      const stored = `\x01${JSON.stringify(meta)}\n"old"`;
      await here.pool.set(here.name('k'), stored, { PX: isStale ? 59_000 : 60_000 });
      if (local && !isStale) await warm(here.cache, 'k');
      const loader = heldLoader<string>();
      const options: GetOrSetOptions = isStale ? { grace: '1m', lock } : { earlyRefresh: 1e9, lock };
      expect(await here.cache.getOrSet('k', loader.load, { ...options, tags: ['t'] })).toBe('old');
      await loader.began;
      await change(there.cache);
      loader.give('loaded');
      // By then storing it was tried.
      await here.cache.remove('nothing');
      await eventually(() => here.pool.stats().pending === 0);
      expect(await there.cache.get('k')).toBe(left);
    }
  });
});

describe('a removal that concerns other keys', () => {
  test.each<[string, (cache: Cache) => Promise<unknown>]>([
    ['of another key', (cache) => cache.remove('kk')],
    ['of a pattern that does not match', (cache) => cache.removeByPattern('[^k]*')],
    [
      'of many such patterns',
      (cache) => Promise.all(['a*', 'b*', 'k?', '*\n*'].map((glob) => cache.removeByPattern(glob))),
    ],
    ['by another tag', (cache) => cache.removeByTag('u')],
  ])('%s does not keep a load from being stored', async (_, remove) => {
    const { here, there } = await twoProcesses();
    for (const cache of [here.cache, there.cache]) {
      await cache.remove('k');
      await cache.removeByPattern('*');
      const loader = heldLoader<string>();
      const loading = here.cache.getOrSet('k', loader.load, { tags: ['t'] });
      await loader.began;
      await remove(cache);
      loader.give('loaded');
      await loading;
      expect(await there.cache.get('k')).toBe('loaded');
    }
  });

  test.each([false, true])(
    'of very many patterns does, as not all of them are remembered (after another: %s)',
    async (after) => {
      const { here, there } = await twoProcesses();
      const long = async (count: number) => {
        for (let i = 0; i < count; i++) await there.cache.removeByPattern(`${'x'.repeat(1_000)}${i}*`);
      };
      if (after) await long(1);
      const loader = heldLoader<string>();
      const loading = here.cache.getOrSet('k', loader.load);
      await loader.began;
      await long(6);
      loader.give('loaded');
      expect(await loading).toBe('loaded');
      expect(await there.cache.get('k')).toBeUndefined();
      // Those that begin after it are stored, and the mark does not grow.
      await here.cache.getOrSet('k', () => 'anew');
      expect(await there.cache.get('k')).toBe('anew');
      expect(await here.pool.strLen(`lagoon:removed:${here.prefix}#`)).toBeLessThan(6_000);
    },
  );
});

describe('what a removal leaves', () => {
  test('does not keep loads from being stored that begin after it', async () => {
    const { here, there } = await twoProcesses({ codec: bufferCodec });
    for (const value of ['a', 'b', 'c'].map((text) => Buffer.from(text))) {
      await there.cache.remove('k');
      await there.cache.removeByPattern('*');
      await here.cache.getOrSet('k', () => value);
      expect(await there.cache.get('k')).toEqual(value);
    }
    const loader = heldLoader<Buffer>();
    await there.cache.remove('k');
    const loading = here.cache.getOrSet('k', loader.load);
    await loader.began;
    await there.cache.remove('k');
    loader.give(Buffer.from('d'));
    await loading;
    expect(await there.cache.get('k')).toBeUndefined();
  });

  test('is gone after a minute', async () => {
    const { cache, pool, prefix } = cacheOn(server());
    await cache.put('k', 1);
    await Promise.all([cache.remove('k'), cache.removeByPattern('x*'), cache.getDel('l')]);
    const marks = await pool.keys(`lagoon:removed:${prefix}#*`);
    expect(marks.sort()).toEqual(['', 'k', 'l'].map((key) => `lagoon:removed:${prefix}#${key}`));
    for (const mark of marks) {
      const ttl = await pool.pTTL(mark);
      expect(ttl).toBeGreaterThan(59_000);
      expect(ttl).toBeLessThanOrEqual(60_000);
    }
  });

  test('is not removed with everything by a cache without a prefix, and is none of its keys', async () => {
    await server().cli('FLUSHALL');
    const { here, there } = await twoProcesses({ prefix: '' });
    const loader = heldLoader<string>();
    const loading = here.cache.getOrSet('k', loader.load);
    await loader.began;
    await there.cache.put('other', 1);
    await there.cache.remove('k');
    expect(await there.cache.removeByPattern('*')).toBe(1);
    loader.give('loaded');
    await loading;
    expect(await there.cache.keys()).toEqual([]);
  });
});

test('a process that lost its lock while it loaded does not put its value over a newer one', async () => {
  const { here, there } = await twoProcesses();
  const slow = heldLoader<string>();
  const loading = here.cache.getOrSet('k', slow.load, { lock: true });
  await slow.began;
  await here.pool.unlink(`lagoon:load:${here.name('k')}`);
  expect(await there.cache.getOrSet('k', () => 'newer', { lock: true })).toBe('newer');
  slow.give('older');
  expect(await loading).toBe('older');
  expect(await there.cache.get('k')).toBe('newer');
});

test('a value is stored before its lock is given back, by a server that has forgotten its script too', async () => {
  const gate = await startGate(server());
  const here = cacheOn(gate);
  const there = cacheOn(server(), { prefix: here.prefix });
  const loader = heldLoader<string>();
  const first = here.cache.getOrSet('k', loader.load, { lock: true });
  await loader.began;
  const second = there.cache.getOrSet('k', loader.load, { lock: true });
  const queue = `lagoon:locks:lagoon:load:${here.name('k')}`;
  await eventually(async () => expect(await there.pool.lLen(queue)).toBe(1));
  await server().cli('SCRIPT', 'FLUSH');
  // Those of the locks it has heard again.
  const lock = there.pool.getLocker().readWriteLock('another');
  await (await lock.obtainWrite('1s'))?.release();
  const storing = gate.holdCommand('EVAL', here.name('k'));
  loader.give('loaded');
  await storing.reached;
  // Time in which the other would read that there is nothing, had it been told already.
  for (let pings = 0; pings < 10; pings++) await there.pool.ping();
  storing.release();
  expect(await Promise.all([first, second])).toEqual(['loaded', 'loaded']);
  expect(loader.calls).toBe(1);
});

test('commands: a miss is one MGET and one script, which the misses of a turn share', async () => {
  const { cache } = cacheOn(server(), { ttl: '1m' });
  await cache.getOrSet('warm', () => 1);
  await server().cli('CONFIG', 'RESETSTAT');
  await Promise.all(Array.from({ length: 60 }, (_, i) => cache.getOrSet(`k${i}`, () => i)));
  const { mget = 0, evalsha = 0, set = 0, get = 0 } = await commandCalls(server());
  // One MGET each, and one of the script for all.
  expect(evalsha).toBeLessThanOrEqual(3);
  expect({ mget: mget - evalsha, set, get }).toEqual({ mget: 60, set: 60, get: 0 });
  await server().cli('CONFIG', 'RESETSTAT');
  await Promise.all(Array.from({ length: 60 }, (_, i) => cache.remove(`k${i}`)));
  const removing = await commandCalls(server());
  expect({ evalsha: removing.evalsha, unlink: removing.unlink, set: removing.set }).toEqual({
    evalsha: 1,
    unlink: 60,
    set: 60,
  });
});

describe('several keys', () => {
  test('are removed by one command, and their loads voided', async () => {
    const { here, there } = await twoProcesses();
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
    await here.cache.putMany(keys.map((key) => [key, 1]));
    const loader = heldLoader<string>();
    const loading = there.cache.getOrSet('loading', loader.load);
    await loader.began;
    // Once, so that Redis knows the script.
    expect(await here.cache.remove(['none', 'nothing'])).toBe(0);
    await server().cli('CONFIG', 'RESETSTAT');
    expect(await here.cache.remove([...keys, 'k1', 'none', 'loading'])).toBe(200);
    expect(await commandCalls(server())).toMatchObject({ evalsha: 1, unlink: 1 });
    loader.give('out of date');
    expect(await loading).toBe('out of date');
    expect(await here.cache.keys()).toEqual([]);
  });

  test('may be thousands, one, or none', async () => {
    const { cache } = cacheOn(server());
    const keys = Array.from({ length: 2_345 }, (_, i) => `k${i}`);
    await cache.putMany(keys.map((key) => [key, 1]));
    expect(await cache.remove([])).toBe(0);
    expect(await cache.remove(['k0'])).toBe(1);
    expect(await cache.remove(keys)).toBe(2_344);
    expect(await cache.keys()).toEqual([]);
  });

  test('are gone from this process at once', async () => {
    const { cache } = await localCacheOn(server());
    await cache.putMany([
      ['a', 1],
      ['b', 2],
    ]);
    await warm(cache, 'a');
    await warm(cache, 'b');
    expect(await cache.remove(['a', 'b'])).toBe(2);
    expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
  });
});

test('a pattern of any length leaves a short mark, which voids what it matches', async () => {
  const { here, there } = await twoProcesses();
  const loader = heldLoader<string>();
  const loading = here.cache.getOrSet('k', loader.load);
  await loader.began;
  await there.cache.removeByPattern(`[k${'x'.repeat(100_000)}]*`);
  const marks = await here.pool.keys('lagoon:removed:*');
  for (const mark of marks) expect(await here.pool.strLen(mark)).toBeLessThan(5_000);
  loader.give('out of date');
  await loading;
  expect(await here.cache.get('k')).toBeUndefined();
});

test('a pattern removes what it matches in few commands', async () => {
  const { cache } = cacheOn(server());
  await cache.putMany(Array.from({ length: 900 }, (_, i) => [`k${i}`, 1] as const));
  await server().cli('CONFIG', 'RESETSTAT');
  expect(await cache.removeByPattern('k*')).toBe(900);
  expect((await commandCalls(server())).unlink).toBeLessThan(10);
});
