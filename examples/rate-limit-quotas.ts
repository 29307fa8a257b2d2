// The quota of an API: several rules at once, a limit that depends on who asks, and calls that cost more than others.
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'quotas:' }).validate();

/** What the service knows of its customers. */
const large = new Set(['acme']);

const quota = engine.getRedis().getRateLimiter({
  prefix: 'api:',
  rules: [
    { name: 'hourly', limit: 10, period: '1h' },
    { name: 'daily', limit: (customer) => (large.has(customer) ? 1000 : 12), period: '1d' },
  ],
});

async function call(customer: string, cost: number) {
  const { allowed, rule, remaining, retryAfter } = await quota.consume(customer, cost);
  const hours = Math.ceil(retryAfter / 3_600_000);
  console.log(`${customer}, cost ${cost}: ${allowed ? `${remaining} left` : `again in ${hours} h`} (${rule})`);
}

try {
  await call('initech', 8);
  // One rule has no room for them, so they are charged to none: the other has its 4 left.
  await call('initech', 3);
  await call('initech', 3);
  // Now neither has room. The one that denies for longer is told.
  await call('initech', 5);

  await call('acme', 8);
  await call('acme', 5);

  // A limit that depends on the key is told of the rule that decided only.
  console.log(quota.headers(await quota.peek('acme'))['RateLimit-Policy']);
} finally {
  await engine.close();
  await server.close();
}
