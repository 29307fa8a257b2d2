import { checkIpv6Prefix, clientKey } from './client-key.js';
import type { DecisionOptions } from './decision.js';

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

/** @throws {InvalidArgumentError} for an `ipv6Prefix` that is none. */
export function withKey<Request>(
  options: MiddlewareOptions<Request>,
  addressOf: (request: Request) => string | undefined,
): DecisionOptions<Request> {
  const { ipv6Prefix = 64 } = options;
  checkIpv6Prefix(ipv6Prefix);
  return { ...options, key: options.key ?? ((request) => clientKey(addressOf(request), ipv6Prefix)) };
}
