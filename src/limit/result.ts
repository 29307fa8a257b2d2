import { room, type Standing } from './algorithms.js';
import type { Quota } from './quota.js';

/** What a limiter decided. */
export interface RateLimitResult {
  /** Whether the call may go on. */
  readonly allowed: boolean;
  /** Whether a rule said no: the opposite of `allowed`, but in shadow mode, where every call is allowed. */
  readonly exceeded: boolean;
  /** The limit of the rule that decided. */
  readonly limit: number;
  /** What that rule has left: calls of cost 1. */
  readonly remaining: number;
  /** Ms until a call of this cost can pass; 0 if it did, -1 if it never can, because it costs more than there ever is. */
  readonly retryAfter: number;
  /** Ms until the rule that decided has all of its limit again. */
  readonly resetAfter: number;
  /** The name of the rule that decided: the one that denies for longest, or the one that has least left. */
  readonly rule: string;
  /** Whether Redis could not be asked, and `whenDown` answered. */
  readonly degraded: boolean;
}

/**
 * The result of one of the calls that were decided together: `later` more of them were accepted after it.
 *
 * @param accepted whether this one was.
 */
export function resultOf(
  quotas: readonly Quota[],
  standings: readonly Standing[],
  cost: number,
  accepted: boolean,
  later: number,
): RateLimitResult {
  let deciding = reported(quotas[0] as Quota, standings[0] as Standing, cost, accepted, later);
  for (let i = 1; i < quotas.length; i++) {
    const other = reported(quotas[i] as Quota, standings[i] as Standing, cost, accepted, later);
    if (isStricter(other, deciding)) deciding = other;
  }
  return deciding;
}

/** The result of a call that one rule accepted, and nothing else decided: as {@link resultOf}, for what is asked most. */
export function acceptedOf(quota: Quota, used: number, resetMs: number): RateLimitResult {
  const { kind, name, limit, drain } = quota;
  return {
    allowed: true,
    exceeded: false,
    limit,
    remaining: room(quota, used, 1),
    retryAfter: 0,
    resetAfter: kind === 'g' ? inMs(Math.ceil(used / drain)) : resetMs,
    rule: name,
    degraded: false,
  };
}

function reported(quota: Quota, standing: Standing, cost: number, accepted: boolean, later: number): RateLimitResult {
  const { kind, capacity, unit, drain } = quota;
  const used = standing.used - later * cost * unit;
  const { blockedUs } = standing;
  const resetUs = kind === 'g' ? Math.ceil(used / drain) : standing.resetUs;
  let retryAfter = 0;
  if (!accepted) {
    const excess = used + cost * unit - capacity;
    const waitUs = kind === 'g' ? Math.ceil(Math.max(0, excess) / drain) : standing.waitUs;
    retryAfter = cost * unit > capacity ? -1 : inMs(Math.max(waitUs, blockedUs));
  }
  return {
    allowed: accepted,
    exceeded: !accepted,
    limit: quota.limit,
    remaining: blockedUs > 0 ? 0 : room(quota, used, 1),
    retryAfter,
    resetAfter: inMs(Math.max(resetUs, blockedUs)),
    rule: quota.name,
    degraded: false,
  };
}

function isStricter(a: RateLimitResult, b: RateLimitResult): boolean {
  if (a.retryAfter !== b.retryAfter) return b.retryAfter >= 0 && (a.retryAfter < 0 || a.retryAfter > b.retryAfter);
  return a.remaining < b.remaining;
}

// Up, or whoever waits for as long comes too early.
function inMs(us: number): number {
  return Math.ceil(us / 1000);
}
