import { describe, expectTypeOf, test } from 'vitest';
import type {
  HeaderOptions,
  RateLimitAlgorithm,
  RateLimitedError,
  RateLimiter,
  RateLimiterOptions,
  RateLimitResult,
  RateLimitRule,
  RedisPool,
  WaitOptions,
  WhenDown,
} from '../../src/index.js';

declare const redis: RedisPool;
declare const limiter: RateLimiter;

describe('rateLimit', () => {
  test('answers yes or no', () => {
    expectTypeOf(redis.rateLimit('login:anna', '1m', 5)).toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(redis.rateLimit('login:anna', 60_000, 5)).toEqualTypeOf<Promise<boolean>>();
  });

  test('refuses wrong arguments at compile time', () => {
    // @ts-expect-error no limit
    void redis.rateLimit('key', '1m');
    // @ts-expect-error not a unit
    void redis.rateLimit('key', '1 minute', 5);
    // @ts-expect-error the period comes before the limit
    void redis.rateLimit('key', 5, '1m');
    // @ts-expect-error a limit that depends on the key is for getRateLimiter
    void redis.rateLimit('key', '1m', () => 5);
    // @ts-expect-error a key is a string
    void redis.rateLimit(Buffer.from('key'), '1m', 5);
  });
});

describe('getRateLimiter', () => {
  test('takes one rule, or several', () => {
    expectTypeOf(redis.getRateLimiter({ limit: 5, period: '1m' })).toEqualTypeOf<RateLimiter>();
    const rule = { algorithm: 'gcra', limit: 5, period: '1m', burst: 2, name: 'api' } as const;
    expectTypeOf(redis.getRateLimiter({ ...rule, prefix: 'p:', whenDown: 'local' })).toEqualTypeOf<RateLimiter>();
    expectTypeOf(
      redis.getRateLimiter({ rules: [rule, { limit: 9, period: 1_000 }] as const }),
    ).toEqualTypeOf<RateLimiter>();
    expectTypeOf<RateLimitAlgorithm>().toEqualTypeOf<'sliding-window' | 'gcra' | 'fixed-window'>();
    expectTypeOf<WhenDown>().toEqualTypeOf<'throw' | 'allow' | 'deny' | 'local'>();
    expectTypeOf<{ rules: RateLimitRule[]; shadow: true; maxDenials: 0 }>().toExtend<RateLimiterOptions>();
  });

  test('takes a limit that depends on the key', () => {
    redis.getRateLimiter({ limit: (key) => key.length, period: '1m' });
    // @ts-expect-error a limit is known at once
    redis.getRateLimiter({ limit: async () => 5, period: '1m' });
  });

  test('tells of outages', () => {
    redis.getRateLimiter({
      limit: 5,
      period: '1m',
      onDown: (error) => void expectTypeOf(error).toEqualTypeOf<Error>(),
    });
  });

  test('refuses wrong options at compile time', () => {
    // @ts-expect-error no limit
    redis.getRateLimiter({ period: '1m' });
    // @ts-expect-error no period
    redis.getRateLimiter({ limit: 5 });
    // @ts-expect-error no such algorithm
    redis.getRateLimiter({ algorithm: 'leaky-bucket', limit: 5, period: '1m' });
    // @ts-expect-error no such answer
    redis.getRateLimiter({ limit: 5, period: '1m', whenDown: 'ignore' });
    // @ts-expect-error misspelt
    redis.getRateLimiter({ limit: 5, period: '1m', whendown: 'deny' });
    // @ts-expect-error nothing is limited
    redis.getRateLimiter({});
  });
});

describe('a limiter', () => {
  test('answers with a result', () => {
    expectTypeOf(limiter.consume('key')).toEqualTypeOf<Promise<RateLimitResult>>();
    expectTypeOf(limiter.consume('key', 5)).toEqualTypeOf<Promise<RateLimitResult>>();
    expectTypeOf(limiter.peek('key')).toEqualTypeOf<Promise<RateLimitResult>>();
    expectTypeOf(limiter.wait('key')).toEqualTypeOf<Promise<RateLimitResult>>();
    expectTypeOf(limiter.wait).parameter(1).toEqualTypeOf<WaitOptions | undefined>();
    expectTypeOf<RateLimitResult>().toEqualTypeOf<{
      readonly allowed: boolean;
      readonly exceeded: boolean;
      readonly limit: number;
      readonly remaining: number;
      readonly retryAfter: number;
      readonly resetAfter: number;
      readonly rule: string;
      readonly degraded: boolean;
    }>();
    expectTypeOf<RateLimitedError['result']>().toEqualTypeOf<RateLimitResult>();
  });

  test('does the rest and answers nothing', () => {
    expectTypeOf(limiter.reset('key')).toEqualTypeOf<Promise<void>>();
    expectTypeOf(limiter.penalty('key', 5)).toEqualTypeOf<Promise<void>>();
    expectTypeOf(limiter.reward('key')).toEqualTypeOf<Promise<void>>();
    expectTypeOf(limiter.block('key', '15m')).toEqualTypeOf<Promise<void>>();
    expectTypeOf(limiter.headers).parameters.toEqualTypeOf<
      [result: RateLimitResult, options?: HeaderOptions | undefined]
    >();
  });

  test('refuses wrong arguments at compile time', () => {
    // @ts-expect-error a key is a string
    void limiter.consume(5);
    // @ts-expect-error a cost is a number
    void limiter.consume('key', '5');
    // @ts-expect-error for how long
    void limiter.block('key');
    // @ts-expect-error a cost is an option
    void limiter.wait('key', 5);
    // @ts-expect-error misspelt
    void limiter.wait('key', { timeOut: '5s' });
  });
});
