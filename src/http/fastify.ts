import type { DeniedRequest, RequestLimiter } from './decision.js';
import { writeFields } from './fields.js';
import { CLIENT_GONE, type Framework, type NodeRequest } from './framework.js';
import { decideFor } from './middleware.js';
import type { MiddlewareOptions } from './options.js';

/** What is needed of a request of Fastify, and what keys are often made of. */
export interface FastifyRequest {
  readonly ip: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body?: unknown;
  readonly params?: unknown;
  readonly query?: unknown;
}

/** What is needed of a reply of Fastify. */
export interface FastifyReply {
  statusCode: number;
  readonly sent?: boolean;
  getHeader(name: string): number | string | string[] | undefined;
  header(name: string, value: string): unknown;
  /** A string in fact: a route that says what it replies takes nothing else. */
  send(payload: never): unknown;
  hijack?(): unknown;
}

/** Options of {@link rateLimitFastify}. */
export interface FastifyOptions<Request, Reply> extends MiddlewareOptions<Request> {
  /** Answers a denied request instead of `body`: what it gives, or what it sends with `reply.send()`; status and headers are set. */
  respond?: (request: Request, reply: Reply, denied: DeniedRequest) => unknown;
}

/**
 * Hook for Fastify, such as `app.addHook('onRequest', rateLimitFastify(limiter))` or `{ onRequest: rateLimitFastify(limiter) }` of
 * a route: a request beyond the limit is answered with 429. By default a client is limited by `request.ip`; behind a proxy
 * set Fastify's `trustProxy` to the address of the proxy, or all clients are one.
 *
 * Options get Fastify's types where their parameters name them: `key: (request: FastifyRequest) => …`.
 *
 * @throws {InvalidArgumentError} for an option that cannot be right. The hook rejects with errors of the limiter.
 */
export function rateLimitFastify<
  Request extends FastifyRequest = FastifyRequest,
  Reply extends FastifyReply = FastifyReply,
>(
  limiter: RequestLimiter,
  options: FastifyOptions<Request, Reply> = {},
  // Not inferred from the route that the hook is for: its own types are not known yet, and the compiler would take `never`.
): (request: NoInfer<Request>, reply: NoInfer<Reply>) => Promise<unknown> {
  const decide = decideFor<Request>(FASTIFY, limiter, options);
  const { respond } = options;
  return async (request, reply) => {
    const decision = await decide(request);
    if (!decision) return undefined;
    if (decision === CLIENT_GONE) {
      reply.statusCode = CLIENT_GONE;
      // On a closed connection Fastify takes what is being sent for sent, and would go on to the handler.
      reply.hijack?.();
      return undefined;
    }
    // Something else has answered meanwhile, such as a timeout.
    if (reply.sent) return reply;
    writeFields(
      decision.headers,
      (name) => reply.getHeader(name),
      (name, value) => reply.header(name, value),
    );
    if (decision.allowed) return undefined;
    const { statusCode } = reply;
    reply.statusCode = decision.status;
    if (!respond || !(await responded(reply, statusCode, () => respond(request, reply, decision)))) {
      reply.header('Content-Type', decision.contentType);
      reply.send(decision.body as never);
    }
    // So Fastify knows that the request ends here.
    return reply;
  };
}

const FASTIFY: Framework<FastifyRequest> = {
  call: 'rateLimitFastify',
  trusting: "Set Fastify's trustProxy to the address of the proxy (a number trusts none)",
  addressOf: ({ ip }) => ip,
  nodeRequestOf: (request) => (request as { raw?: NodeRequest }).raw,
};

/** Lets the application answer; `false` if it is async and has neither sent nor given an answer, so that none would come. */
async function responded(reply: FastifyReply, statusCode: number, respond: () => unknown): Promise<boolean> {
  const { send } = reply;
  let sends = false;
  // Fastify itself says so only after its hooks have run.
  reply.send = (payload) => {
    sends = true;
    return send.call(reply, payload);
  };
  try {
    const answer = respond();
    const given = await answer;
    if (sends || reply.sent || given === reply) return true;
    if (given !== undefined) send.call(reply, given as never);
    return given !== undefined || !(answer instanceof Promise);
  } catch (error) {
    // The answer to an error is none to a limit.
    if (!sends && !reply.sent) reply.statusCode = statusCode;
    throw error;
  } finally {
    reply.send = send;
  }
}
