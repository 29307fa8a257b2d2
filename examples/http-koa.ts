// Rate limits in Koa: by API key, with an answer of the application's own.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';
import { Registry } from 'lagoon';
import { rateLimitKoa } from 'lagoon/http';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address).validate();
const limiter = engine.getRedis().getRateLimiter({ name: 'key', limit: 2, period: '1h', prefix: 'koa:' });

const app = new Koa(); // to limit by address behind one proxy: app.proxy = true; app.maxIpsCount = 1
app.use(
  rateLimitKoa<Koa.Context>(limiter, {
    key: async (ctx) => ctx.get('X-Api-Key'), // may ask a database; '' is refused with an error
    respond: (ctx, { result }) => {
      ctx.body = { error: `${result.limit} calls per hour are used up` };
    },
  }),
);
app.use((ctx) => {
  ctx.body = { hello: 'world' };
});

const http = app.listen(0, '127.0.0.1');
try {
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  for (const key of ['one', 'one', 'one', 'two']) {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'X-Api-Key': key } });
    console.log(key, response.status, await response.text());
  }
} finally {
  http.close();
  await Promise.all([limiter.reset('one'), limiter.reset('two')]);
  await engine.close();
  await server.close();
}
