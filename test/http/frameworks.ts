import { createServer, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import express, { type ErrorRequestHandler } from 'express';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { type Context, Hono } from 'hono';
import Koa from 'koa';
import {
  clientKey,
  type DeniedRequest,
  type MiddlewareOptions,
  rateLimitExpress,
  rateLimitFastify,
  rateLimitHono,
  rateLimitKoa,
} from '../../src/http/index.js';
import type { RateLimiter } from '../../src/index.js';

/** What all middlewares take. Keys can be made of a header, and denied requests be answered by the application. */
export interface Limiting extends MiddlewareOptions<unknown> {
  limiter: RateLimiter;
  /** A header whose value is the key. */
  keyHeader?: string;
  /** Whether to answer with `X-Own: 1` and the text `wait <rule>`. */
  ownAnswer?: boolean;
  /** What answers denied requests: it gives the answer, or throws. */
  giving?: () => unknown;
}

/** What is behind the limiters: throws or gives the text to answer with. */
export type Work = (path: string) => string;

/** Each framework with its own means: errors are told to `failed` and answered with 500 and `sorry`. */
export interface Site {
  readonly limitings: readonly Limiting[];
  /** Whether it trusts a proxy on this machine. */
  readonly proxied: boolean;
  readonly work: Work;
  readonly failed: (error: unknown) => void;
}

const answerOf = ({ result }: DeniedRequest) => `wait ${result.rule}`;

function onExpress({ limitings, proxied, work, failed }: Site): Server {
  const app = express();
  if (proxied) app.set('trust proxy', 'loopback');
  for (const { limiter, keyHeader, ownAnswer, giving, ...options } of limitings) {
    app.use(
      rateLimitExpress<express.Request, express.Response>(limiter, {
        ...options,
        ...(giving && { respond: () => giving() }),
        ...(keyHeader && { key: (request) => request.get(keyHeader) }),
        ...(ownAnswer && {
          respond: (_request, response, denied) => response.set('X-Own', '1').type('text').send(answerOf(denied)),
        }),
      }),
    );
  }
  app.use((request, response) => void response.send(work(request.path)));
  const onError: ErrorRequestHandler = (error, _request, response, _next) => {
    failed(error);
    response.status(500).send('sorry');
  };
  app.use(onError);
  return createServer(app);
}

async function onFastify({ limitings, proxied, work, failed }: Site): Promise<Server> {
  const app = fastify({ trustProxy: proxied && 'loopback' });
  for (const { limiter, keyHeader, ownAnswer, giving, ...options } of limitings) {
    app.addHook(
      'onRequest',
      rateLimitFastify<FastifyRequest, FastifyReply>(limiter, {
        ...options,
        ...(giving && { respond: () => giving() }),
        ...(keyHeader && { key: ({ headers }) => headers[keyHeader] as string | undefined }),
        ...(ownAnswer && {
          respond: (_request, reply, denied) => reply.header('X-Own', '1').type('text/plain').send(answerOf(denied)),
        }),
      }),
    );
  }
  // As with compression, an answer takes its time after it was given.
  app.addHook('onSend', async (_request, _reply, payload) => {
    await sleep(1);
    return payload;
  });
  app.get('/*', async (request) => work(request.url));
  app.setErrorHandler((error, _request, reply) => {
    failed(error);
    return reply.code(500).send('sorry');
  });
  await app.ready();
  return createServer(app.routing);
}

function onKoa({ limitings, proxied, work, failed }: Site): Server {
  const app = new Koa({ proxy: proxied });
  app.use(async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      failed(error);
      ctx.status = 500;
      ctx.body = 'sorry';
    }
  });
  for (const { limiter, keyHeader, ownAnswer, giving, ...options } of limitings) {
    app.use(
      rateLimitKoa<Koa.Context>(limiter, {
        ...options,
        ...(giving && { respond: () => giving() }),
        ...(keyHeader && { key: (ctx) => ctx.get(keyHeader) || undefined }),
        ...(ownAnswer && {
          respond: (ctx, denied) => {
            ctx.set('X-Own', '1');
            ctx.body = answerOf(denied);
          },
        }),
      }),
    );
  }
  app.use((ctx) => {
    ctx.body = work(ctx.path);
  });
  return createServer(app.callback());
}

function onHono({ limitings, proxied, work, failed }: Site): Server {
  const app = new Hono();
  for (const { limiter, keyHeader, ownAnswer, giving, ...options } of limitings) {
    app.use(
      rateLimitHono<Context>(limiter, {
        ...options,
        ...(giving && { respond: () => giving() }),
        // Hono itself knows of no proxies.
        ...(proxied && { key: (c) => clientKey(c.req.header('x-forwarded-for'), options.ipv6Prefix) }),
        ...(keyHeader && { key: (c) => c.req.header(keyHeader) }),
        ...(ownAnswer && { respond: (c, denied) => c.text(answerOf(denied), { headers: { 'X-Own': '1' } }) }),
      }),
    );
  }
  app.get('/raw', (c) => new Response(work(c.req.path)));
  app.get('*', (c) => c.text(work(c.req.path)));
  app.onError((error, c) => {
    failed(error);
    return c.text('sorry', 500);
  });
  return createAdaptorServer({ fetch: app.fetch }) as Server;
}

export const FRAMEWORKS: Readonly<Record<string, (site: Site) => Server | Promise<Server>>> = {
  Express: onExpress,
  Fastify: onFastify,
  Koa: onKoa,
  Hono: onHono,
};
