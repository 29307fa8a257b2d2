import { type DeniedRequest, type RequestLimiter, rateLimitRequests } from './decision.js';
import { isList } from './fields.js';
import { type MiddlewareOptions, withKey } from './options.js';

/** What is needed of a context of Hono, and what keys are often made of. */
export interface HonoContext {
  readonly env: unknown;
  readonly req: { readonly method: string; readonly path: string; header(name: string): string | undefined };
  res: Response;
  status(status: 429): void;
  header(name: string, value: string, options?: { append?: boolean }): void;
  body(data: string, status: 429, headers: Record<string, string>): Response;
}

/** Options of {@link rateLimitHono}. */
export interface HonoOptions<Context> extends MiddlewareOptions<Context> {
  /** Answers a denied request instead of `body`; the status is set for `c.json()` and the like, headers are added. */
  respond?: (context: Context, denied: DeniedRequest) => Response | Promise<Response>;
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
  const decide = rateLimitRequests(limiter, withKey(options, addressOf));
  const { respond } = options;
  return async (context, next) => {
    const decision = await decide(context);
    if (!decision || decision.allowed) {
      await next();
    } else if (respond) {
      context.status(decision.status);
      context.res = await respond(context, decision);
    } else {
      context.res = context.body(decision.body, decision.status, { 'Content-Type': decision.contentType });
    }
    // Only now, as a handler that makes a Response of its own loses what was set before. What is there is of a limiter nearer to it.
    for (const [name, value] of Object.entries(decision?.headers ?? {})) {
      if (isList(name)) context.header(name, value, { append: true });
      else if (!context.res.headers.has(name)) context.header(name, value);
    }
  };
}

/** What `@hono/node-server` has in the environment. */
interface NodeEnvironment {
  incoming?: { socket?: { remoteAddress?: string } };
}

function addressOf({ env }: HonoContext): string | undefined {
  const { server, incoming } = (env ?? {}) as NodeEnvironment & { server?: NodeEnvironment };
  return (server?.incoming ?? incoming)?.socket?.remoteAddress;
}
