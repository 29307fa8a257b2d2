// What a limiter says: how much is left, when to come again, and the HTTP headers for it.
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'results:' }).validate();
// Made once and kept.
const limiter = engine.getRedis().getRateLimiter({ name: 'search', limit: 3, period: '1h' });
const minutes = (ms: number) => Math.ceil(ms / 60_000);

try {
  for (let call = 1; call <= 4; call++) {
    const { allowed, remaining, limit, retryAfter, resetAfter } = await limiter.consume('ada');
    console.log(`call ${call}: ${allowed ? 'allowed' : 'denied'}, ${remaining} of ${limit} left`);
    if (!allowed) console.log(`again in ${minutes(retryAfter)} minutes, all of it in ${minutes(resetAfter)}`);
  }

  // To look without counting.
  const { remaining } = await limiter.peek('grace');
  console.log(`grace has ${remaining} left`);

  // A call may count for more than one, and for more than there ever is.
  console.log('2 at once:', (await limiter.consume('grace', 2)).allowed);
  console.log('4 at once:', (await limiter.consume('grace', 4)).retryAfter);

  console.log(limiter.headers(await limiter.consume('grace')));
} finally {
  await engine.close();
  await server.close();
}
