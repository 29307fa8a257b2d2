import { type DeniedRequest, type RequestLimiter, rateLimitRequests } from './decision.js';
import { writeFields } from './fields.js';
import { type MiddlewareOptions, withKey } from './options.js';

/** What is needed of a request of Fastify, and what keys are often made of. */
export interface FastifyRequest {
  readonly ip: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What is needed of a reply of Fastify. */
export interface FastifyReply {
  statusCode: number;
  getHeader(name: string): number | string | string[] | undefined;
  header(name: string, value: string): unknown;
  /** A string in fact: a route that says what it replies takes nothing else. */
  send(payload: never): unknown;
}

/** Options of {@link rateLimitFastify}. */
export interface FastifyOptions<Request, Reply> extends MiddlewareOptions<Request> {
  /** Answers a denied request instead of `body`, with `reply.send()`; status and headers are set. */
  respond?: (request: Request, reply: Reply, denied: DeniedRequest) => unknown;
}

/**
 * Hook for Fastify, such as `app.addHook('onRequest', rateLimitFastify(limiter))` or `{ onRequest: rateLimitFastify(limiter) }` of
 * a route: a request beyond the limit is answered with 429. By default a client is limited by `request.ip`; behind a proxy set
 * Fastify's `trustProxy`, or all clients are one.
 *
 * @throws {InvalidArgumentError} for an option that cannot be right. The hook rejects with errors of the limiter.
 */
export function rateLimitFastify<
  Request extends FastifyRequest = FastifyRequest,
  Reply extends FastifyReply = FastifyReply,
>(
  limiter: RequestLimiter,
  options: FastifyOptions<Request, Reply> = {},
): (request: Request, reply: Reply) => Promise<unknown> {
  const decide = rateLimitRequests(
    limiter,
    withKey(options, ({ ip }) => ip),
  );
  const { respond } = options;
  return async (request, reply) => {
    const decision = await decide(request);
    if (!decision) return undefined;
    writeFields(
      decision.headers,
      (name) => reply.getHeader(name),
      (name, value) => reply.header(name, value),
    );
    if (decision.allowed) return undefined;
    reply.statusCode = decision.status;
    if (respond) {
      await respond(request, reply, decision);
    } else {
      reply.header('Content-Type', decision.contentType);
      reply.send(decision.body as never);
    }
    // So Fastify knows that the request ends here.
    return reply;
  };
}
