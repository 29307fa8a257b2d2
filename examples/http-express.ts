// Rate limits in Express: of each client in everything it does, and of each account in attempts to log in.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { Registry } from 'lagoon';
import { rateLimitExpress } from 'lagoon/http';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address).validate();
const redis = engine.getRedis();
const perClient = redis.getRateLimiter({ name: 'client', limit: 100, period: '1m', prefix: 'express:client:' });
const perAccount = redis.getRateLimiter({ name: 'login', limit: 2, period: '15m', prefix: 'express:login:' });

const app = express();
app.use(rateLimitExpress(perClient)); // by address; behind a proxy: app.set('trust proxy', …)
app.post(
  '/login',
  express.json(),
  rateLimitExpress(perAccount, {
    key: (request: express.Request) => request.body?.email, // undefined: not limited
    onLimited: (_request, { key, result }) => console.log(`  ${key} is beyond ${result.limit} attempts`),
  }),
  (_request, response) => response.status(401).send('wrong password'),
);

const http = app.listen(0, '127.0.0.1');
try {
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  for (const email of ['ann@example.com', 'ann@example.com', 'ann@example.com', 'bob@example.com']) {
    const response = await fetch(`http://127.0.0.1:${port}/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ email, password: 'guess' }),
    });
    console.log(email, response.status, response.headers.get('RateLimit-Policy'));
    if (response.status === 429) console.log(' ', await response.text());
  }
} finally {
  http.close();
  await Promise.all([
    perClient.reset('127.0.0.1'),
    perAccount.reset('ann@example.com'),
    perAccount.reset('bob@example.com'),
  ]);
  await engine.close();
  await server.close();
}
