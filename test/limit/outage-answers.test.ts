import { describe, expect, test } from 'vitest';
import { eventually, useRedis } from '../support/redis.js';
import { freeze, watched } from './outages.js';
import { allowedOf, newKey, together } from './support.js';

const server = useRedis();

describe('the answers of an outage', () => {
  test("'allow' are yes", async () => {
    const { limiter } = await watched(server(), { whenDown: 'allow' });
    await freeze(server());
    for (const result of [
      await limiter.consume(newKey(), 100),
      await limiter.consume(newKey()),
      await limiter.peek('k'),
    ]) {
      expect(result).toEqual({
        allowed: true,
        exceeded: false,
        limit: 5,
        remaining: 5,
        retryAfter: 0,
        resetAfter: 0,
        rule: 'sliding-window-3600000ms',
        degraded: true,
      });
    }
    expect(await limiter.wait(newKey())).toMatchObject({ allowed: true, degraded: true });
  });

  test("'deny' are no, and say when to come back", async () => {
    const { limiter } = await watched(server(), { whenDown: 'deny' });
    await freeze(server());
    for (const result of [await limiter.consume(newKey()), await limiter.consume(newKey()), await limiter.peek('k')]) {
      expect(result).toMatchObject({ allowed: false, exceeded: true, remaining: 0, degraded: true });
      expect(result.retryAfter).toBeGreaterThan(0);
    }
  });

  test.each(['sliding-window', 'gcra', 'fixed-window'] as const)(
    "'local' keep the limit in this process (%s)",
    async (algorithm) => {
      const { limiter } = await watched(server(), { whenDown: 'local', algorithm, prefix: `${algorithm}:` });
      const [key, other] = [newKey(), newKey()];
      await freeze(server());
      const results = await together(20, () => limiter.consume(key));
      expect(results.map(({ allowed }) => allowed)).toEqual(Array.from({ length: 20 }, (_, i) => i < 5));
      expect(results.slice(0, 5).map(({ remaining }) => remaining)).toEqual([4, 3, 2, 1, 0]);
      expect(await limiter.consume(key)).toMatchObject({ allowed: false, exceeded: true, degraded: true });
      expect((await limiter.consume(key)).retryAfter).toBeGreaterThan(600_000);
      expect(await limiter.peek(other, 2)).toMatchObject({ allowed: true, remaining: 5, degraded: true });
      expect(await limiter.consume(other, 2)).toMatchObject({ allowed: true, remaining: 3, degraded: true });
      expect(await limiter.peek(other, 4)).toMatchObject({ allowed: false, remaining: 3, degraded: true });
      expect(await limiter.consume(other, 6)).toMatchObject({ allowed: false, retryAfter: -1, degraded: true });
    },
  );

  test("'local' end a window a period after it began", async () => {
    const { limiter } = await watched(server(), {
      whenDown: 'local',
      algorithm: 'fixed-window',
      period: '1h',
      prefix: 'hour:',
    });
    await freeze(server());
    await limiter.consume('first');
    const { resetAfter } = await limiter.consume(newKey());
    expect(resetAfter).toBe(3_600_000);
  });

  test("'local' begin anew with each outage", async () => {
    const { limiter, downs, ups } = await watched(server(), { whenDown: 'local' });
    const key = newKey();
    for (const outage of [1, 2]) {
      await server().freeze();
      expect(allowedOf(await together(10, () => limiter.consume(key)))).toBe(5);
      await server().thaw();
      await eventually(async () => !(await limiter.peek(key)).degraded);
      expect([downs.length, ups.length]).toEqual([outage, outage]);
    }
  });

  test('in shadow mode are always yes', async () => {
    const { limiter } = await watched(server(), { whenDown: 'deny', shadow: true });
    await freeze(server());
    expect(await limiter.consume(newKey())).toMatchObject({ allowed: true, exceeded: true, degraded: true });
  });
});
