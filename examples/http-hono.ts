// Rate limits in Hono: by address behind a proxy, in shadow mode at first, to see whom the limit would hit.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { Registry } from 'lagoon';
import { clientKey, rateLimitHono } from 'lagoon/http';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address).validate();
const redis = engine.getRedis();
const limiter = redis.getRateLimiter({ name: 'api', limit: 1, period: '1m', prefix: 'hono:', shadow: true });

const app = new Hono();
app.use(
  rateLimitHono(limiter, {
    // Only of a header that your own proxy sets. Without a proxy leave `key` out: it is the address of the connection then.
    key: (c) => clientKey(c.req.header('X-Real-IP')),
    onLimited: (_c, { key }) => console.log(`  ${key} would have been denied`),
  }),
);
app.get('/', (c) => c.text('hello'));

const http = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
try {
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  // The second address is in the network of the first: one client.
  for (const address of ['2001:db8:1:2::1', '2001:db8:1:2::2', '192.0.2.1']) {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'X-Real-IP': address } });
    console.log(address, response.status, response.headers.get('RateLimit-Policy'), await response.text());
  }
} finally {
  http.close();
  await Promise.all([limiter.reset('2001:db8:1:2::/64'), limiter.reset('192.0.2.1')]);
  await engine.close();
  await server.close();
}
