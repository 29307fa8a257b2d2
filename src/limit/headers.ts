import type { ResolvedRule } from './quota.js';
import type { RateLimitResult } from './result.js';

/** Options of {@link RateLimiter.headers}. */
export interface HeaderOptions {
  /** Whether `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in s from now) are there too; default `false`. */
  legacy?: boolean;
}

/** A structured field has no larger integers. */
const LARGEST = 999_999_999_999_999;

/**
 * The header fields of draft-ietf-httpapi-ratelimit-headers-11: the policies, and how the rule that decided stands.
 */
export function headersOf(
  result: RateLimitResult,
  rules: readonly ResolvedRule[],
  { legacy = false }: HeaderOptions,
): Record<string, string> {
  const { rule, limit, remaining, retryAfter } = result;
  const policies = rules.flatMap(({ name, limit: calls, periodMs }) => {
    // A limit that depends on the key is known of the rule that decided only.
    const quota = name === rule ? limit : calls;
    return typeof quota === 'number' ? [`${quoted(name)};q=${integer(quota)};w=${inSeconds(periodMs)}`] : [];
  });
  const deciding = rules.find(({ name }) => name === rule);
  return {
    'RateLimit-Policy': policies.join(', '),
    RateLimit: `${quoted(rule)};r=${integer(remaining)};t=${inSeconds(effectiveWindowMs(result, deciding))}`,
    ...(legacy && {
      'X-RateLimit-Limit': String(limit),
      'X-RateLimit-Remaining': String(remaining),
      'X-RateLimit-Reset': String(inSeconds(result.resetAfter)),
    }),
    ...(!result.allowed && retryAfter >= 0 && { 'Retry-After': String(inSeconds(retryAfter)) }),
  };
}

/** How long a client can use no more than what remains. */
function effectiveWindowMs(result: RateLimitResult, rule: ResolvedRule | undefined): number {
  const { exceeded, limit, remaining, retryAfter, resetAfter } = result;
  // Until then, and not longer: Retry-After should not be earlier than the end of this window.
  if (exceeded && retryAfter >= 0) return retryAfter;
  // A sliding window or a fixed one has no more than this until it is whole again.
  if (rule === undefined || (rule.id[0] !== 'g' && resetAfter > 0)) return resetAfter;
  // What refills all the time, or begins with the next call, is soon whole: with that for a window, a client that spreads
  // what remains over it would come faster than the rule lets it in the long run.
  return Math.max(resetAfter, (remaining * rule.periodMs) / limit);
}

function inSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

function integer(count: number): number {
  return Math.min(count, LARGEST);
}

/** A string of a structured field. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
