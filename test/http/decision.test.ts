import { describe, expect, test } from 'vitest';
import {
  type DecisionOptions,
  rateLimitExpress,
  rateLimitFastify,
  rateLimitHono,
  rateLimitKoa,
  rateLimitRequests,
} from '../../src/http/index.js';
import { InvalidArgumentError, type RateLimiter } from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { limiterOn } from './limiter.js';

const redis = useRedis();

describe('rateLimitRequests', () => {
  test('says of any request whether it may go on, and what to answer', async () => {
    const decide = rateLimitRequests(limiterOn(redis().address, { limit: 1 }), {
      key: (request: { user?: string }) => request.user,
      body: 'text',
    });

    expect(await decide({ user: 'ann' })).toEqual({
      allowed: true,
      key: 'ann',
      result: expect.objectContaining({ allowed: true, remaining: 0 }),
      headers: { 'RateLimit-Policy': '"per-minute";q=1;w=60', RateLimit: '"per-minute";r=0;t=60' },
    });
    expect(await decide({ user: 'ann' })).toEqual({
      allowed: false,
      key: 'ann',
      result: expect.objectContaining({ allowed: false, exceeded: true, rule: 'per-minute' }),
      headers: expect.objectContaining({ 'Retry-After': expect.stringMatching(/^\d+$/) }),
      status: 429,
      contentType: 'text/plain; charset=utf-8',
      body: 'Too many requests, please try again later.\n',
    });
    expect(await decide({})).toBeUndefined();
  });

  test.each<[string, object]>([
    ['no key', { key: undefined }],
    ['a key that is no function', { key: 'ann' }],
    ['a cost of nothing', { cost: 0 }],
    ['a broken cost', { cost: 1.5 }],
    ['an unknown body', { body: 'html' }],
    ['a body that every object has', { body: 'toString' }],
    ['a skip that is no function', { skip: true }],
    ['an unknown option', { onLimit: () => {} }],
  ])('refuses %s at once', (_name, options) => {
    const limiter = limiterOn(redis().address);
    const all = { key: () => 'ann', ...options } as DecisionOptions<unknown>;
    expect(() => rateLimitRequests(limiter, all)).toThrow(InvalidArgumentError);
  });

  test('a middleware refuses a prefix that is none at once', () => {
    expect(() => rateLimitExpress(limiterOn(redis().address), { ipv6Prefix: 0 })).toThrow(InvalidArgumentError);
  });
});

describe('every middleware', () => {
  type Make = (limiter: RateLimiter, options?: object) => unknown;
  const middlewares: Record<string, Make> = { rateLimitExpress, rateLimitFastify, rateLimitHono, rateLimitKoa };

  test.each(Object.entries(middlewares))(
    '%s refuses an option that it does not know, and one of the wrong kind',
    (name, make) => {
      const limiter = limiterOn(redis().address);
      const refused = (options: object) => expect(() => make(limiter, options));
      refused({ skp: () => true }).toThrow(`"skp" is not an option of ${name}; did you mean "skip"?`);
      refused({ keyGenerator: () => 'a' }).toThrow(`"keyGenerator" is not an option of ${name}; did you mean "key"?`);
      refused({ respond: 'slow down' }).toThrow(`respond of ${name} must be a function`);
      refused({ key: 'ann' }).toThrow(`key of ${name} must be a function`);
      expect(() => make(limiter, null as never)).toThrow(`${name} takes an object with options`);
    },
  );

  test.each(Object.entries(middlewares))('%s refuses what is no limiter, and shows how to make one', (name, make) => {
    const message = `${name} takes a limiter first: ${name}(redis.getRateLimiter({ limit: 100, period: '1m' }), options)`;
    for (const limiter of [undefined, { limit: 100, period: '1m' }, () => true]) {
      expect(() => make(limiter as never)).toThrow(message);
    }
  });
});
