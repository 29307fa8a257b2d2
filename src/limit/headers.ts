import type { ResolvedRule } from './quota.js';
import type { RateLimitResult } from './result.js';

/** Options of {@link RateLimiter.headers}. */
export interface HeaderOptions {
  /** Whether `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in s from now) are there too; default `false`. */
  legacy?: boolean;
}

/**
 * The header fields of draft-ietf-httpapi-ratelimit-headers-10: the policies, and how the rule that decided stands.
 */
export function headersOf(
  result: RateLimitResult,
  rules: readonly ResolvedRule[],
  { legacy = false }: HeaderOptions,
): Record<string, string> {
  const { rule, limit, remaining } = result;
  const resetS = inSeconds(result.resetAfter);
  const policies = rules.flatMap(({ name, limit: calls, periodMs }) => {
    // A limit that depends on the key is known of the rule that decided only.
    const quota = name === rule ? limit : calls;
    return typeof quota === 'number' ? [`${quoted(name)};q=${quota};w=${inSeconds(periodMs)}`] : [];
  });
  return {
    'RateLimit-Policy': policies.join(', '),
    RateLimit: `${quoted(rule)};r=${remaining};t=${resetS}`,
    ...(legacy && {
      'X-RateLimit-Limit': String(limit),
      'X-RateLimit-Remaining': String(remaining),
      'X-RateLimit-Reset': String(resetS),
    }),
    ...(!result.allowed && result.retryAfter >= 0 && { 'Retry-After': String(inSeconds(result.retryAfter)) }),
  };
}

function inSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** A string of a structured field. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
