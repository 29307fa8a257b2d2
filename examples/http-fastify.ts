// Rate limits in Fastify: a hook for all routes; some requests cost more, and some are not limited.
import fastify from 'fastify';
import { Registry } from 'lagoon';
import { rateLimitFastify } from 'lagoon/http';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address).validate();
const limiter = engine.getRedis().getRateLimiter({ name: 'api', limit: 10, period: '1m', prefix: 'fastify:' });

const app = fastify(); // behind a proxy: fastify({ trustProxy: '10.0.0.0/8' }), its address
app.addHook(
  'onRequest',
  rateLimitFastify(limiter, {
    skip: ({ url }) => url === '/health',
    cost: ({ url }) => (url.startsWith('/search') ? 6 : 1),
    body: 'text',
  }),
);
app.get('/health', async () => 'up');
app.get('/search', async () => ['found']);

try {
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  for (const path of ['/search?q=a', '/search?q=b', '/health']) {
    const response = await fetch(address + path);
    const remaining = response.headers.get('RateLimit')?.replace(/;t=.*/, '');
    console.log(path, response.status, remaining ?? 'not limited', JSON.stringify(await response.text()));
  }
} finally {
  await app.close();
  await limiter.reset('127.0.0.1');
  await engine.close();
  await server.close();
}
