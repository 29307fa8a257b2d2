// Before a limit is switched on: see whom it would hit.
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'shadow:' }).validate();
const limiter = engine.getRedis().getRateLimiter({ limit: 3, period: '1h', shadow: true });

try {
  let wouldBeDenied = 0;
  for (let call = 0; call < 5; call++) {
    const { allowed, exceeded } = await limiter.consume('ada');
    if (!allowed) throw new Error('never');
    if (exceeded) wouldBeDenied++;
  }
  console.log(`5 calls allowed, ${wouldBeDenied} of them would be denied`);
} finally {
  await engine.close();
  await server.close();
}
