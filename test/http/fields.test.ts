import { describe, expect, test } from 'vitest';
import type { RateLimiterOptions, RateLimitResult } from '../../src/index.js';
import { engineOn } from '../support/engine.js';
import { useRedis } from '../support/redis.js';

const redis = useRedis();

/** The header fields of a limiter for a result: by default an allowed one of a rule called `rule`. */
function fieldsOf(options: RateLimiterOptions, result: Partial<RateLimitResult> = {}, legacy = false) {
  const allowed = { allowed: true, exceeded: false, limit: 10, remaining: 9, retryAfter: 0, resetAfter: 60_000 };
  const limiter = engineOn(redis().address).getRedis().getRateLimiter(options);
  return limiter.headers({ ...allowed, rule: 'rule', degraded: false, ...result }, { legacy });
}

const denied = { allowed: false, exceeded: true, remaining: 0 };

describe('headers', () => {
  test('are structured fields: strings escaped, whole seconds rounded up, integers of 15 digits at most', () => {
    const name = 'a "b" \\c';
    const fields = fieldsOf(
      { algorithm: 'fixed-window', name, limit: 2 ** 52, period: 1_500 },
      { rule: name, limit: 2 ** 52, remaining: 2 ** 52 - 1, resetAfter: 1_001 },
    );
    expect(fields).toEqual({
      'RateLimit-Policy': '"a \\"b\\" \\\\c";q=999999999999999;w=2',
      RateLimit: '"a \\"b\\" \\\\c";r=999999999999999;t=2',
    });
  });

  test('list every policy, and say how the one that decided stands', () => {
    const rules = [
      { name: 'burst', limit: 10, period: '1s' },
      { name: 'rule', limit: () => 1_000, period: '1d' },
      { name: 'other', limit: () => 5, period: '1h' },
    ] as const;
    const fields = fieldsOf({ rules }, { limit: 1_000, remaining: 999, resetAfter: 86_400_000 });
    // The limit of a key that did not decide is not known.
    expect(fields['RateLimit-Policy']).toBe('"burst";q=10;w=1, "rule";q=1000;w=86400');
    expect(fields.RateLimit).toBe('"rule";r=999;t=86400');
  });

  test('a denial has a Retry-After that is no earlier than the end of the effective window', () => {
    const fields = fieldsOf(
      { name: 'rule', limit: 10, period: '1m' },
      { ...denied, retryAfter: 4_200, resetAfter: 60_000 },
    );
    expect(fields).toMatchObject({ 'Retry-After': '5', RateLimit: '"rule";r=0;t=5' });
  });

  test('what can never pass has no Retry-After', () => {
    const fields = fieldsOf({ name: 'rule', limit: 10, period: '1m' }, { ...denied, remaining: 3, retryAfter: -1 });
    expect(fields).not.toHaveProperty('Retry-After');
    expect(fields.RateLimit).toBe('"rule";r=3;t=60');
  });

  test('what would have been denied, in shadow mode, has no Retry-After', () => {
    const result = { ...denied, allowed: true, retryAfter: 4_200 };
    const fields = fieldsOf({ name: 'rule', limit: 10, period: '1m', shadow: true }, result);
    expect(fields).not.toHaveProperty('Retry-After');
    expect(fields.RateLimit).toBe('"rule";r=0;t=5');
  });

  test('windows say when they are whole again, and one that has not begun how long it is', () => {
    for (const algorithm of ['sliding-window', 'fixed-window'] as const) {
      const rule = { algorithm, name: 'rule', limit: 10, period: '1m' } as const;
      expect(fieldsOf(rule, { remaining: 9, resetAfter: 7_000 }).RateLimit).toBe('"rule";r=9;t=7');
      expect(fieldsOf(rule, { remaining: 10, resetAfter: 0 }).RateLimit).toBe('"rule";r=10;t=60');
    }
  });

  test('what refills all the time never invites to come faster than it lets in', () => {
    const rule = { algorithm: 'gcra', name: 'rule', limit: 10, period: '1m' } as const;
    expect(fieldsOf(rule, { remaining: 9, resetAfter: 6_000 }).RateLimit).toBe('"rule";r=9;t=54');
    expect(fieldsOf(rule, { remaining: 1, resetAfter: 54_000 }).RateLimit).toBe('"rule";r=1;t=54');
    expect(fieldsOf({ ...rule, burst: 100 }, { remaining: 99, resetAfter: 6_000 }).RateLimit).toBe('"rule";r=99;t=594');
  });

  test('the older fields are there on request, as they ever were', () => {
    const rule = { name: 'rule', limit: 10, period: '1m' } as const;
    expect(fieldsOf(rule, { resetAfter: 59_001 }, true)).toMatchObject({
      'X-RateLimit-Limit': '10',
      'X-RateLimit-Remaining': '9',
      'X-RateLimit-Reset': '60',
    });
  });
});
