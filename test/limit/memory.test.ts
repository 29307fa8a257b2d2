import { beforeEach, describe, expect, test } from 'vitest';
import type { RateLimiterOptions, RedisPool } from '../../src/index.js';
import { poolOn } from '../lock/support.js';
import { useRedis } from '../support/redis.js';
import { ScriptedLimits } from './scripted.js';
import { newKey, quotaOf } from './support.js';

const server = useRedis();
let redis: RedisPool;

beforeEach(() => {
  redis = poolOn(server());
});

/** The key that a limiter with one rule made for `key`. */
async function nameOf(key: string): Promise<string> {
  const names = await redis.keys(`*:${key}`);
  expect(names).toHaveLength(1);
  return names[0] as string;
}

async function bytesOf(key: string): Promise<number> {
  return Number(await redis.memoryUsage(await nameOf(key)));
}

/** So many calls of cost 1 that are remembered one by one. */
async function fill(key: string, calls: number): Promise<void> {
  // One script call each: what comes in one turn would be remembered as one.
  const limiters = Array.from({ length: 50 }, () => redis.getRateLimiter({ limit: 20_000, period: '1h' }));
  for (let made = 0; made < calls; ) {
    const round = limiters.slice(0, calls - made);
    await Promise.all(round.map((limiter) => limiter.consume(key)));
    made += round.length;
  }
}

describe('one key takes in Redis', () => {
  test.each(['gcra', 'fixed-window'] as const)('one small string, however much is counted (%s)', async (algorithm) => {
    const limiter = redis.getRateLimiter({ algorithm, limit: 1_000_000, period: '1h' });
    const key = newKey();
    for (let i = 0; i < 200; i++) await limiter.consume(key, 1 + i);
    await limiter.block(key, '1h');
    expect(await redis.type(await nameOf(key))).toBe('string');
    expect(await bytesOf(key)).toBeLessThan(150);
  });

  test('at most 16 bytes per remembered call and a fixed overhead (sliding window)', async () => {
    const sizes = new Map<number, number>();
    for (const calls of [1, 64, 65, 1_000, 10_000]) {
      const key = newKey();
      await fill(key, calls);
      sizes.set(calls, await bytesOf(key));
    }
    for (const [calls, bytes] of sizes) expect(bytes - 16 * calls, `${calls} calls`).toBeLessThan(512);
    // And no more from thousand to thousand: no overhead hides in the difference.
    const perCall = ((sizes.get(10_000) as number) - (sizes.get(1_000) as number)) / 9_000;
    expect(perCall).toBeLessThanOrEqual(16);
    expect(sizes.get(1)).toBeLessThan(150);
  });

  test('for calls of one turn no more than for one call', async () => {
    const limiter = redis.getRateLimiter({ limit: 20_000, period: '1h' });
    const key = newKey();
    await Promise.all(Array.from({ length: 10_000 }, () => limiter.consume(key)));
    expect(await bytesOf(key)).toBeLessThan(150);
  });

  test('nothing for what is denied', async () => {
    const limiter = redis.getRateLimiter({ limit: 1, period: '1h', maxDenials: 0 });
    const key = newKey();
    await limiter.consume(key);
    const before = await bytesOf(key);
    for (let i = 0; i < 200; i++) await limiter.consume(key);
    expect(await bytesOf(key)).toBe(before);
    const never = newKey();
    await limiter.consume(never, 2);
    await limiter.peek(never);
    expect(await redis.keys(`*:${never}`)).toEqual([]);
  });

  test('no more than what the window still holds (sliding window)', async () => {
    const pool = poolOn(server());
    const scripts = await new ScriptedLimits(pool, 's').load();
    const quotas = [quotaOf({ limit: 2_000, period: '1m' })];
    const lengths: number[] = [];
    let now = 2 ** 50;
    const calls = async (number: number, apartUs: number) => {
      const replies = Array.from({ length: number }, () => {
        now += apartUs;
        return scripts.decide('window', quotas, now, 1, 1);
      });
      for (const { accepted } of await Promise.all(replies)) expect(accepted).toBe(1);
      lengths.push(await pool.strLen('0:window'));
    };
    // 100 in any minute, then 1000 at once, then 10 in any minute.
    for (let minute = 0; minute < 3; minute++) await calls(100, 600_000);
    await calls(1_000, 1);
    for (let minute = 0; minute < 3; minute++) await calls(10, 6_000_000);
    expect(Math.max(...lengths.slice(0, 3))).toBeLessThan(101 * 16);
    expect(lengths[3]).toBeLessThan(1_101 * 16);
    // Places that are empty for good are given back.
    expect(Math.max(...lengths.slice(5))).toBeLessThan(300 * 16);
  });
});

describe('a key lives as long as it matters', () => {
  /** What is left of the key's time, in ms, and the time that passed meanwhile. */
  async function ttlOf(key: string): Promise<number> {
    return Number(await redis.pTTL(await nameOf(key)));
  }

  const PERIOD = 3_600_000;
  const cases: readonly [string, RateLimiterOptions, calls: number, lasts: number][] = [
    ['a sliding window: the period, or up to twice,', { limit: 500, period: PERIOD }, 1, PERIOD],
    ['a long sliding window: the same', { limit: 500, period: PERIOD }, 100, PERIOD],
    ['a fixed window: the period', { algorithm: 'fixed-window', limit: 500, period: PERIOD }, 3, PERIOD],
    ['GCRA: until all is free, or up to twice,', { algorithm: 'gcra', limit: 4, period: PERIOD }, 2, PERIOD / 2],
    ['GCRA with all used: the same', { algorithm: 'gcra', limit: 4, period: PERIOD }, 4, PERIOD],
  ];

  test.each(cases)('%s', async (_, options, calls, lasts) => {
    const limiter = redis.getRateLimiter(options);
    const key = newKey();
    const startedAt = performance.now();
    for (let i = 0; i < calls; i++) await limiter.consume(key);
    const { resetAfter } = await limiter.peek(key);
    const ttl = await ttlOf(key);
    const passed = performance.now() - startedAt;
    expect(ttl).toBeLessThanOrEqual(
      lasts * ('algorithm' in options && options.algorithm === 'fixed-window' ? 1 : 2) + 3,
    );
    expect(ttl).toBeGreaterThanOrEqual(lasts - passed - 1);
    // All that the key says is over by then.
    expect(ttl).toBeGreaterThanOrEqual(resetAfter - passed - 1);
  });

  test.each(['sliding-window', 'gcra', 'fixed-window'] as const)(
    'a blocked one as long as the block (%s)',
    async (algorithm) => {
      const limiter = redis.getRateLimiter({ algorithm, limit: 4, period: '1m' });
      const [fresh, used, many] = [newKey(), newKey(), newKey()];
      await limiter.consume(used);
      const large = redis.getRateLimiter({ algorithm, limit: 1_000, period: '1m' });
      for (let i = 0; i < 100; i++) await large.consume(many);
      const startedAt = performance.now();
      for (const key of [fresh, used, many]) await limiter.block(key, PERIOD);
      for (const key of [fresh, used, many]) {
        const ttl = await ttlOf(key);
        expect(ttl).toBeLessThanOrEqual(PERIOD * (algorithm === 'fixed-window' ? 1 : 2) + 3);
        expect(ttl).toBeGreaterThanOrEqual(PERIOD - (performance.now() - startedAt) - 1);
      }
      // And not shorter for what is counted or given back meanwhile.
      for (const change of [
        () => limiter.penalty(used),
        () => limiter.reward(used, 5),
        () => limiter.reward(many, 500),
      ]) {
        await change();
        for (const key of [used, many]) {
          expect(await ttlOf(key)).toBeGreaterThanOrEqual(PERIOD - (performance.now() - startedAt) - 1);
        }
      }
    },
  );

  test('and is gone then', async () => {
    const key = newKey();
    const limiter = redis.getRateLimiter({ limit: 2, period: 50 });
    await limiter.consume(key);
    await expect.poll(() => redis.keys(`*:${key}`)).toEqual([]);
  });

  test('and with every rule it has a TTL of its own', async () => {
    const limiter = redis.getRateLimiter({
      rules: [
        { limit: 5, period: '1m' },
        { algorithm: 'gcra', limit: 4, period: '1h' },
        { algorithm: 'fixed-window', limit: 5, period: '1d' },
      ],
    });
    const key = newKey();
    const startedAt = performance.now();
    await limiter.consume(key);
    const names = (await redis.keys(`*{:${key}}`)).sort();
    const lasts = [86_400_000, 900_000, 60_000];
    // All but that of a fixed window are set for twice the time.
    const most = [86_400_000, 1_800_000, 120_000];
    for (const [i, name] of names.entries()) {
      const ttl = Number(await redis.pTTL(name));
      expect(ttl, name).toBeLessThanOrEqual((most[i] as number) + 3);
      expect(ttl, name).toBeGreaterThanOrEqual((lasts[i] as number) - (performance.now() - startedAt) - 1);
    }
  });
});
