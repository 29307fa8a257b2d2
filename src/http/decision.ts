import { InvalidArgumentError } from '../errors.js';
import type { RateLimiter } from '../limit/limiter.js';
import { checkCount } from '../limit/quota.js';
import type { RateLimitResult } from '../limit/result.js';
import { checkOptions, type OptionTable } from '../options.js';
import { BODIES, type LimitedBody } from './body.js';

/** What decides about requests: a limiter of `redis.getRateLimiter()`. */
export type RequestLimiter = Pick<RateLimiter, 'consume' | 'headers'>;

/** How requests are limited, whatever the framework. */
export interface DecisionOptions<Request> {
  /** What to limit by: the client, the user, the API key … `undefined` lets the request through and counts nothing. */
  key: (request: Request) => string | undefined | Promise<string | undefined>;
  /** How many calls a request counts for; default 1. A function may give 0, which lets the request through and counts nothing. */
  cost?: number | ((request: Request) => number | Promise<number>);
  /** Whether to let a request through and count nothing. Asked first. */
  skip?: (request: Request) => boolean | Promise<boolean>;
  /**
   * Whether answers have `RateLimit` and `RateLimit-Policy`, default `true`. `Retry-After` is there in any case if a request is
   * denied and can pass later.
   */
  headers?: boolean;
  /** Whether answers have `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in s from now) as well; default `false`. */
  legacyHeaders?: boolean;
  /** What a denied request is answered with; default `'problem'`, which is JSON. */
  body?: LimitedBody;
  /**
   * Told of each request that is beyond the limit, also of those that shadow mode lets through; the answer waits for it. What it
   * throws is an error of the request.
   */
  onLimited?: (request: Request, decision: RequestDecision) => unknown;
}

interface Decided {
  /** What it was limited by. */
  readonly key: string;
  readonly result: RateLimitResult;
  /** For the answer, whoever makes it. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A request that may go on. */
export interface AllowedRequest extends Decided {
  readonly allowed: true;
}

/** A request that may not go on, and the answer to it. */
export interface DeniedRequest extends Decided {
  readonly allowed: false;
  readonly status: 429;
  readonly contentType: string;
  readonly body: string;
}

export type RequestDecision = AllowedRequest | DeniedRequest;

/** The table of {@link DecisionOptions}, with the names of express-rate-limit and @fastify/rate-limit. */
export const DECISION_OPTIONS: OptionTable<DecisionOptions<unknown>> = {
  key: ['keyGenerator', 'by'],
  cost: ['weight', 'points'],
  skip: ['allowList', 'whitelist', 'ignore'],
  headers: ['standardHeaders', 'addHeaders'],
  legacyHeaders: true,
  body: true,
  onLimited: ['onExceeded', 'onLimitReached', 'onExceeding'],
};

/**
 * What all the middlewares do, for a framework that has none here: gives a function that decides about a request and says how
 * to answer it. It gives `undefined` for a request that is not limited at all.
 *
 * @throws {InvalidArgumentError} for a limiter or an option that cannot be right. The function rejects with what `limiter.consume`
 *   throws, and what the functions among the options do.
 */
export function rateLimitRequests<Request>(
  limiter: RequestLimiter,
  options: DecisionOptions<Request>,
): (request: Request) => Promise<RequestDecision | undefined> {
  checkLimiter('rateLimitRequests', limiter);
  checkOptions('rateLimitRequests', options, DECISION_OPTIONS);
  return decider('rateLimitRequests', limiter, options);
}

/** @throws {InvalidArgumentError} */
export function checkLimiter(call: string, limiter: RequestLimiter): void {
  if (typeof limiter?.consume === 'function' && typeof limiter.headers === 'function') return;
  throw new InvalidArgumentError(
    `${call} takes a limiter first: ${call}(redis.getRateLimiter({ limit: 100, period: '1m' }), options)`,
  );
}

/** {@link rateLimitRequests} for options whose names are checked. */
export function decider<Request>(
  call: string,
  limiter: RequestLimiter,
  options: DecisionOptions<Request>,
): (request: Request) => Promise<RequestDecision | undefined> {
  const { key: keyOf, cost = 1, skip, headers = true, legacyHeaders = false, body = 'problem', onLimited } = options;
  for (const [name, value] of Object.entries({ key: keyOf, skip, onLimited })) {
    if (typeof value !== 'function' && (value !== undefined || name === 'key')) {
      throw new InvalidArgumentError(`${name} of ${call} must be a function`);
    }
  }
  if (typeof cost !== 'function') checkCount(cost, 'cost', '; to count nothing for some requests, use skip');
  if (!Object.hasOwn(BODIES, body)) {
    throw new InvalidArgumentError(`body must be 'problem' or 'text', got ${JSON.stringify(body)}`);
  }

  const headersOf = (result: RateLimitResult): Record<string, string> => {
    const all = Object.entries(limiter.headers(result, { legacy: legacyHeaders }));
    return Object.fromEntries(headers ? all : all.filter(([name]) => !name.startsWith('RateLimit')));
  };

  return async (request) => {
    if (await skip?.(request)) return undefined;
    const key = await keyOf(request);
    if (key === undefined) return undefined;
    const points = typeof cost === 'function' ? await cost(request) : cost;
    if (points === 0) return undefined;
    const result = await limiter.consume(key, points);
    const decided: Decided = { key, result, headers: headersOf(result) };
    const decision: RequestDecision = result.allowed
      ? { ...decided, allowed: true }
      : { ...decided, allowed: false, status: 429, ...BODIES[body](result) };
    if (result.exceeded) await onLimited?.(request, decision);
    return decision;
  };
}
