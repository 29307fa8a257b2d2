import { serve } from '@hono/node-server';
import express, { type Request, type RequestHandler, type Response } from 'express';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { type Context, Hono } from 'hono';
import Koa from 'koa';
import { describe, expectTypeOf, test } from 'vitest';
import {
  type DeniedRequest,
  type RequestDecision,
  rateLimitExpress,
  rateLimitFastify,
  rateLimitHono,
  rateLimitKoa,
  rateLimitRequests,
} from '../../src/http/index.js';
import type { RateLimiter, RateLimitResult } from '../../src/index.js';

declare const limiter: RateLimiter;

describe('Express', () => {
  const app = express();

  test('takes the middleware', () => {
    app.use(rateLimitExpress(limiter));
    app.get('/', rateLimitExpress(limiter, { cost: 2 }), (_request, response) => response.end());
    app.use('/api/:id', express.Router().use(rateLimitExpress(limiter)));
    expectTypeOf(rateLimitExpress(limiter)).toExtend<RequestHandler>();
  });

  test('gives its own types to the options', () => {
    app.use(rateLimitExpress(limiter, { key: (request) => request.get('x-api-key') }));
    app.use(rateLimitExpress(limiter, { key: (request: Request) => request.get('x-api-key') }));
    app.use(rateLimitExpress<Request>(limiter, { key: ({ signedCookies }) => signedCookies.session }));
    app.use(
      rateLimitExpress(limiter, {
        respond: (_request: Request, response: Response, { result }) => response.json({ wait: result.retryAfter }),
      }),
    );
  });
});

describe('Fastify', () => {
  const app = fastify();

  test('takes the hook, for all routes and for one that says what it replies', () => {
    app.addHook('onRequest', rateLimitFastify(limiter));
    app.addHook('preHandler', rateLimitFastify(limiter));
    app.get<{ Reply: { 200: { ok: boolean } }; Body: { user: string } }>(
      '/',
      {
        onRequest: rateLimitFastify(limiter),
        preHandler: rateLimitFastify(limiter, {
          key: ({ body }: FastifyRequest<{ Body: { user: string } }>) => body.user,
        }),
      },
      async () => ({ ok: true }),
    );
  });

  test('takes the hook for a route that says nothing of itself', () => {
    app.get('/', { onRequest: rateLimitFastify(limiter) }, async () => 'x');
    app.get('/', { preHandler: [rateLimitFastify(limiter, { key: (request) => request.ip })] }, async () => 'x');
    app.get('/', { preHandler: rateLimitFastify(limiter, { key: ({ body }) => String(body) }) }, async () => 'x');
    app.route({ method: 'GET', url: '/', onRequest: rateLimitFastify(limiter), handler: async () => 'x' });
    app.register(async (inner) => inner.addHook('preValidation', rateLimitFastify(limiter)));
  });

  test('gives its own types to the options', () => {
    app.addHook('onRequest', rateLimitFastify(limiter, { key: ({ method, url }) => `${method} ${url}` }));
    app.addHook(
      'onRequest',
      rateLimitFastify(limiter, {
        key: (request: FastifyRequest) => request.hostname,
        respond: (_request, reply: FastifyReply) => reply.type('text/html').send('<p>Slow down'),
      }),
    );
    app.get(
      '/',
      { onRequest: rateLimitFastify(limiter, { respond: async () => ({ error: 'slow down' }) }) },
      () => 'x',
    );
  });
});

describe('Koa', () => {
  const app = new Koa<{ user: string }>();

  test('takes the middleware', () => {
    app.use(rateLimitKoa(limiter));
  });

  test('gives its own types to the options', () => {
    app.use(rateLimitKoa(limiter, { key: (ctx) => ctx.get('x-api-key') }));
    app.use(rateLimitKoa(limiter, { key: (ctx: Koa.Context) => ctx.state.user }));
    app.use(rateLimitKoa<Koa.Context>(limiter, { respond: (ctx) => ctx.redirect('/slow-down') }));
  });
});

describe('Hono', () => {
  const app = new Hono<{ Variables: { user: string } }>();

  test('takes the middleware', () => {
    app.use(rateLimitHono(limiter));
    app.use('/api/*', rateLimitHono(limiter));
    app.get('/', rateLimitHono(limiter), (c) => c.text('hello'));
    serve({ fetch: app.fetch });
  });

  test('gives its own types to the options', () => {
    app.use(rateLimitHono(limiter, { key: (c) => c.req.header('x-api-key') }));
    app.use(rateLimitHono(limiter, { key: (c: Context<{ Variables: { user: string } }>) => c.get('user') }));
    app.use(rateLimitHono<Context>(limiter, { respond: (c, { result }) => c.json({ wait: result.retryAfter }) }));
  });
});

describe('rateLimitRequests', () => {
  const decide = rateLimitRequests(limiter, { key: (request: { user: string }) => request.user });

  test('gives a decision whose denial has the answer', async () => {
    const decision = await decide({ user: 'ann' });
    expectTypeOf(decision).toEqualTypeOf<RequestDecision | undefined>();
    expectTypeOf<RequestDecision['result']>().toEqualTypeOf<RateLimitResult>();
    if (decision && !decision.allowed) {
      expectTypeOf(decision).toEqualTypeOf<DeniedRequest>();
      expectTypeOf(decision.body).toEqualTypeOf<string>();
    }
  });

  test('asks for a key', () => {
    // @ts-expect-error nothing to limit by
    rateLimitRequests(limiter, {});
    // @ts-expect-error not a string
    rateLimitRequests(limiter, { key: () => 7 });
    // @ts-expect-error no such body
    rateLimitExpress(limiter, { body: 'html' });
  });
});
