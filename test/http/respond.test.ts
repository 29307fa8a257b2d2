import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import fastify from 'fastify';
import Koa from 'koa';
import { afterEach, describe, expect, test } from 'vitest';
import { Deferred } from '../../src/deferred.js';
import { rateLimitExpress, rateLimitFastify, rateLimitKoa } from '../../src/http/index.js';
import { useRedis } from '../support/redis.js';
import { startApp } from './app.js';
import { FRAMEWORKS } from './frameworks.js';
import { limiterOn } from './limiter.js';

const redis = useRedis();

/** A limiter that has no room for this machine. */
async function spentLimiter() {
  const limiter = limiterOn(redis().address, { limit: 1 });
  await limiter.consume('127.0.0.1');
  return limiter;
}

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

describe.each(Object.keys(FRAMEWORKS))('%s', (framework) => {
  test('sends what respond gives', async () => {
    const limiter = await spentLimiter();
    const app = await startApp(framework, [{ limiter, giving: async () => ({ error: 'slow down' }) }]);

    const response = await app.get();
    expect(response.status).toBe(429);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(JSON.parse(response.content)).toEqual({ error: 'slow down' });
    expect(response.headers.get('ratelimit-policy')).toBe('"per-minute";q=1;w=60');

    const text = await startApp(framework, [{ limiter, giving: async () => 'slow down' }]);
    expect(await text.get()).toMatchObject({ status: 429, content: 'slow down' });
    expect(text.errors).toEqual([]);
  });

  test('an error of respond is answered as one, and the answer says how the client stands', async () => {
    const limiter = await spentLimiter();
    const giving = async () => {
      throw new Error('no answer');
    };
    const app = await startApp(framework, [{ limiter, giving }]);

    const response = await app.get();
    expect(response).toMatchObject({ status: 500, content: 'sorry' });
    expect(response.headers.get('ratelimit')).toMatch(/^"per-minute";r=0;t=\d+$/);
    expect(response.headers.has('retry-after')).toBe(true);
    expect(app.errors).toMatchObject([{ message: 'no answer' }]);
    expect(app.served).toBe(0);
  });
});

test.each(['Fastify', 'Hono'])(
  '%s answers a denied request though an async respond gives nothing',
  async (framework) => {
    const app = await startApp(framework, [{ limiter: await spentLimiter(), giving: async () => {} }]);
    const response = await app.get();
    expect(response.status).toBe(429);
    expect(JSON.parse(response.content)).toMatchObject({ 'violated-policies': ['per-minute'] });
  },
);

describe('Koa itself answers an error', () => {
  test.each<[string, unknown]>([
    ['an error', new Error('broken')],
    ['an error of its own status', Object.assign(new Error('gone'), { status: 410 })],
    ['what is no error', 'broken'],
  ])('with the RateLimit fields: %s', async (_what, error) => {
    const outer = limiterOn(redis().address, { limit: 9, name: 'outer' });
    const app = new Koa();
    app.silent = true;
    app.use(rateLimitKoa(outer)).use(rateLimitKoa(limiterOn(redis().address)));
    app.use(() => {
      throw error;
    });
    const http = app.listen(0, '127.0.0.1');
    open.push(() => http.close());
    await once(http, 'listening');

    const response = await fetch(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`);
    expect(response.status).toBe(Object(error).status ?? 500);
    expect(response.headers.get('ratelimit')).toBe('"outer";r=8;t=60, "per-minute";r=1;t=60');
    expect(response.headers.get('ratelimit-policy')).toBe('"outer";q=9;w=60, "per-minute";q=2;w=60');
    await response.text();
  });
});

describe('an answer that was sent before the limiter decided stays as it is', () => {
  /** A limiter's options for a decision that waits for the answer, and ends with `decided`. */
  function late() {
    const [answered, decided] = [new Deferred<void>(), new Deferred<void>()];
    const skip = () => answered.promise.then(() => false);
    return { answered, decided, options: { skip, onLimited: () => decided.resolve() } };
  }

  test('Express', async () => {
    const { answered, decided, options } = late();
    const errors: unknown[] = [];
    const app = express();
    app.use((_request, response, next) => {
      setImmediate(() => response.status(503).send('too late'));
      next();
    });
    app.use(rateLimitExpress(await spentLimiter(), options));
    app.use((error: unknown, _request: unknown, _response: unknown, _next: unknown) => void errors.push(error));
    const http = app.listen(0, '127.0.0.1');
    open.push(() => http.close());
    await once(http, 'listening');

    const response = await fetch(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`);
    expect([response.status, await response.text()]).toEqual([503, 'too late']);
    answered.resolve();
    await decided.promise;
    await new Promise(setImmediate);
    expect(errors).toEqual([]);
  });

  test('Fastify', async () => {
    const { answered, decided, options } = late();
    const errors: unknown[] = [];
    const app = fastify();
    open.push(() => app.close());
    app.addHook('onRequest', async (_request, reply) => void setImmediate(() => reply.code(503).send('too late')));
    app.addHook('onRequest', rateLimitFastify(await spentLimiter(), options));
    app.addHook('onError', async (_request, _reply, error) => void errors.push(error));
    app.get('/', async () => 'hello');

    const response = await fetch(await app.listen({ port: 0, host: '127.0.0.1' }));
    expect([response.status, await response.text()]).toEqual([503, 'too late']);
    answered.resolve();
    await decided.promise;
    await new Promise(setImmediate);
    expect(errors).toEqual([]);
  });
});
