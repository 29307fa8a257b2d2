import { expect, test } from 'vitest';
import { AbortError, type RateLimitAlgorithm, RateLimitedError, type RateLimitResult } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

const ALGORITHMS: RateLimitAlgorithm[] = ['sliding-window', 'gcra', 'fixed-window'];

/** So many calls in one turn of the event loop. */
function together<T>(count: number, call: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => call(index)));
}

function allowedOf(results: readonly RateLimitResult[]): number {
  return results.filter(({ allowed }) => allowed).length;
}

/** rateLimit() and limiters of every algorithm. */
export function limits(site: Site): void {
  test('rateLimit() counts over all processes', async () => {
    const { redis, elsewhere } = site;
    const key = site.key('limited');
    expect(await redis.rateLimit(key, '1h', 3)).toBe(true);
    expect(await elsewhere.rateLimit(key, '1h', 3)).toBe(true);
    expect(await redis.rateLimit(key, '1h', 3)).toBe(true);
    expect(await elsewhere.rateLimit(key, '1h', 3)).toBe(false);
    expect(await redis.rateLimit(key, '1h', 3)).toBe(false);
    expect(await redis.rateLimit(site.key('limited'), '1h', 3)).toBe(true);
  });

  test('never more than the limit, however many ask at once, for however many keys', async () => {
    const keys = site.keys(40, 'flood');
    const answers = await Promise.all(
      [site.redis, site.elsewhere].flatMap((redis) =>
        keys.map((key) => together(8, () => redis.rateLimit(key, '1h', 5))),
      ),
    );
    const perKey = keys.map(
      (_, i) => [...(answers[i] ?? []), ...(answers[i + keys.length] ?? [])].filter(Boolean).length,
    );
    expect(perKey).toEqual(keys.map(() => 5));
  });

  test.each(ALGORITHMS)('%s: consume, cost, peek and reset', async (algorithm) => {
    const limiter = site.redis.getRateLimiter({ algorithm, limit: 5, period: '1h' });
    const other = site.elsewhere.getRateLimiter({ algorithm, limit: 5, period: '1h' });
    const key = site.key(algorithm);
    expect(await limiter.peek(key)).toMatchObject({ allowed: true, remaining: 5, retryAfter: 0 });
    expect(await limiter.consume(key)).toMatchObject({ allowed: true, limit: 5, remaining: 4, retryAfter: 0 });
    expect(await other.consume(key, 3)).toMatchObject({ allowed: true, remaining: 1 });
    expect(await limiter.peek(key)).toMatchObject({ allowed: true, remaining: 1 });
    // What is denied counts for nothing.
    const denied = await limiter.consume(key, 2);
    expect(denied).toMatchObject({ allowed: false, remaining: 1, exceeded: true, degraded: false });
    expect(denied.retryAfter).toBeGreaterThan(0);
    expect(denied.resetAfter).toBeLessThanOrEqual(3_600_000);
    expect(await other.consume(key)).toMatchObject({ allowed: true, remaining: 0 });
    expect(await limiter.consume(key, 6)).toMatchObject({ allowed: false, retryAfter: -1 });
    await limiter.reset(key);
    expect(await limiter.consume(key, 5)).toMatchObject({ allowed: true, remaining: 0 });
  });

  test.each(ALGORITHMS)('%s: the room comes back', async (algorithm) => {
    const limiter = site.redis.getRateLimiter({ algorithm, limit: 2, period: 400 });
    const key = site.key(algorithm);
    expect(allowedOf(await together(4, () => limiter.consume(key)))).toBe(2);
    const { retryAfter } = await limiter.consume(key);
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(400);
    await eventually(async () => (await limiter.consume(key)).allowed);
  });

  test.each(ALGORITHMS)('%s: penalty, reward and block', async (algorithm) => {
    const limiter = site.redis.getRateLimiter({ algorithm, limit: 5, period: '1h' });
    const other = site.elsewhere.getRateLimiter({ algorithm, limit: 5, period: '1h' });
    const key = site.key(algorithm);
    await limiter.penalty(key, 4);
    expect((await other.peek(key)).remaining).toBe(1);
    await other.penalty(key, 3);
    expect(await limiter.consume(key)).toMatchObject({ allowed: false, remaining: 0 });
    await limiter.reward(key, 4);
    expect(await limiter.consume(key)).toMatchObject({ allowed: true });
    await other.reset(key);
    await limiter.block(key, '1h');
    const blocked = await other.consume(key);
    expect(blocked.allowed).toBe(false);
    expect(blocked.retryAfter).toBeGreaterThan(3_500_000);
    await other.reset(key);
    expect((await other.consume(key)).allowed).toBe(true);
  });

  test('a burst of its own bounds what passes at once', async () => {
    const limiter = site.redis.getRateLimiter({ algorithm: 'gcra', limit: 100, period: '1h', burst: 3 });
    const key = site.key('burst');
    expect(allowedOf(await together(10, () => limiter.consume(key)))).toBe(3);
    expect((await limiter.consume(key, 4)).retryAfter).toBe(-1);
  });

  test('several rules: a call is charged to all or to none', async () => {
    const quota = site.redis.getRateLimiter({
      rules: [
        { name: 'hourly', limit: 10, period: '1h' },
        { name: 'daily', limit: (key) => (key.includes('large') ? 1_000 : 12), period: '1d', algorithm: 'gcra' },
        { name: 'burst', limit: 9, period: '1m', algorithm: 'fixed-window' },
      ],
    });
    const small = site.key('small');
    expect(await quota.consume(small, 8)).toMatchObject({ allowed: true, rule: 'burst', remaining: 1 });
    expect(await quota.consume(small, 3)).toMatchObject({ allowed: false, rule: 'hourly', remaining: 2 });
    expect(await quota.consume(small)).toMatchObject({ allowed: true, rule: 'burst', remaining: 0 });
    const large = site.key('large');
    expect(await quota.consume(large, 8)).toMatchObject({ allowed: true });
    await quota.reset(small);
    expect(await quota.consume(small, 8)).toMatchObject({ allowed: true });
  });

  test('wait() lets calls pass in their turn, and says when there will be no room', async () => {
    const pace = site.redis.getRateLimiter({ algorithm: 'gcra', limit: 20, period: '1s', burst: 1 });
    const key = site.key('pace');
    const order: number[] = [];
    await together(4, (n) => pace.wait(key).then(() => order.push(n)));
    expect(order).toEqual([0, 1, 2, 3]);
    const hourly = site.redis.getRateLimiter({ limit: 1, period: '1h' });
    const used = site.key('used');
    await hourly.wait(used);
    expect(await failure(hourly.wait(used, { timeout: '1s' }))).toBeInstanceOf(RateLimitedError);
    const controller = new AbortController();
    const aborted = failure(hourly.wait(used, { signal: controller.signal }));
    controller.abort();
    expect(await aborted).toBeInstanceOf(AbortError);
  });

  test('what was denied is not asked again', async () => {
    const engine = site.open();
    let calls = 0;
    engine.registerQueryLogger(() => calls++, { operations: ['EVALSHA', 'EVAL'] });
    const limiter = engine.getRedis().getRateLimiter({ limit: 1, period: '1h' });
    const key = site.key('denied');
    await limiter.consume(key);
    expect((await limiter.consume(key)).allowed).toBe(false);
    const before = calls;
    expect(allowedOf(await together(100, () => limiter.consume(key)))).toBe(0);
    expect(calls).toBe(before);
    await limiter.reset(key);
    expect((await limiter.consume(key)).allowed).toBe(true);
  });

  test('shadow mode and headers', async () => {
    const limiter = site.redis.getRateLimiter({ name: 'search', limit: 1, period: '1h', shadow: true });
    const key = site.key('shadow');
    await limiter.consume(key);
    expect(await limiter.consume(key)).toMatchObject({ allowed: true, exceeded: true });
    const strict = site.redis.getRateLimiter({ name: 'search', limit: 2, period: '1h' });
    expect(strict.headers(await strict.consume(site.key('headers')))).toMatchObject({
      'RateLimit-Policy': '"search";q=2;w=3600',
    });
  });
}
