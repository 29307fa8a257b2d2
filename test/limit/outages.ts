import { onTestFinished } from 'vitest';
import type { RateLimiter, RateLimiterSettings, RateLimitRule } from '../../src/index.js';
import type { RedisServer } from '../../src/testing/index.js';
import { engineOn } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { newKey } from './support.js';

/** So long a command waits here for its answer, in ms: an outage begins no sooner. */
export const TIMEOUT_MS = 200;
export interface Watched {
  readonly limiter: RateLimiter;
  readonly close: () => Promise<void>;
  readonly downs: Error[];
  readonly ups: number[];
}

/** A limiter that has asked Redis once, and what it tells of outages. */
export async function watched(
  server: RedisServer,
  options: Partial<RateLimiterSettings & RateLimitRule> = {},
): Promise<Watched> {
  const engine = engineOn(server.address, { commandTimeout: TIMEOUT_MS, reconnect: { minDelay: 10, maxDelay: 50 } });
  const downs: Error[] = [];
  const ups: number[] = [];
  const limiter = engine.getRedis().getRateLimiter({
    limit: 5,
    period: '1h',
    onDown: (error) => downs.push(error),
    onUp: () => ups.push(performance.now()),
    ...options,
  });
  await engine.connect();
  // On a busy machine the first answer may take longer than what is an outage here.
  await eventually(async () => !(await limiter.consume(newKey('warm'))).degraded);
  downs.length = 0;
  ups.length = 0;
  return { limiter, close: () => engine.close({ timeout: 0 }), downs, ups };
}

/** Until the test is over, or the server is thawed. */
export async function freeze(server: RedisServer): Promise<void> {
  await server.freeze();
  onTestFinished(() => server.thaw());
}
