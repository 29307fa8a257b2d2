import type { DeniedRequest, RequestLimiter } from './decision.js';
import { writeFields } from './fields.js';
import { CLIENT_GONE, type Framework, type NodeRequest } from './framework.js';
import { decideFor } from './middleware.js';
import type { MiddlewareOptions } from './options.js';

/** What is needed of a context of Koa, and what keys are often made of. */
export interface KoaContext {
  readonly ip: string;
  readonly method: string;
  readonly path: string;
  get(name: string): string;
  status: number;
  body: unknown;
  set(name: string, value: string): void;
  readonly res: {
    getHeader(name: string): number | string | string[] | undefined;
    hasHeader(name: string): boolean;
    setHeader(name: string, value: string): unknown;
    writeHead: (...args: never[]) => unknown;
  };
}

/** Options of {@link rateLimitKoa}. */
export interface KoaOptions<Context> extends MiddlewareOptions<Context> {
  /** Answers a denied request instead of `body`: what it gives is the body, unless it set one; status and headers are set. */
  respond?: (context: Context, denied: DeniedRequest) => unknown;
}

/**
 * Middleware for Koa, such as `app.use(rateLimitKoa(limiter))`: a request beyond the limit is answered with 429. By default a
 * client is limited by `ctx.ip`; behind a proxy set Koa's `app.proxy` and `app.maxIpsCount`, or all
 * clients are one.
 *
 * @throws {InvalidArgumentError} for an option that cannot be right. The middleware rejects with errors of the limiter.
 */
export function rateLimitKoa<Context extends KoaContext = KoaContext>(
  limiter: RequestLimiter,
  options: KoaOptions<Context> = {},
): (context: Context, next: () => Promise<unknown>) => Promise<unknown> {
  const decide = decideFor<Context>(KOA, limiter, options);
  const { respond } = options;
  return async (context, next) => {
    const decision = await decide(context);
    if (!decision) return next();
    if (decision === CLIENT_GONE) {
      context.status = CLIENT_GONE;
      return undefined;
    }
    writeFields(
      decision.headers,
      (name) => context.res.getHeader(name),
      (name, value) => context.set(name, value),
    );
    try {
      if (decision.allowed) return await next();
      await deny(context, decision, respond);
    } catch (error) {
      keepFields(context, Object.keys(decision.headers));
      throw error;
    }
    return undefined;
  };
}

const KOA: Framework<KoaContext> = {
  call: 'rateLimitKoa',
  trusting: "Set Koa's app.proxy, and app.maxIpsCount to the number of proxies",
  addressOf: ({ ip }) => ip,
  nodeRequestOf: (context) => (context as { req?: NodeRequest }).req,
};

async function deny<Context extends KoaContext>(
  context: Context,
  decision: DeniedRequest,
  respond: KoaOptions<Context>['respond'],
): Promise<void> {
  const { status, body } = context;
  context.status = decision.status;
  if (!respond) {
    context.set('Content-Type', decision.contentType);
    context.body = decision.body;
    return;
  }
  try {
    const given = await respond(context, decision);
    const isAnswer = given !== undefined && given !== null && given !== context;
    if (isAnswer && context.body === body) context.body = given;
  } catch (error) {
    // The answer to an error is none to a limit.
    context.status = status;
    throw error;
  }
}

/** Koa takes all header fields away before it answers an error. These come back when the answer is written. */
function keepFields({ res }: KoaContext, names: readonly string[]): void {
  const fields = names.map((name) => [name, res.getHeader(name)] as const);
  const { writeHead } = res;
  res.writeHead = (...args) => {
    for (const [name, value] of fields) {
      if (value !== undefined && !res.hasHeader(name)) res.setHeader(name, String(value));
    }
    return writeHead.apply(res, args);
  };
}
