import { describe, expect, test } from 'vitest';
import { InvalidArgumentError, type RateLimitAlgorithm } from '../../src/index.js';
import { poolOn } from '../lock/support.js';
import { failure } from '../support/engine.js';
import { useRedis } from '../support/redis.js';
import { allowedOf, limiterOn, newKey, together } from './support.js';

const server = useRedis();

const ALGORITHMS: readonly RateLimitAlgorithm[] = ['sliding-window', 'gcra', 'fixed-window'];

describe.each(ALGORITHMS)('a limiter (%s)', (algorithm) => {
  const limiter = (limit: number) => limiterOn(server(), { algorithm, limit, period: '1h', prefix: `${algorithm}:` });
  /** With GCRA an hour's limit is free again bit by bit. */
  const nextMs = (limit: number) => (algorithm === 'gcra' ? 3_600_000 / limit : 3_600_000);

  test('allows what there is room for, and says what is left', async () => {
    const limits = limiter(5);
    const key = newKey();
    const first = await limits.consume(key);
    expect(first).toEqual({
      allowed: true,
      exceeded: false,
      limit: 5,
      remaining: 4,
      retryAfter: 0,
      resetAfter: expect.any(Number),
      rule: `${algorithm}-3600000ms`,
      degraded: false,
    });
    expect(first.resetAfter).toBe(nextMs(5));
    expect(await limits.consume(key, 3)).toMatchObject({ allowed: true, remaining: 1, retryAfter: 0 });
    const denied = await limits.consume(key, 2);
    expect(denied).toMatchObject({ allowed: false, exceeded: true, limit: 5, remaining: 1, degraded: false });
    expect(denied.retryAfter).toBeGreaterThan(nextMs(5) - 30_000);
    expect(denied.retryAfter).toBeLessThanOrEqual(nextMs(5));
    expect(denied.resetAfter).toBeGreaterThanOrEqual(denied.retryAfter);
    expect(denied.resetAfter).toBeLessThanOrEqual(3_600_000);
    expect(await limits.consume(key)).toMatchObject({ allowed: true, remaining: 0 });
    expect(await limits.consume(key)).toMatchObject({ allowed: false, remaining: 0 });
  });

  test('never allows what costs more than there ever is', async () => {
    const limits = limiter(5);
    const key = newKey();
    expect(await limits.consume(key, 6)).toMatchObject({ allowed: false, remaining: 5, retryAfter: -1, resetAfter: 0 });
    expect(await limits.consume(key, 5)).toMatchObject({ allowed: true, remaining: 0 });
    expect(await limits.consume(key, 6)).toMatchObject({ allowed: false, remaining: 0, retryAfter: -1 });
    expect(await limits.peek(key, 6)).toMatchObject({ allowed: false, retryAfter: -1 });
  });

  test('looks without counting', async () => {
    const limits = limiter(5);
    const key = newKey();
    for (let i = 0; i < 10; i++) {
      expect(await limits.peek(key)).toMatchObject({ allowed: true, exceeded: false, remaining: 5, resetAfter: 0 });
    }
    expect(await poolOn(server()).keys(`${algorithm}:*${key}`)).toEqual([]);
    await limits.consume(key, 3);
    expect(await limits.peek(key, 2)).toMatchObject({ allowed: true, remaining: 2, retryAfter: 0 });
    expect(await limits.peek(key, 3)).toMatchObject({ allowed: false, exceeded: true, remaining: 2 });
    expect((await limits.peek(key, 3)).retryAfter).toBeGreaterThan(0);
    expect(await limits.consume(key, 2)).toMatchObject({ allowed: true, remaining: 0 });
  });

  test('forgets all when it is reset', async () => {
    const limits = limiter(2);
    const key = newKey();
    await limits.consume(key, 2);
    expect(await limits.consume(key)).toMatchObject({ allowed: false });
    await limits.reset(key);
    expect(await limits.consume(key)).toMatchObject({ allowed: true, remaining: 1 });
    await limits.block(key, '1h');
    await limits.reset(key);
    expect(await limits.consume(key)).toMatchObject({ allowed: true, remaining: 1 });
  });

  test('counts penalties beyond the limit, and gives rewards back', async () => {
    const limits = limiter(5);
    const key = newKey();
    await limits.penalty(key, 3);
    expect(await limits.peek(key)).toMatchObject({ allowed: true, remaining: 2 });
    await limits.penalty(key);
    await limits.penalty(key, 4);
    expect(await limits.peek(key)).toMatchObject({ allowed: false, remaining: 0 });
    expect(await limits.consume(key)).toMatchObject({ allowed: false });
    await limits.reward(key, 3);
    expect(await limits.consume(key)).toMatchObject({ allowed: false });
    await limits.reward(key);
    expect(await limits.consume(key)).toMatchObject({ allowed: true, remaining: 0 });
    await limits.reward(key, 100);
    expect(await limits.peek(key)).toMatchObject({ allowed: true, remaining: 5 });
    await limits.reward(newKey());
  });

  test('counts penalties and rewards as large as they may be', async () => {
    const limits = limiter(5);
    const key = newKey();
    for (let i = 0; i < 3; i++) await limits.penalty(key, 2 ** 31);
    expect(await limits.peek(key)).toMatchObject({ allowed: false, remaining: 0 });
    for (let i = 0; i < 3; i++) await limits.reward(key, 2 ** 31);
    expect(await limits.peek(key)).toMatchObject({ allowed: true, remaining: 5 });
  });

  test('denies all while a key is blocked, and then counts on', async () => {
    const limits = limiter(5);
    const key = newKey();
    await limits.consume(key, 2);
    await limits.block(key, '2h');
    const denied = await limits.consume(key);
    expect(denied).toMatchObject({ allowed: false, remaining: 0 });
    expect(denied.retryAfter).toBeGreaterThan(7_100_000);
    expect(denied.retryAfter).toBeLessThanOrEqual(7_200_000);
    expect(denied.resetAfter).toBe(denied.retryAfter);
    await limits.reward(key);
    await limits.penalty(key, 2);
    expect(await limits.peek(key)).toMatchObject({ allowed: false, remaining: 0 });
    // The last block is the one that counts.
    await limits.block(key, 50);
    await limits.reward(key); // Forgets the denial, too.
    const { retryAfter } = await limits.peek(key);
    expect(retryAfter).toBeLessThanOrEqual(50);
    expect(await limits.wait(key)).toMatchObject({ allowed: true, remaining: 2 });
  });

  test('blocks a key that was never seen', async () => {
    const limits = limiter(5);
    const key = newKey();
    await limits.block(key, '2h');
    expect(await limits.consume(key)).toMatchObject({ allowed: false, remaining: 0 });
    expect((await limits.peek(key)).retryAfter).toBeGreaterThan(7_100_000);
  });

  test('in shadow mode allows all, and says what it would have denied', async () => {
    const key = newKey();
    const options = { algorithm, limit: 2, period: '1h', prefix: `shadow-${algorithm}:` } as const;
    const shadow = limiterOn(server(), { ...options, shadow: true });
    const results = [await shadow.consume(key), await shadow.consume(key), await shadow.consume(key)];
    expect(results.map(({ allowed }) => allowed)).toEqual([true, true, true]);
    expect(results.map(({ exceeded }) => exceeded)).toEqual([false, false, true]);
    expect(results[2]?.retryAfter).toBeGreaterThan(0);
    expect(await shadow.consume(key)).toMatchObject({ allowed: true, exceeded: true });
    expect(await shadow.peek(key)).toMatchObject({ allowed: true, exceeded: true });
    expect(await shadow.wait(key)).toMatchObject({ allowed: true, exceeded: true });
    // What exceeded was not counted: it is the limit itself that counts, not what came.
    expect(await limiterOn(server(), options).peek(key)).toMatchObject({ allowed: false, remaining: 0 });
  });

  test('allows the limit and no more when all come in one turn, in their order', async () => {
    const limits = limiter(300);
    const results = await together(1_000, () => limits.consume('crowd'));
    expect(results.map(({ allowed }) => allowed)).toEqual(Array.from({ length: 1_000 }, (_, i) => i < 300));
    expect(results.slice(0, 300).map(({ remaining }) => remaining)).toEqual(
      Array.from({ length: 300 }, (_, i) => 299 - i),
    );
    expect(results.slice(300).every(({ remaining, retryAfter }) => remaining === 0 && retryAfter > 0)).toBe(true);
  });

  test('allows of calls of different costs in one turn no more than the limit', async () => {
    const limits = limiter(20);
    const key = newKey();
    const costs = [3, 1, 7, 3, 1, 7, 3, 1, 7, 3, 1, 7];
    const results = await Promise.all(costs.map((cost) => limits.consume(key, cost)));
    const used = costs.reduce((sum, cost, i) => sum + (results[i]?.allowed ? cost : 0), 0);
    expect(used).toBeLessThanOrEqual(20);
    expect(await limits.peek(key)).toMatchObject({ remaining: 20 - used });
    // What was denied had no room when its turn came, and nothing was given back since.
    expect(Math.min(...costs.filter((_, i) => !results[i]?.allowed))).toBeGreaterThan(20 - used);
  });
});

describe('several rules', () => {
  const rules = [
    { name: 'burst', limit: 3, period: '1h' },
    { name: 'daily', algorithm: 'fixed-window', limit: 5, period: '1d' },
    { name: 'steady', algorithm: 'gcra', limit: 100, period: '1d' },
  ] as const;

  test('a call that one of them denies charges none', async () => {
    const key = newKey();
    const all = limiterOn(server(), { rules, maxDenials: 0 });
    expect(await all.consume(key, 3)).toMatchObject({ allowed: true, rule: 'burst', limit: 3, remaining: 0 });
    for (let i = 0; i < 10; i++) {
      expect(await all.consume(key)).toMatchObject({ allowed: false, rule: 'burst', limit: 3, remaining: 0 });
    }
    expect(await all.peek(key, 4)).toMatchObject({ allowed: false, rule: 'burst', retryAfter: -1 });
    // The same rules, read alone: of the 13 calls 3 were charged.
    const pool = poolOn(server());
    const keys = await pool.keys(`*{:${key}}`);
    expect(keys.length).toBe(3);
    await pool.del(keys.filter((name) => name.startsWith('limit:s')));
    expect(await all.peek(key)).toMatchObject({ allowed: true, rule: 'daily', limit: 5, remaining: 2 });
    await pool.del(keys.filter((name) => name.startsWith('limit:f')));
    const rest = limiterOn(server(), {
      rules: [{ ...rules[0], limit: 1_000 }, { ...rules[1], limit: 1_000 }, rules[2]],
    });
    expect(await rest.peek(key)).toMatchObject({ allowed: true, rule: 'steady', remaining: 97 });
  });

  test('the one that denies for longest decides', async () => {
    const key = newKey();
    const all = limiterOn(server(), { rules });
    await all.consume(key, 3);
    await all.penalty(key, 2);
    const denied = await all.consume(key);
    expect(denied).toMatchObject({ allowed: false, rule: 'daily', limit: 5 });
    expect(denied.retryAfter).toBeGreaterThan(3_600_000);
  });

  test('of the same algorithm and period count apart', async () => {
    const key = newKey();
    const twins = limiterOn(server(), {
      rules: [
        { name: 'few', limit: 2, period: '1h' },
        { name: 'many', limit: 5, period: '1h' },
      ],
    });
    await twins.consume(key);
    expect(await twins.peek(key)).toMatchObject({ rule: 'few', remaining: 1 });
    expect(await poolOn(server()).keys(`*{:${key}}`)).toHaveLength(2);
  });

  test('are all penalised, rewarded, blocked and reset', async () => {
    const key = newKey();
    const all = limiterOn(server(), { rules });
    await all.penalty(key, 5);
    await all.reward(key, 2);
    expect(await all.peek(key)).toMatchObject({ allowed: false, rule: 'burst', remaining: 0 });
    await all.block(key, '2d');
    expect((await all.peek(key)).retryAfter).toBeGreaterThan(47 * 3_600_000);
    await all.reset(key);
    expect(await all.peek(key)).toMatchObject({ allowed: true, rule: 'burst', remaining: 3 });
    expect(await poolOn(server()).keys(`*{:${key}}`)).toEqual([]);
  });

  test('allow the limit and no more when all come in one turn', async () => {
    const all = limiterOn(server(), { rules: rules.map((rule) => ({ ...rule, limit: rule.limit * 10 })) });
    const results = await together(100, () => all.consume('crowd of rules'));
    expect(allowedOf(results)).toBe(30);
    expect(results.slice(0, 30).map(({ remaining }) => remaining)).toEqual(
      Array.from({ length: 30 }, (_, i) => 29 - i),
    );
  });
});

describe('a limit that depends on the key', () => {
  const byPlan = { limit: (key: string) => (key.startsWith('gold') ? 5 : 1), period: '1h' } as const;

  test('is the one of that key', async () => {
    const limits = limiterOn(server(), byPlan);
    const [gold, free] = [newKey('gold'), newKey('free')];
    const golds = await together(6, () => limits.consume(gold));
    const frees = await together(6, () => limits.consume(free));
    expect([allowedOf(golds), allowedOf(frees)]).toEqual([5, 1]);
    expect([golds[0]?.limit, frees[0]?.limit]).toEqual([5, 1]);
    expect(await limits.peek(gold)).toMatchObject({ limit: 5, remaining: 0 });
  });

  test('may change, and what was counted stays', async () => {
    for (const algorithm of ['sliding-window', 'fixed-window'] as const) {
      let limit = 4;
      const key = newKey();
      const limits = limiterOn(server(), { algorithm, limit: () => limit, period: '1h' });
      expect(allowedOf(await together(6, () => limits.consume(key)))).toBe(4);
      limit = 8;
      // A denial by the limit of before does not hold.
      expect(await limits.consume(key)).toMatchObject({ allowed: true, limit: 8, remaining: 3 });
      limit = 2;
      expect(await limits.consume(key)).toMatchObject({ allowed: false, limit: 2, remaining: 0 });
    }
  });

  test('may change with GCRA, and the time until all is free again stays', async () => {
    let limit = 4;
    const key = newKey();
    const limits = limiterOn(server(), { algorithm: 'gcra', limit: () => limit, period: '1h' });
    await limits.consume(key, 2);
    for (limit of [8, 1_000, 7, 2]) {
      const { remaining, resetAfter } = await limits.peek(key);
      expect(Math.abs(remaining - limit / 2)).toBeLessThan(10);
      expect(resetAfter).toBeGreaterThan(1_770_000);
      expect(resetAfter).toBeLessThanOrEqual(1_800_000);
    }
  });

  test('that is no limit is an error of that call, and nothing was sent', async () => {
    for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5' as unknown as number]) {
      const limits = limiterOn(server(), { limit: () => limit, period: '1h' });
      const key = newKey();
      for (const call of [
        () => limits.consume(key),
        () => limits.peek(key),
        () => limits.wait(key),
        () => limits.penalty(key),
        () => limits.reset(key),
      ]) {
        const error = await failure(call());
        expect(error).toBeInstanceOf(InvalidArgumentError);
        expect(error?.message).toContain(`limit must be a whole number of 1 or more, got ${limit}`);
      }
    }
  });

  test('that cannot be told is the error of that call', async () => {
    const limits = limiterOn(server(), {
      limit: (key) => {
        if (key === 'unknown') throw new Error('no such customer');
        return 1;
      },
      period: '1h',
    });
    expect(await failure(limits.consume('unknown'))).toMatchObject({ message: 'no such customer' });
    expect(await limits.consume(newKey())).toMatchObject({ allowed: true });
  });
});

describe('rateLimit', () => {
  test('keeps passwords from being tried', async () => {
    const redis = poolOn(server());
    const email = `${newKey('anna')}@example.com`;
    const attempt = () => redis.rateLimit(`login:${email}`, '1m', 5);
    const answers: boolean[] = [];
    for (let i = 0; i < 8; i++) answers.push(await attempt());
    expect(answers).toEqual([true, true, true, true, true, false, false, false]);
    expect(await redis.rateLimit('login:somebody else', '1m', 5)).toBe(true);
  });

  test('counts a key once, however its period is written and whatever the limit', async () => {
    const redis = poolOn(server());
    const key = newKey();
    expect(await redis.rateLimit(key, '1h', 2)).toBe(true);
    expect(await redis.rateLimit(key, 3_600_000, 2)).toBe(true);
    expect(await redis.rateLimit(key, '60m', 2)).toBe(false);
    expect(await redis.rateLimit(key, '1h', 3)).toBe(true);
    expect(await redis.rateLimit(key, '1h', 3)).toBe(false);
    expect(await redis.rateLimit(key, '2h', 1)).toBe(true);
  });

  test('lets calls pass again when the window has gone on', async () => {
    const redis = poolOn(server());
    const key = newKey();
    expect(await together(3, () => redis.rateLimit(key, 100, 2))).toEqual([true, true, false]);
    await redis.getRateLimiter({ limit: 2, period: 100 }).wait(key);
    expect(await redis.rateLimit(key, 100, 2)).toBe(true);
  });

  test('keeps its promise with more periods and limits than it remembers', async () => {
    const redis = poolOn(server());
    const key = newKey();
    expect(await redis.rateLimit(key, '1h', 1)).toBe(true);
    await together(2_500, (i) => redis.rateLimit(key, 3_600_001 + i, 1));
    expect(await redis.rateLimit(key, '1h', 1)).toBe(false);
  });
});
