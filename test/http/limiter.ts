import type { RateLimiter, RateLimiterSettings, RateLimitRule } from '../../src/index.js';
import { engineOn } from '../support/engine.js';

let made = 0;

/** A limiter that counts for itself, by default 2 requests per minute; its engine is closed after the test. */
export function limiterOn(address: string, options: Partial<RateLimitRule> & RateLimiterSettings = {}): RateLimiter {
  return engineOn(address, { commandTimeout: '2s' })
    .getRedis()
    .getRateLimiter({ limit: 2, period: '1m', name: 'per-minute', prefix: `test-${++made}:`, ...options });
}
