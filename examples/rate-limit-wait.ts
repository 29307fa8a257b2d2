// To be slowed down instead of refused: a job that calls a service which allows one call per 100 ms.
import { RateLimitedError, Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'wait:' }).validate();
const pace = engine.getRedis().getRateLimiter({ algorithm: 'gcra', limit: 10, period: '1s', burst: 1 });

try {
  const start = performance.now();
  await Promise.all(
    ['first', 'second', 'third', 'fourth'].map(async (job) => {
      await pace.wait('partner-api');
      console.log(`${job} job`);
    }),
  );
  console.log('took 300 ms or more:', performance.now() - start >= 299);

  // Whoever cannot be served in time learns it at once.
  const busy = engine.getRedis().getRateLimiter({ limit: 1, period: '1h' });
  await busy.consume('report');
  const refused = await busy.wait('report', { timeout: '5s' }).catch((error: unknown) => error);
  if (refused instanceof RateLimitedError)
    console.log('minutes to wait:', Math.ceil(refused.result.retryAfter / 60_000));

  // Whoever does not want to wait any more leaves, and nothing is counted.
  const left = await busy.wait('report', { signal: AbortSignal.timeout(50) }).catch((error: Error) => error.name);
  console.log('left:', left);
} finally {
  await engine.close();
  await server.close();
}
