import { describe, expect, test } from 'vitest';
import { bufferCodec, ReplyError, stringCodec } from '../../src/index.js';
import { commandCalls } from '../pool/support.js';
import { engineOn, failure } from '../support/engine.js';
import { eventually, freePort, useRedis } from '../support/redis.js';
import { cacheOn, expectBetween } from './support.js';

const server = useRedis();

describe('a key', () => {
  test.each([
    ['prefix#key with a prefix', 'users', {}, 'users#k'],
    ['the bare key without', '', {}, 'k'],
    ['behind the keyPrefix of the pool', 'users', { keyPrefix: 'app:' }, 'app:users#k'],
    ['behind the keyPrefix of the pool, without a prefix', '', { keyPrefix: 'app:' }, 'app:k'],
  ])('is %s', async (_, prefix, poolOptions, name) => {
    await server().cli('FLUSHALL');
    const { cache } = cacheOn(server(), { prefix }, poolOptions);
    await cache.put('k', { a: [1] });
    expect(await server().cli('KEYS', '*')).toEqual([name]);
    expect(await server().cli('GET', name)).toBe('{"a":[1]}');
    expect(await cache.get('k')).toEqual({ a: [1] });
    expect(await cache.keys()).toEqual(['k']);
    expect(cache.prefix()).toBe(prefix);
    expect(await cache.removeByPattern('*')).toBe(1);
    // What tells others of it is not among the keys of the cache, even without a prefix.
    const own = name.slice(0, -1 - prefix.length - (prefix ? 1 : 0));
    expect(await server().cli('KEYS', '*')).toEqual([`${own}lagoon:removed:${prefix && `${prefix}#`}`]);
    expect(await cache.keys()).toEqual([]);
    expect(await cache.removeByPattern('*')).toBe(0);
  });

  test.each(['', undefined, null, 5])('%j is refused by everything that takes one', async (bad) => {
    const { cache } = cacheOn(server());
    const key = bad as string;
    const calls = [
      () => cache.get(key),
      () => cache.has(key),
      () => cache.getMany(['a', key]),
      () => cache.put(key, 1),
      () =>
        cache.putMany([
          ['a', 1],
          [key, 1],
        ]),
      () => cache.getDel(key),
      () => cache.remove(key),
      () => cache.getOrSet(key, () => 1),
    ];
    for (const call of calls) expect(await failure(call())).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    expect(await cache.has('a')).toBe(false);
  });
});

describe('put and get', () => {
  const VALUES = [
    0,
    '',
    false,
    null,
    [],
    {},
    'text',
    1.5,
    [null, { a: null }],
    'ünï 🔑 \u0000 \u0001 \n',
    { n: 'x'.repeat(5_000) },
  ];

  test.each(VALUES)('%j comes back as it was', async (value) => {
    const { cache } = cacheOn(server());
    await cache.put('k', value);
    expect(await cache.get('k')).toEqual(value);
    expect(await cache.has('k')).toBe(true);
    expect(await cache.getDel('k')).toEqual(value);
    expect(await cache.has('k')).toBe(false);
  });

  test('undefined is refused, and leaves what was there', async () => {
    const { cache } = cacheOn(server());
    await cache.put('k', 1);
    const value = undefined as unknown as null;
    expect(await failure(cache.put('k', value))).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    expect(
      await failure(
        cache.putMany([
          ['k', 2],
          ['l', value],
        ]),
      ),
    ).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    expect(await cache.getMany(['k', 'l'])).toEqual([1, undefined]);
  });

  test('null is a value, and no miss', async () => {
    const { cache } = cacheOn(server());
    expect(await cache.get('k')).toBeUndefined();
    await cache.put('k', null);
    expect(await cache.get('k')).toBeNull();
    expect(await cache.has('k')).toBe(true);
    expect(cache.stats()).toMatchObject({ misses: 1, remoteHits: 2 });
  });

  test.each([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a bigint', 1n],
  ])('what JSON cannot encode, %s, is refused, and leaves what was there', async (_, value) => {
    const { cache } = cacheOn(server());
    await cache.put('k', 1);
    expect(await failure(cache.put('k', value as never))).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    expect(await cache.get('k')).toBe(1);
  });

  test('a put replaces the value, its ttl, tags and grace', async () => {
    const { cache, pool, name } = cacheOn(server());
    await cache.put('k', 1, { ttl: '1m', tags: ['t'], grace: '1m' });
    await cache.put('k', 2);
    expect(await pool.pTTL(name('k'))).toBe(-1);
    expect(await pool.get(name('k'))).toBe('2');
  });

  test('values of 20 MB', async () => {
    const { cache } = cacheOn<string>(server(), { codec: stringCodec });
    const big = 'äx'.repeat(7 * 1024 * 1024);
    await cache.put('k', big, '1m');
    const back = await cache.get('k');
    expect(back?.length).toBe(big.length);
    expect(back === big).toBe(true);
    const { cache: bytes } = cacheOn<Buffer>(server(), { codec: bufferCodec, local: true });
    const data = Buffer.alloc(20 * 1024 * 1024, 'abcdefg');
    await bytes.put('k', data, { ttl: '1m', grace: '1m', tags: ['t'] });
    for (let i = 0; i < 3; i++) expect((await bytes.get('k'))?.equals(data)).toBe(true);
    expect((await bytes.getDel('k'))?.equals(data)).toBe(true);
  });
});

describe('the time to live', () => {
  test.each([
    ['1 ms', 1],
    ['a number', 12_345],
    ['text', '90s'],
    ['an object', { ttl: '1h' }],
    ['days', '400d'],
  ] as const)('is exact to the ms: %s', async (_, ttl) => {
    const { cache, pool, name } = cacheOn(server());
    const ms = { 1: 1, 12345: 12_345, '90s': 90_000, '400d': 400 * 86_400_000 }[typeof ttl === 'object' ? 1 : ttl];
    const expected = typeof ttl === 'object' ? 3_600_000 : (ms as number);
    const before = Date.now();
    await cache.put('k', 1, ttl);
    const after = Date.now();
    const at = Number(await pool.sendCommand(['PEXPIRETIME', name('k')]));
    if (expected === 1)
      expect(await cache.get('k').then(() => eventually(() => cache.has('k').then((has) => !has)))).toBe(true);
    else expectBetween(at, before + expected, after + expected);
  });

  test('is that of the cache if the put has none, and none without either', async () => {
    const { cache, pool, name } = cacheOn(server(), { ttl: 30_000 });
    await cache.put('k', 1);
    await cache.put('l', 1, { tags: ['t'] });
    expectBetween(await pool.pTTL(name('k')), 29_000, 30_000);
    expectBetween(await pool.pTTL(name('l')), 29_000, 30_000);
    const forever = cacheOn(server());
    await forever.cache.put('k', 1);
    expect(await pool.pTTL(forever.name('k'))).toBe(-1);
  });

  test('of a value with a grace ends when it says, though the key lives on', async () => {
    const { cache } = cacheOn(server());
    await cache.put('k', 1, { ttl: 60, grace: '1m' });
    const over = performance.now() + 60;
    expect(await cache.get('k')).toBe(1);
    await eventually(async () => (await cache.get('k')) === undefined, { interval: 1 });
    expectBetween(performance.now(), over - 20, over + 1_000);
  });
});

describe('several at once', () => {
  test('getMany gives the values in the order of the keys', async () => {
    const { cache } = cacheOn(server());
    await cache.putMany(
      [
        ['a', 1],
        ['b', null],
        ['c', 'x'],
      ],
      { ttl: '1m' },
    );
    expect(await cache.getMany(['c', 'none', 'b', 'a', 'a'])).toEqual(['x', undefined, null, 1, 1]);
    expect(await cache.getMany([])).toEqual([]);
  });

  test('putMany takes whatever can be iterated, and gives all the same options', async () => {
    const { cache, pool, name } = cacheOn(server());
    await cache.putMany(
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
      { ttl: 30_000, tags: ['t'] },
    );
    await cache.putMany([]);
    for (const key of ['a', 'b']) expectBetween(await pool.pTTL(name(key)), 29_000, 30_000);
    await cache.removeByTag('t');
    expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
  });

  test('a hundred keys are read in one write', async () => {
    const { cache } = cacheOn(server());
    const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
    await cache.putMany(keys.map((key) => [key, key]));
    const events = async () => /total_reads_processed:(\d+)/.exec(String(await server().cli('INFO', 'stats')))?.[1];
    const before = Number(await events());
    expect(await cache.getMany(keys)).toEqual(keys);
    expect(Number(await events()) - before).toBeLessThan(10);
  });
});

describe('getDel', () => {
  test('gives the value to one of many', async () => {
    const { cache } = cacheOn(server(), {}, { pool: { lanes: 4 } });
    await cache.put('k', 'v');
    const values = await Promise.all(Array.from({ length: 50 }, () => cache.getDel('k')));
    expect(values.filter((value) => value === 'v')).toHaveLength(1);
    expect(values.filter((value) => value === undefined)).toHaveLength(49);
  });

  test('gives nothing for a void value, and removes it', async () => {
    const { cache, name } = cacheOn(server());
    await cache.put('k', 1, { tags: ['t'] });
    await cache.removeByTag('t');
    expect(await cache.getDel('k')).toBeUndefined();
    expect(await server().cli('EXISTS', name('k'))).toBe(0);
  });
});

describe('an error of Redis is an error', () => {
  test('a key of another type', async () => {
    const { cache, pool, name, events } = cacheOn(server());
    await pool.lPush(name('list'), 'x');
    const calls = [
      () => cache.get('list'),
      () => cache.has('list'),
      () => cache.getMany(['a', 'list']),
      () => cache.getDel('list'),
      () => cache.getOrSet('list', () => 'never'),
      () => cache.getOrSet('list', () => 'never', { grace: '1m', earlyRefresh: true, lock: true }),
    ];
    for (const call of calls) expect(await failure(call()), String(call)).toBeInstanceOf(Error);
    for (const call of calls.slice(0, 3)) {
      expect(await failure(call())).toMatchObject({ code: 'LAGOON_REPLY', replyCode: 'WRONGTYPE' });
    }
    // Without a lock it is seen when the value is to be stored.
    expect(cache.stats()).toMatchObject({ loads: 1, misses: 1 + 1 + 1 });
    expect(events).toEqual([]);
    expect(await pool.exists(name('list'))).toBe(1);
    // SET, UNLINK and SCAN ask for no type.
    expect(await cache.remove('list')).toBe(1);
  });

  test('a server without memory', async () => {
    const { cache } = cacheOn(server(), { whenDown: 'load' });
    await cache.put('k', 1);
    await server().cli('CONFIG', 'SET', 'maxmemory', '1');
    try {
      expect(await failure(cache.put('k', 2))).toMatchObject({ replyCode: 'OOM' });
      expect(await failure(cache.getOrSet('new', () => 1))).toBeInstanceOf(ReplyError);
      expect(await cache.get('k')).toBe(1);
      // What makes room works.
      expect(await cache.remove('k')).toBe(1);
      expect(await cache.removeByPattern('k*')).toBe(0);
    } finally {
      await server().cli('CONFIG', 'SET', 'maxmemory', '0');
    }
  });

  test('a server that is not there', async () => {
    const { cache } = cacheOn(
      { address: `127.0.0.1:${await freePort()}` },
      {},
      { commandTimeout: 100, connectTimeout: 50 },
    );
    const calls: (() => Promise<unknown>)[] = [
      () => cache.get('k'),
      () => cache.put('k', 1),
      () => cache.put('k', 1, { tags: ['t'] }),
      () => cache.getMany(['k']),
      () => cache.putMany([['k', 1]]),
      () => cache.has('k'),
      () => cache.getDel('k'),
      () => cache.remove('k'),
      () => cache.removeByPattern('k*'),
      () => cache.removeByTag('t'),
      () => cache.keys(),
      () => cache.clear(),
      () => cache.getOrSet('k', () => 'never'),
    ];
    const failures = await Promise.all(calls.map((call) => failure(call())));
    for (const [i, error] of failures.entries()) {
      expect(error?.code, String(calls[i])).toMatch(/^LAGOON_(COMMAND_TIMEOUT|CONNECTION)$/);
    }
    expect(cache.stats().loads).toBe(0);
  });

  test('a pool that is closed', async () => {
    const engine = engineOn(server().address);
    const closed = engine.getRedis().getCache({ whenDown: 'load' });
    await engine.close();
    expect(await failure(closed.getOrSet('k', () => 'never'))).toMatchObject({ code: 'LAGOON_CLOSED' });
    expect(await failure(closed.put('k', 1))).toMatchObject({ code: 'LAGOON_CLOSED' });
  });
});

test('commands: a get is one GET, a put one SET, a getOrSet of what is there one MGET', async () => {
  const { cache } = cacheOn(server(), { ttl: '1m' });
  await cache.put('k', 1);
  await server().cli('CONFIG', 'RESETSTAT');
  await cache.put('k', 1);
  await cache.get('k');
  await cache.getOrSet('k', () => 'never');
  const { get, set, mget, pttl = 0, evalsha = 0 } = await commandCalls(server());
  expect({ get, set, mget, pttl, evalsha }).toEqual({ get: 1, set: 1, mget: 1, pttl: 0, evalsha: 0 });
});
