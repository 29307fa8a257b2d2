// Rate limits in any HTTP server: `rateLimitRequests` decides, and says how to answer. Here without a framework.
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry } from 'lagoon';
import { clientKey, rateLimitRequests } from 'lagoon/http';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address).validate();
const limiter = engine.getRedis().getRateLimiter({ name: 'api', limit: 2, period: '1m', prefix: 'node:' });
const decide = rateLimitRequests(limiter, {
  key: ({ socket }: IncomingMessage) => clientKey(socket.remoteAddress),
  legacyHeaders: true,
});

const http = createServer(async (request, response) => {
  try {
    const decision = await decide(request);
    response.setHeaders(new Map(Object.entries(decision?.headers ?? {})));
    if (decision && !decision.allowed) {
      response.writeHead(decision.status, { 'Content-Type': decision.contentType }).end(decision.body);
    } else {
      response.end('hello');
    }
  } catch (error) {
    // Redis is away, and the limiter has no `whenDown` for that.
    console.error(error);
    response.writeHead(500).end();
  }
}).listen(0, '127.0.0.1');

try {
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  for (let i = 0; i < 3; i++) {
    const { status, headers } = await fetch(`http://127.0.0.1:${port}/`);
    console.log(status, 'remaining:', headers.get('X-RateLimit-Remaining'), 'come back:', headers.has('Retry-After'));
  }
} finally {
  http.close();
  await limiter.reset('127.0.0.1');
  await engine.close();
  await server.close();
}
