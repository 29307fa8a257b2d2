/* A process of `processes.test.ts`: consumes one key, as often as it is told, and says how often it was allowed. */
import { Registry } from '../../src/index.js';
import type { RateLimitAlgorithm } from '../../src/limit/quota.js';

export interface ConsumerRequest {
  readonly algorithm: RateLimitAlgorithm;
  readonly limit: number;
  readonly key: string;
  readonly calls: number;
  /** How many of them are under way at a time. */
  readonly concurrency: number;
}

const engine = new Registry().registerRedis(process.argv[2] as string).validate();

process.on('message', async ({ algorithm, limit, key, calls, concurrency }: ConsumerRequest) => {
  const limiter = engine.getRedis().getRateLimiter({ algorithm, limit, period: '1h', maxDenials: 0 });
  let allowed = 0;
  let left = calls;
  const consume = async () => {
    while (left-- > 0) if ((await limiter.consume(key)).allowed) allowed++;
  };
  await Promise.all(Array.from({ length: concurrency }, consume));
  process.send?.(allowed);
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
