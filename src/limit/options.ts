import { inspect } from 'node:util';
import { InvalidArgumentError } from '../errors.js';
import { checkCount, type RateLimitRule, type ResolvedRule, resolveRule } from './quota.js';

/**
 * What to answer while Redis cannot be asked. `'throw'`: the error. `'allow'` and `'deny'`: that. `'local'`: what a limiter of this
 * process decides, which begins with nothing used.
 */
export type WhenDown = 'throw' | 'allow' | 'deny' | 'local';

/** Options of a limiter, beside its rules. */
export interface RateLimiterSettings {
  /** What its keys in Redis begin with; default `limit:`. */
  prefix?: string;
  /** Default `'throw'`. */
  whenDown?: WhenDown;
  /** Called when Redis cannot be asked any more, once, until it can be again. */
  onDown?: (error: Error) => void;
  /** Called when Redis can be asked again. */
  onUp?: () => void;
  /** Whether every call is allowed, while results say what would have been denied (`exceeded`); default `false`. */
  shadow?: boolean;
  /** How many denials are remembered in this process, which are then repeated without asking Redis; default 10000, 0: none. */
  maxDenials?: number;
}

/** Options of `getRateLimiter`: one rule, or several that must all have room. */
export type RateLimiterOptions = RateLimiterSettings & (RateLimitRule | { rules: readonly RateLimitRule[] });

export interface ResolvedLimiter extends Required<Omit<RateLimiterSettings, 'onDown' | 'onUp'>> {
  readonly rules: readonly ResolvedRule[];
  readonly onDown: ((error: Error) => void) | undefined;
  readonly onUp: (() => void) | undefined;
}

const WHEN_DOWN: readonly WhenDown[] = ['throw', 'allow', 'deny', 'local'];

/** @throws {InvalidArgumentError} for a value that cannot be right. */
export function resolveOptions(options: RateLimiterOptions): ResolvedLimiter {
  const { prefix = 'limit:', whenDown = 'throw', shadow = false, maxDenials = 10_000, onDown, onUp } = options;
  if (typeof prefix !== 'string') throw new InvalidArgumentError('prefix must be a string');
  if (!WHEN_DOWN.includes(whenDown)) {
    throw new InvalidArgumentError(`whenDown must be one of ${WHEN_DOWN.join(', ')}, got ${inspect(whenDown)}`);
  }
  if (typeof shadow !== 'boolean') throw new InvalidArgumentError('shadow must be true or false');
  if (maxDenials !== 0) checkCount(maxDenials, 'maxDenials', '; 0 turns the memory off');
  for (const [name, callback] of Object.entries({ onDown, onUp })) {
    if (callback !== undefined && typeof callback !== 'function') {
      throw new InvalidArgumentError(`${name} must be a function`);
    }
  }
  const rules = 'rules' in options ? options.rules : [options];
  if (!Array.isArray(rules) || rules.length === 0) {
    throw new InvalidArgumentError('rules must be an array of at least one rule');
  }
  return { prefix, whenDown, shadow, maxDenials, onDown, onUp, rules: distinct(rules.map(resolveRule)) };
}

/** Two rules that would count in one key, because only their limits differ, get keys of their own. */
function distinct(rules: readonly ResolvedRule[]): ResolvedRule[] {
  const seen = new Map<string, number>();
  const names = new Set<string>();
  return rules.map((rule) => {
    if (names.has(rule.name)) {
      throw new InvalidArgumentError(`Two rules are called ${JSON.stringify(rule.name)}: give each a name of its own`);
    }
    names.add(rule.name);
    const twins = seen.get(rule.id) ?? 0;
    seen.set(rule.id, twins + 1);
    return twins === 0 ? rule : { ...rule, id: `${rule.id}-${twins + 1}` };
  });
}
