import { inspect } from 'node:util';
import { type Duration, positiveMs } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';

/** How calls are counted: see docs/rate-limiting.md for which to choose. */
export type RateLimitAlgorithm = 'sliding-window' | 'gcra' | 'fixed-window';

/** One rule of a limiter. */
export interface RateLimitRule {
  /**
   * Default `'sliding-window'`: never more than `limit` in any window of `period`, at the cost of remembering each call.
   * `'gcra'`: the same rate, smoothed, in constant memory. `'fixed-window'`: counts from the first call on, in constant memory;
   * up to twice the limit around the end of a window.
   */
  algorithm?: RateLimitAlgorithm;
  /** Calls per period (or what they cost together), or what gives that number for a key. */
  limit: number | ((key: string) => number);
  period: Duration;
  /** With `'gcra'`: how many calls may come at once; default `limit`. */
  burst?: number;
  /** What results and headers call the rule; default: algorithm and period, as in `sliding-window-60000ms`. */
  name?: string;
}

/** What stands in a key of Redis, by its algorithm. */
export type QuotaKind = 's' | 'g' | 'f';

/**
 * A rule whose limit is known, in whole numbers. What is used grows by `unit` per call, up to `capacity`; with GCRA it
 * shrinks by `drain` per µs, so that nothing is ever rounded.
 */
export interface Quota {
  readonly kind: QuotaKind;
  readonly name: string;
  readonly limit: number;
  readonly periodMs: number;
  readonly periodUs: number;
  readonly capacity: number;
  readonly unit: number;
  readonly drain: number;
}

/** A rule that was checked, but for a limit that depends on the key. */
export interface ResolvedRule {
  readonly name: string;
  readonly periodMs: number;
  /** What its keys in Redis begin with, behind the limiter's prefix: rules that count differently never share a key. */
  readonly id: string;
  readonly limit: number | ((key: string) => number);
  /** @throws {InvalidArgumentError} for a limit that cannot be right. */
  quota(limit: number): Quota;
}

const KINDS: Readonly<Record<RateLimitAlgorithm, QuotaKind>> = {
  'sliding-window': 's',
  gcra: 'g',
  'fixed-window': 'f',
};

/** What was accepted at one moment is remembered in 32 bits. */
const MAX_WINDOW_LIMIT = 2 ** 32 - 1;
const MOST_MS = 100 * 365 * 86_400_000;
/** Below it, a quotient of whole numbers that is rounded down is exact. */
const MAX_CAPACITY = 2 ** 52;

/** @throws {InvalidArgumentError} for a value that cannot be right. */
export function resolveRule(rule: RateLimitRule): ResolvedRule {
  const { algorithm = 'sliding-window', limit, burst } = rule;
  const kind = KINDS[algorithm];
  if (kind === undefined || !Object.hasOwn(KINDS, algorithm)) {
    throw new InvalidArgumentError(
      `algorithm must be 'sliding-window', 'gcra' or 'fixed-window', got ${inspect(algorithm)}`,
    );
  }
  const periodMs = positiveMs(rule.period, 'period');
  checkedUs(periodMs, 'period');
  if (burst !== undefined) {
    if (kind !== 'g') {
      throw new InvalidArgumentError(`burst is for the algorithm 'gcra' only; with '${algorithm}' leave it out`);
    }
    checkCount(burst, 'burst');
  }
  const name = rule.name ?? `${algorithm}-${periodMs}ms`;
  if (typeof name !== 'string' || !/^[\x20-\x7e]+$/.test(name)) {
    throw new InvalidArgumentError(
      `name must be a non-empty string of printable ASCII characters, got ${inspect(name)}`,
    );
  }
  const resolved: ResolvedRule = {
    name,
    periodMs,
    id: `${kind}${periodMs}`,
    limit,
    quota: (calls) => quotaOf(kind, name, calls, periodMs, burst),
  };
  if (typeof limit !== 'function') resolved.quota(limit);
  return resolved;
}

/** @throws {InvalidArgumentError} unless it is a safe integer of 1 or more. */
export function checkCount(value: number, name: string, remedy = ''): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError(`${name} must be a whole number of 1 or more, got ${String(value)}${remedy}`);
  }
}

/** Not yet in TypeScript's library for ES2023; every supported Node has it. */
/**
 * A duration in µs.
 *
 * @throws {InvalidArgumentError} if a moment so far ahead could not be told exactly: 100 years are enough.
 */
export function checkedUs(ms: number, name: string): number {
  if (ms > MOST_MS) throw new InvalidArgumentError(`${name} must be at most 100 years (${MOST_MS} ms), got ${ms} ms`);
  return ms * 1000;
}

function quotaOf(kind: QuotaKind, name: string, limit: number, periodMs: number, burst = limit): Quota {
  checkCount(limit, 'limit');
  const periodUs = periodMs * 1000;
  if (kind !== 'g') {
    const most = kind === 's' ? MAX_WINDOW_LIMIT : MAX_CAPACITY;
    if (limit > most) {
      throw new InvalidArgumentError(
        `limit must be at most ${most} for '${name}', got ${limit}; with 'gcra' it may be more`,
      );
    }
    return { kind, name, limit, periodMs, periodUs, capacity: limit, unit: 1, drain: 0 };
  }
  // One call uses period / limit µs: kept as a fraction in lowest terms.
  const divisor = greatestCommonDivisor(periodUs, limit);
  const unit = periodUs / divisor;
  const drain = limit / divisor;
  const capacity = unit * burst;
  if (capacity > MAX_CAPACITY) {
    throw new InvalidArgumentError(
      `limit ${limit} per ${periodMs} ms with a burst of ${burst} cannot be counted in exact integers by 'gcra'; ` +
        `choose rounder numbers, a smaller burst, or the algorithm 'sliding-window'`,
    );
  }
  return { kind, name, limit, periodMs, periodUs, capacity, unit, drain };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
