import { type AnsweredBody, asBody } from './answer.js';
import type { DeniedRequest, RequestLimiter } from './decision.js';
import { writeFields } from './fields.js';
import { CLIENT_GONE, type Framework, type NodeRequest } from './framework.js';
import { decideFor } from './middleware.js';
import type { MiddlewareOptions } from './options.js';

/** What is needed of a request of Express, and what keys are often made of. */
export interface ExpressRequest {
  readonly ip?: string | undefined;
  readonly method: string;
  readonly path: string;
  get(name: string): string | undefined;
}

/** What is needed of a response of Express. */
export interface ExpressResponse {
  statusCode: number;
  readonly headersSent?: boolean;
  getHeader(name: string): number | string | string[] | undefined;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** Options of {@link rateLimitExpress}. */
export interface ExpressOptions<Request, Response> extends MiddlewareOptions<Request> {
  /**
   * Answers a denied request instead of `body`; status and headers are set. An async one may give its answer instead of sending
   * it: text, or an object that is sent as JSON.
   */
  respond?: (request: Request, response: Response, denied: DeniedRequest) => unknown;
}

/**
 * Middleware for Express 4 and 5, such as `app.use(rateLimitExpress(limiter))`: a request beyond the limit is answered with 429.
 * By default a client is limited by `req.ip`; behind a proxy set Express's `trust proxy`, or all clients are one.
 *
 * @throws {InvalidArgumentError} for an option that cannot be right. Errors of the limiter go to `next`.
 */
export function rateLimitExpress<
  Request extends ExpressRequest = ExpressRequest,
  Response extends ExpressResponse = ExpressResponse,
>(
  limiter: RequestLimiter,
  options: ExpressOptions<Request, Response> = {},
): (request: Request, response: Response, next: (error?: unknown) => void) => Promise<void> {
  const decide = decideFor<Request>(EXPRESS, limiter, options);
  const { respond } = options;

  async function passes(request: Request, response: Response): Promise<boolean> {
    const decision = await decide(request);
    if (!decision) return true;
    if (decision === CLIENT_GONE) {
      response.statusCode = CLIENT_GONE;
      response.end('');
      return false;
    }
    // Something else has answered meanwhile, such as a timeout.
    if (response.headersSent) return decision.allowed;
    writeFields(
      decision.headers,
      (name) => response.getHeader(name),
      (name, value) => response.setHeader(name, value),
    );
    if (decision.allowed) return true;
    const { statusCode } = response;
    response.statusCode = decision.status;
    if (!respond) {
      send(response, decision);
      return false;
    }
    try {
      const answer = respond(request, response, decision);
      const body = answer instanceof Promise ? asBody(await answer) : undefined;
      if (body && !response.headersSent) send(response, body);
    } catch (error) {
      // The answer to an error is none to a limit.
      if (!response.headersSent) response.statusCode = statusCode;
      throw error;
    }
    return false;
  }

  return async (request, response, next) => {
    let goesOn: boolean;
    try {
      goesOn = await passes(request, response);
    } catch (error) {
      next(error);
      return;
    }
    // Not in the try: what comes after has errors of its own.
    if (goesOn) next();
  };
}

const EXPRESS: Framework<ExpressRequest> = {
  call: 'rateLimitExpress',
  trusting: "Set Express's 'trust proxy' to the address of the proxy",
  addressOf: ({ ip }) => ip,
  nodeRequestOf: (request) => request as NodeRequest,
};

function send(response: ExpressResponse, { contentType, body }: AnsweredBody): void {
  response.setHeader('Content-Type', contentType);
  response.end(body);
}
