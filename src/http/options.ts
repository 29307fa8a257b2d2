import { InvalidArgumentError } from '../errors.js';
import { checkOptions, type OptionTable } from '../options.js';
import { checkIpv6Prefix } from './client-key.js';
import { checkLimiter, DECISION_OPTIONS, type DecisionOptions, type RequestLimiter } from './decision.js';

/** Options of every middleware. */
export interface MiddlewareOptions<Request> extends Omit<DecisionOptions<Request>, 'key'> {
  /**
   * What to limit by: the client, the user, the API key … `undefined` lets the request through and counts nothing. Default: the
   * address of the client as the framework knows it, one of IPv6 by its network; see {@link clientKey}.
   */
  key?: DecisionOptions<Request>['key'];
  /** How many bits of an IPv6 address are the client's network, if there is no `key`; default 64. */
  ipv6Prefix?: number;
}

/** Every middleware has this one too, with its framework's own types. */
interface Responding {
  respond?: unknown;
}

const MIDDLEWARE_OPTIONS: OptionTable<MiddlewareOptions<unknown> & Responding> = {
  ...DECISION_OPTIONS,
  ipv6Prefix: ['ipv6Subnet'],
  respond: ['handler', 'errorResponseBuilder', 'message'],
};

/** @throws {InvalidArgumentError} for an option that no middleware has, and for an `ipv6Prefix` or a `respond` that is none. */
export function checkMiddlewareOptions(
  call: string,
  limiter: RequestLimiter,
  options: MiddlewareOptions<never> & Responding,
): void {
  checkLimiter(call, limiter);
  checkOptions(call, options, MIDDLEWARE_OPTIONS);
  const { ipv6Prefix = 64, respond } = options;
  checkIpv6Prefix(ipv6Prefix);
  if (respond !== undefined && typeof respond !== 'function') {
    throw new InvalidArgumentError(`respond of ${call} must be a function`);
  }
}
