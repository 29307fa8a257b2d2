import type { RequestLimiter } from './decision.js';
import type { NodeRequest } from './framework.js';

/** Headers in which proxies say whose request they pass on. */
const FORWARDED = ['x-forwarded-for', 'forwarded', 'x-real-ip'] as const;

const told = new Set<string>();

/**
 * Warns, once, when a proxy seems to be in front and the framework takes the proxy for the client.
 *
 * @param address what the framework takes for the address of the client.
 */
export function warnAboutUntrustedProxy(
  trusting: string,
  address: string | undefined,
  { headers, socket }: NodeRequest,
): void {
  if (told.size > 0 && told.has(trusting)) return;
  const header = FORWARDED.find((name) => headers?.[name] !== undefined);
  if (header === undefined || address === undefined || address !== socket?.remoteAddress) return;
  // A client on the machine of a trusted proxy has the same address as the proxy.
  const last = String(headers?.[header]).split(',').at(-1)?.trim();
  if (last === address) return;
  told.add(trusting);
  warn(
    'LAGOON_PROXY_NOT_TRUSTED',
    `A request came with ${header}, and clients are limited by the address of the connection: behind a proxy, all of them are one ` +
      `client. ${trusting}. Without a proxy in front nothing is wrong: a client made the header up. See docs/http.md`,
  );
}

/** The key that a limiter counted a request under, by limiter and request. */
const counted = new WeakMap<RequestLimiter, WeakMap<object, string>>();
const toldOf = new WeakSet<RequestLimiter>();

/** Warns, once for each limiter, when it counts a request twice. */
export function warnAboutDoubleCount(limiter: RequestLimiter, request: object, key: string): void {
  if (toldOf.has(limiter)) return;
  const keys = counted.get(limiter) ?? new WeakMap<object, string>();
  counted.set(limiter, keys);
  if (keys.get(request) !== key) {
    keys.set(request, key);
    return;
  }
  toldOf.add(limiter);
  warn(
    'LAGOON_COUNTED_TWICE',
    'A limiter counted one request twice under the same key, as it stands in front of all routes and of one route too: half of ' +
      'its limit is left. Give the route a limiter with a prefix of its own, or take one of the two away. See docs/http.md',
  );
}

function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'LagoonWarning', code });
}
