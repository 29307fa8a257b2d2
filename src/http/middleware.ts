import { clientKey } from './client-key.js';
import { decider, type RequestDecision, type RequestLimiter } from './decision.js';
import { ClientAddressUnknownError } from './errors.js';
import { CLIENT_GONE, type Framework } from './framework.js';
import { checkMiddlewareOptions, type MiddlewareOptions } from './options.js';
import { warnAboutDoubleCount, warnAboutUntrustedProxy } from './warnings.js';

/**
 * What all middlewares do: decides about a request, by the client's address where there is no key. Gives `undefined` for a
 * request that is not limited, and 499 for one whose client hung up and gets no answer any more.
 *
 * @throws {InvalidArgumentError} for a limiter or an option that cannot be right.
 */
export function decideFor<Request extends object>(
  framework: Framework<Request>,
  limiter: RequestLimiter,
  options: MiddlewareOptions<Request>,
): (request: Request) => Promise<RequestDecision | typeof CLIENT_GONE | undefined> {
  const { addressOf, nodeRequestOf } = framework;
  checkMiddlewareOptions(framework.call, limiter, options);
  const { ipv6Prefix = 64 } = options;

  function keyByAddress(request: Request): string {
    const address = addressOf(request);
    const key = clientKey(address, ipv6Prefix);
    const node = nodeRequestOf(request);
    if (node) warnAboutUntrustedProxy(framework.trusting, address, node);
    return key;
  }

  const isGone = (request: Request) => nodeRequestOf(request)?.socket?.destroyed === true;
  const decide = decider(framework.call, limiter, { ...options, key: options.key ?? keyByAddress });
  return async (request) => {
    let decision: RequestDecision | undefined;
    try {
      decision = await decide(request);
    } catch (error) {
      // The address goes with the connection, and nobody waits for an answer.
      if (error instanceof ClientAddressUnknownError && isGone(request)) return CLIENT_GONE;
      throw error;
    }
    if (decision) warnAboutDoubleCount(limiter, request, decision.key);
    return decision?.allowed === false && isGone(request) ? CLIENT_GONE : decision;
  };
}
