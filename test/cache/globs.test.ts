import { array, assert, asyncProperty, constantFrom } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { globMatcher } from '../../src/cache/glob.js';
import { escapeGlob } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { startGate } from './gate.js';
import { cacheOn, heldLoader, poolOn } from './support.js';

const server = useRedis();
const SPECIAL = [
  'a*b',
  'a?b',
  'a[b',
  'a]b',
  'a[b]c',
  'a\\b',
  'a^b',
  'a-b',
  '[a-z]',
  '[^a]',
  '\\*',
  '*',
  '?',
  '[',
  ']',
  '\\',
  '{x}',
  'a\nb',
  '.',
  '$',
  '(',
];

describe('glob characters', () => {
  test('in keys are literal for everything but removeByPattern and keys', async () => {
    const { cache } = cacheOn(server());
    for (const key of SPECIAL) await cache.put(key, key);
    expect(await cache.getMany(SPECIAL)).toEqual(SPECIAL);
    expect((await cache.keys()).sort()).toEqual([...SPECIAL].sort());
    for (const key of SPECIAL) expect(await cache.getDel(key)).toBe(key);
    expect(await cache.keys()).toEqual([]);
  });

  test('in a key are literal for remove, whoever chose it', async () => {
    const { cache } = cacheOn(server());
    const others = ['axb', 'ab', 'b', 'z', 'abc', 'x'];
    for (const key of others) await cache.put(key, key);
    for (const key of SPECIAL) {
      expect(await cache.remove(key), key).toBe(0);
      await cache.put(key, key);
      expect(await cache.remove(key), key).toBe(1);
    }
    expect((await cache.keys()).sort()).toEqual(others.sort());
    await cache.putMany(SPECIAL.map((key) => [key, key]));
    expect(await cache.remove(SPECIAL)).toBe(SPECIAL.length);
    expect((await cache.keys()).sort()).toEqual(others.sort());
  });

  test('in a key that is escaped are literal for removeByPattern and keys too', async () => {
    const { cache } = cacheOn(server());
    const others = ['axb', 'ab', 'b', 'z', 'abc', 'x'];
    for (const key of [...SPECIAL, ...others]) await cache.put(key, key);
    for (const key of SPECIAL) {
      expect(await cache.keys(escapeGlob(key))).toEqual([key]);
      expect(await cache.removeByPattern(escapeGlob(key)), key).toBe(1);
      expect(await cache.get(key)).toBeUndefined();
    }
    expect((await cache.keys()).sort()).toEqual(others.sort());
  });

  test('in the prefix are literal', async () => {
    const { pool } = cacheOn(server(), { prefix: 'x' });
    for (const prefix of SPECIAL) {
      await pool.flushAll();
      const cache = pool.getCache({ prefix, local: false });
      const neighbours = [
        'axb#k',
        'ab#k',
        'b#k',
        'z#k',
        'abc#k',
        'x#k',
        'a#k',
        `${prefix}x#k`,
        `x${prefix}#k`,
        'k',
        '#k',
      ];
      for (const name of neighbours) await pool.set(name, '1');
      await cache.put('k', 1);
      await cache.put('k2', 2);
      expect((await cache.keys()).sort(), prefix).toEqual(['k', 'k2']);
      expect(await cache.keys('k?')).toEqual(['k2']);
      expect(await cache.removeByPattern('?')).toBe(1);
      expect(await cache.clear()).toBe(1);
      expect(await pool.dbSize(), 'and the mark of it').toBe(new Set(neighbours).size + 1);
    }
  });

  test('in the keyPrefix of the pool are literal', async () => {
    const { cache } = cacheOn(server(), { prefix: 'p[1]' }, { keyPrefix: 'app*[x]?:' });
    await server().cli('SET', 'appYx?:p[1]#k', '1');
    await server().cli('SET', 'app*[x]?:p1#k', '1');
    await cache.put('k', 1);
    expect(await cache.keys()).toEqual(['k']);
    expect(await cache.clear()).toBe(1);
    expect(await server().cli('EXISTS', 'appYx?:p[1]#k', 'app*[x]?:p1#k')).toBe(2);
  });

  test('of a pattern are those of Redis', async () => {
    const { cache } = cacheOn(server());
    const keys = ['a', 'b', 'ab', 'abc', 'bc', 'a1', 'a2', 'b1', '-', '^'];
    await cache.putMany(keys.map((key) => [key, key]));
    const found = async (pattern: string) => (await cache.keys(pattern)).sort();
    expect(await found('a*')).toEqual(['a', 'a1', 'a2', 'ab', 'abc']);
    expect(await found('?')).toEqual(['-', '^', 'a', 'b']);
    expect(await found('[ab]1')).toEqual(['a1', 'b1']);
    expect(await found('[^a]1')).toEqual(['b1']);
    expect(await found('a[0-9]')).toEqual(['a1', 'a2']);
    expect(await found('nothing*')).toEqual([]);
    expect(await cache.removeByPattern('[^a]*')).toBe(5);
    expect(await found('*')).toEqual(['a', 'a1', 'a2', 'ab', 'abc']);
  });

  test('choose the loads that are not stored as Redis chooses the keys', async () => {
    const pool = poolOn(server());
    await pool.flushAll();
    const letters = constantFrom('a', 'b', 'c', 'z', '*', '?', '[', ']', '^', '-', '\\', '.');
    const word = array(letters, { minLength: 1, maxLength: 7 }).map((list) => list.join(''));
    await assert(
      asyncProperty(word, array(word, { minLength: 20, maxLength: 20 }), async (pattern, keys) => {
        await pool.del('known');
        await pool.eval(`redis.call('FLUSHALL') for _, key in ipairs(ARGV) do redis.call('SET', key, '1') end`, {
          arguments: keys,
        });
        const matches = globMatcher(pattern);
        const ours = [...new Set(keys)].filter(matches).sort();
        expect(ours, JSON.stringify({ pattern })).toEqual((await pool.keys(pattern)).sort());
      }),
      { numRuns: 400 },
    );
  });

  test.each([
    ['[\\a-c]', ['a', 'b', 'c', '-']],
    ['[a-\\c]', ['a', 'b', 'c', '-', '\\']],
    ['[]a]', ['a', ']', 'a]', ']a]']],
    ['[^]a]', ['a', 'ba]', 'b']],
    ['[a', ['a', '[a']],
    ['[', ['[', '']],
    ['a\\', ['a', 'a\\']],
  ])('choose them as Redis does in the odd case of %s', async (pattern, keys) => {
    const pool = poolOn(server());
    await pool.flushAll();
    await Promise.all(keys.map((key) => pool.set(key, '1')));
    expect(keys.filter(globMatcher(pattern)).sort()).toEqual((await pool.keys(pattern)).sort());
  });

  test('choose them by bytes, as Redis does', async () => {
    const { cache } = cacheOn(server());
    for (const [key, pattern] of [
      ['é', '??'],
      ['x🔑', 'x????'],
    ] as const) {
      const loader = heldLoader<string>();
      const loading = cache.getOrSet(key, loader.load);
      await loader.began;
      await cache.removeByPattern(pattern);
      loader.give('loaded');
      await loading;
      expect(await cache.get(key)).toBeUndefined();
      await cache.put(key, 1);
      expect(await cache.removeByPattern(pattern)).toBe(1);
    }
  });

  test('a pattern of many stars is matched in reasonable time', () => {
    const from = performance.now();
    globMatcher(`${'*a'.repeat(5)}b`)('a'.repeat(110));
    expect(performance.now() - from).toBeLessThan(2_000);
  });
});

describe('many keys', () => {
  const COUNT = 20_000;
  const fill = (prefix: string) =>
    server().cli('EVAL', `for i = 1, ${COUNT} do redis.call('SET', '${prefix}#k' .. i, '1') end`, '0');

  test('are removed, each counted once, while the table of keys grows and shrinks', async () => {
    const { cache, prefix } = cacheOn(server());
    await fill(prefix);
    const removing = cache.removeByPattern('k*');
    await server().cli('EVAL', `for i = 1, 30000 do redis.call('SET', 'other' .. i, '1') end`, '0');
    expect(await removing).toBe(COUNT);
    expect(await cache.keys()).toEqual([]);
    await server().cli('FLUSHALL');
  });

  /** Bytes that the table of keys takes, whether it is full or not. */
  const tableBytes = async () =>
    Number(/"overhead\.hashtable\.main",(\d+)/.exec(JSON.stringify(await server().cli('MEMORY', 'STATS')))?.[1]);

  test('are listed once each, though SCAN gives some twice when the table of keys shrinks under it', async () => {
    await server().cli('CONFIG', 'SET', 'hz', '500');
    const gate = await startGate(server());
    const { cache, prefix } = cacheOn(gate);
    await server().cli('EVAL', `for i = 1, 200 do redis.call('SET', '${prefix}#k' .. i, '1') end`, '0');
    for (let round = 0; round < 14; round++) {
      await server().cli('EVAL', `for i = 1, 20000 do redis.call('SET', 'other' .. i, '1') end`, '0');
      let held = gate.holdCommand('SCAN');
      const listing = cache.keys();
      // Some pages of the large table, then the rest of the small one.
      for (let page = 0; page < 2 + round; page++) {
        await held.reached;
        const next = gate.holdCommand('SCAN');
        held.release();
        held = next;
      }
      await held.reached;
      await server().cli('EVAL', `for i = 1, 20000 do redis.call('DEL', 'other' .. i) end`, '0');
      await eventually(async () => (await tableBytes()) < 50_000);
      held.release();
      expect((await listing).length).toBe(200);
    }
    await server().cli('CONFIG', 'SET', 'hz', '10');
  });
});

describe('clear', () => {
  test('removes all that has the prefix and counts it', async () => {
    const { cache, pool, prefix } = cacheOn(server());
    await cache.putMany(['a', 'b', 'c'].map((key) => [key, 1]));
    await pool.set(`${prefix}x#k`, '1');
    expect(await cache.clear()).toBe(3);
    expect(await cache.clear()).toBe(0);
    expect(await pool.exists(`${prefix}x#k`)).toBe(1);
  });

  test('is refused without a prefix, and says what to do', async () => {
    const { cache, pool } = cacheOn(server(), { prefix: '' }, { keyPrefix: 'app:' });
    await pool.set('k', '1');
    expect(await failure(cache.clear())).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT', message: /remove\('\*'\)/ });
    expect(await pool.exists('k')).toBe(1);
    expect(await cache.removeByPattern('*')).toBe(1);
  });

  test('never uses KEYS', async () => {
    const { cache } = cacheOn(server());
    await cache.put('k', 1);
    await server().cli('CONFIG', 'RESETSTAT');
    await cache.keys('*');
    await cache.removeByPattern('k*');
    await cache.clear();
    expect(String(await server().cli('INFO', 'commandstats'))).not.toContain('cmdstat_keys');
  });
});
