import { describe, expect, test } from 'vitest';
import { type DecisionOptions, rateLimitExpress, rateLimitRequests } from '../../src/http/index.js';
import { InvalidArgumentError } from '../../src/index.js';
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
  ])('refuses %s at once', (_name, options) => {
    const limiter = limiterOn(redis().address);
    const all = { key: () => 'ann', ...options } as DecisionOptions<unknown>;
    expect(() => rateLimitRequests(limiter, all)).toThrow(InvalidArgumentError);
  });

  test('a middleware refuses a prefix that is none at once', () => {
    expect(() => rateLimitExpress(limiterOn(redis().address), { ipv6Prefix: 0 })).toThrow(InvalidArgumentError);
  });
});
