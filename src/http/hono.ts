import { asBody } from './answer.js';
import type { DeniedRequest, RequestLimiter } from './decision.js';
import { isList } from './fields.js';
import { CLIENT_GONE, type Framework, type NodeRequest } from './framework.js';
import { decideFor } from './middleware.js';
import type { MiddlewareOptions } from './options.js';

/** What is needed of a context of Hono, and what keys are often made of. */
export interface HonoContext {
  readonly env: unknown;
  readonly req: { readonly method: string; readonly path: string; header(name: string): string | undefined };
  res: Response;
  readonly finalized?: boolean;
  status(status: 200 | 429): void;
  header(name: string, value: string, options?: { append?: boolean }): void;
  body(data: string, status: 429, headers: Record<string, string>): Response;
}

/** Options of {@link rateLimitHono}. */
export interface HonoOptions<Context> extends MiddlewareOptions<Context> {
  /**
   * Answers a denied request instead of `body`: with a Response, with text, or with an object that is sent as JSON. The status is
   * set for `c.json()` and the like, headers are added.
   */
  respond?: (context: Context, denied: DeniedRequest) => unknown;
}

/**
 * Middleware for Hono, such as `app.use(rateLimitHono(limiter))`: a request beyond the limit is answered with 429. By default a
 * client is limited by the address of its connection, which is known with `@hono/node-server` only; behind a proxy, where that
 * is the proxy's, take the address from the header that the proxy sets: `key: (c) => clientKey(c.req.header('x-real-ip'))`.
 *
 * @throws {InvalidArgumentError} for an option that cannot be right. The middleware rejects with errors of the limiter.
 */
export function rateLimitHono<Context extends HonoContext = HonoContext>(
  limiter: RequestLimiter,
  options: HonoOptions<Context> = {},
): (context: Context, next: () => Promise<void>) => Promise<void> {
  const decide = decideFor<Context>(HONO, limiter, options);
  const { respond } = options;
  return async (context, next) => {
    const decision = await decide(context);
    if (decision === CLIENT_GONE) {
      context.res = new Response(null, { status: CLIENT_GONE });
      return;
    }
    try {
      if (!decision || decision.allowed) await next();
      else await deny(context, decision, respond);
    } finally {
      // Only now, as a handler that makes a Response of its own loses what was set before. What is there is of a limiter nearer to it.
      for (const [name, value] of Object.entries(decision?.headers ?? {})) {
        if (isList(name)) context.header(name, value, { append: true });
        else if (!context.res.headers.has(name)) context.header(name, value);
      }
    }
  };
}

async function deny<Context extends HonoContext>(
  context: Context,
  decision: DeniedRequest,
  respond: HonoOptions<Context>['respond'],
): Promise<void> {
  if (!respond) {
    context.res = context.body(decision.body, decision.status, { 'Content-Type': decision.contentType });
    return;
  }
  context.status(decision.status);
  let given: unknown;
  try {
    given = await respond(context, decision);
  } catch (error) {
    // The answer to an error is none to a limit.
    context.status(200);
    throw error;
  }
  if (isResponse(given)) {
    context.res = given;
    return;
  }
  // It may have set `c.res` instead.
  if (given === undefined && context.finalized) return;
  const { body, contentType } = asBody(given) ?? decision;
  context.res = context.body(body, decision.status, { 'Content-Type': contentType });
}

/** Also one of another class, as servers have their own. */
function isResponse(value: unknown): value is Response {
  return typeof value === 'object' && value !== null && 'headers' in value && 'status' in value && 'body' in value;
}

/** What `@hono/node-server` has in the environment. */
interface NodeEnvironment {
  incoming?: NodeRequest;
}

const HONO: Framework<HonoContext> = {
  call: 'rateLimitHono',
  trusting:
    "Make the key of a header that the proxy sets, as in key: (c) => clientKey(c.req.header('X-Forwarded-For'))",
  addressOf: (context) => nodeRequestOf(context)?.socket?.remoteAddress,
  nodeRequestOf,
};

function nodeRequestOf({ env }: HonoContext): NodeRequest | undefined {
  const { server, incoming } = (env ?? {}) as NodeEnvironment & { server?: NodeEnvironment };
  return server?.incoming ?? incoming;
}
