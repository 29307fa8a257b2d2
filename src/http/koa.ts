import { type DeniedRequest, type RequestLimiter, rateLimitRequests } from './decision.js';
import { writeFields } from './fields.js';
import { type MiddlewareOptions, withKey } from './options.js';

/** What is needed of a context of Koa, and what keys are often made of. */
export interface KoaContext {
  readonly ip: string;
  readonly method: string;
  readonly path: string;
  get(name: string): string;
  status: number;
  body: unknown;
  set(name: string, value: string): void;
  readonly res: { getHeader(name: string): number | string | string[] | undefined };
}

/** Options of {@link rateLimitKoa}. */
export interface KoaOptions<Context> extends MiddlewareOptions<Context> {
  /** Answers a denied request instead of `body`; status and headers are set. */
  respond?: (context: Context, denied: DeniedRequest) => unknown;
}

/**
 * Middleware for Koa, such as `app.use(rateLimitKoa(limiter))`: a request beyond the limit is answered with 429. By default a
 * client is limited by `ctx.ip`; behind a proxy set Koa's `app.proxy`, or all clients are one.
 *
 * @throws {InvalidArgumentError} for an option that cannot be right. The middleware rejects with errors of the limiter.
 */
export function rateLimitKoa<Context extends KoaContext = KoaContext>(
  limiter: RequestLimiter,
  options: KoaOptions<Context> = {},
): (context: Context, next: () => Promise<unknown>) => Promise<unknown> {
  const decide = rateLimitRequests(
    limiter,
    withKey(options, ({ ip }) => ip),
  );
  const { respond } = options;
  return async (context, next) => {
    const decision = await decide(context);
    if (!decision) return next();
    writeFields(
      decision.headers,
      (name) => context.res.getHeader(name),
      (name, value) => context.set(name, value),
    );
    if (decision.allowed) return next();
    context.status = decision.status;
    if (respond) return respond(context, decision);
    context.set('Content-Type', decision.contentType);
    context.body = decision.body;
    return undefined;
  };
}
