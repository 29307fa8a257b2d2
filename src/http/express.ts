import { type DeniedRequest, type RequestLimiter, rateLimitRequests } from './decision.js';
import { writeFields } from './fields.js';
import { type MiddlewareOptions, withKey } from './options.js';

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
  getHeader(name: string): number | string | string[] | undefined;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** Options of {@link rateLimitExpress}. */
export interface ExpressOptions<Request, Response> extends MiddlewareOptions<Request> {
  /** Answers a denied request instead of `body`; status and headers are set. */
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
  const decide = rateLimitRequests(
    limiter,
    withKey(options, ({ ip }) => ip),
  );
  const { respond } = options;

  async function passes(request: Request, response: Response): Promise<boolean> {
    const decision = await decide(request);
    if (!decision) return true;
    writeFields(
      decision.headers,
      (name) => response.getHeader(name),
      (name, value) => response.setHeader(name, value),
    );
    if (decision.allowed) return true;
    response.statusCode = decision.status;
    if (respond) {
      await respond(request, response, decision);
    } else {
      response.setHeader('Content-Type', decision.contentType);
      response.end(decision.body);
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
