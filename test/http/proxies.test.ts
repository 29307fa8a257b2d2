import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Deferred } from '../../src/deferred.js';
import { clientKey, rateLimitExpress, rateLimitFastify, rateLimitHono, rateLimitKoa } from '../../src/http/index.js';
import { useRedis } from '../support/redis.js';
import { startApp } from './app.js';
import { FRAMEWORKS } from './frameworks.js';
import { limiterOn } from './limiter.js';

const redis = useRedis();
const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
  vi.restoreAllMocks();
});

/** Warnings of this process from now on, by their code. */
function warnings(): string[] {
  const codes: string[] = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((_message, options) => {
    codes.push((options as { code: string }).code);
  });
  return codes;
}

describe('whom a limit hits behind one proxy, as docs/http.md says it', () => {
  const limiter = () => limiterOn(redis().address, { limit: 2 });

  const makers: Record<string, () => Promise<Server>> = {
    async "Express's trust proxy with the address"() {
      const app = express();
      app.set('trust proxy', 'loopback');
      app.use(rateLimitExpress(limiter())).use((_request, response) => void response.send('hello'));
      return createServer(app);
    },
    async "Express's trust proxy with the number"() {
      const app = express();
      app.set('trust proxy', 1);
      app.use(rateLimitExpress(limiter())).use((_request, response) => void response.send('hello'));
      return createServer(app);
    },
    async "Fastify's trustProxy with the address"() {
      const app = fastify({ trustProxy: '127.0.0.1' });
      app.addHook('onRequest', rateLimitFastify(limiter()));
      app.get('/', async () => 'hello');
      await app.ready();
      return createServer(app.routing);
    },
    async "Koa's app.proxy with app.maxIpsCount"() {
      const app = new Koa({ proxy: true, maxIpsCount: 1 });
      app.use(rateLimitKoa(limiter())).use((ctx) => {
        ctx.body = 'hello';
      });
      return createServer(app.callback());
    },
    async "Hono's key of the header"() {
      const app = new Hono();
      app.use(rateLimitHono(limiter(), { key: (c) => clientKey(c.req.header('X-Forwarded-For')) }));
      app.get('/', (c) => c.text('hello'));
      return createAdaptorServer({ fetch: app.fetch }) as Server;
    },
  };

  test.each(Object.keys(makers))('%s: the client, whatever it writes into the header', async (name) => {
    const http = await (makers[name] as () => Promise<Server>)();
    open.push(() => http.close());
    await once(http.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;
    const statusOf = async (forwarded: string) => {
      const response = await fetch(url, { headers: { 'X-Forwarded-For': forwarded } });
      await response.text();
      return response.status;
    };
    const seen: number[] = [];
    // As a proxy writes it that adds the address of who connects to it.
    for (let i = 0; i < 3; i++) seen.push(await statusOf(`198.51.100.${i}, 192.0.2.1`));
    seen.push(await statusOf('198.51.100.0, 192.0.2.2'));
    expect(seen).toEqual([200, 200, 429, 200]);
  });

  test("Fastify's trustProxy with a number trusts nothing, and the warning says so", async () => {
    const codes = warnings();
    const app = fastify({ trustProxy: 1 as unknown as string });
    open.push(() => app.close());
    app.addHook('onRequest', rateLimitFastify(limiter()));
    app.get('/', async ({ ip }) => ip);
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    const response = await fetch(url, { headers: { 'X-Forwarded-For': '192.0.2.1' } });
    expect(await response.text()).toBe('127.0.0.1');
    expect(codes).toEqual(['LAGOON_PROXY_NOT_TRUSTED']);
  });
});

describe.each(Object.keys(FRAMEWORKS))('%s', (framework) => {
  test('warns, once, when a forwarded header comes and no proxy is trusted', async () => {
    // Told once for each framework of a process.
    vi.resetModules();
    const codes = warnings();
    const limiter = limiterOn(redis().address, { limit: 100 });
    const fresh = (await import('./frameworks.js')).FRAMEWORKS;
    const make = fresh[framework] as (typeof FRAMEWORKS)[string];
    const http = await make({ limitings: [{ limiter }], proxied: false, work: () => 'hello', failed: () => {} });
    open.push(() => http.close());
    await once(http.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;
    const get = async (headers: Record<string, string>) => (await fetch(url, { headers })).text();

    await get({});
    await get({ 'X-Forwarded-For': '198.51.100.1, 127.0.0.1' });
    expect(codes).toEqual([]);
    await get({ 'X-Forwarded-For': '192.0.2.1' });
    await get({ 'X-Forwarded-For': '192.0.2.2' });
    await get({ Forwarded: 'for=192.0.2.2' });
    expect(codes).toEqual(['LAGOON_PROXY_NOT_TRUSTED']);
  });

  test('does not warn where a proxy is trusted, or a key says what to limit by', async () => {
    const codes = warnings();
    const trusting = await startApp(framework, [{ limiter: limiterOn(redis().address) }], { proxied: true });
    await trusting.get('/', { 'x-forwarded-for': '192.0.2.1' });
    const keyed = await startApp(framework, [{ limiter: limiterOn(redis().address), key: () => 'all' }]);
    await keyed.get('/', { 'x-forwarded-for': '192.0.2.1' });
    expect(codes).toEqual([]);
  });

  test('warns, once, when a limiter counts one request twice', async () => {
    const codes = warnings();
    const limiter = limiterOn(redis().address, { limit: 100 });
    const app = await startApp(framework, [{ limiter }, { limiter }]);
    await app.get();
    await app.get();
    expect(codes).toEqual(['LAGOON_COUNTED_TWICE']);

    const byTwoKeys = limiterOn(redis().address, { limit: 100 });
    const other = await startApp(framework, [{ limiter: byTwoKeys }, { limiter: byTwoKeys, key: () => 'ann' }]);
    await other.get();
    expect(codes).toHaveLength(1);
  });

  test.each(['before it was counted', 'before it was denied'])(
    'a client that hung up %s is no error, and its request goes nowhere',
    async (when) => {
      const [asked, gone] = [new Deferred<void>(), new Deferred<void>()];
      const wait = async () => {
        asked.resolve();
        await gone.promise;
        return false;
      };
      const limiter = limiterOn(redis().address, { limit: 1 });
      await limiter.consume('127.0.0.1');
      const hook = when === 'before it was counted' ? { skip: wait } : { onLimited: wait };
      const app = await startApp(framework, [{ limiter, ...hook }]);
      const closed = app.nextClosed();
      const socket = connect(app.port, '127.0.0.1');
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await asked.promise;
      socket.destroy();
      await closed;
      gone.resolve();
      // Another request goes the same way, and comes after it.
      await limiter.reset('127.0.0.1');
      expect((await app.get()).status).toBe(200);
      expect(app.errors).toEqual([]);
      expect(app.served).toBe(1);
    },
  );
});
