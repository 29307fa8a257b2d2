import { inspect } from 'node:util';
import { type Duration, positiveMs } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { checkOptions, type OptionTable } from '../options.js';
import { checkWellFormed } from '../well-formed.js';
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
  /** How long `consume` and `peek` wait for Redis before that; default: the pool's `commandTimeout`. */
  timeout?: Duration;
  /** Called when Redis cannot be asked any more, once, until it can be again; of a cluster, when the first server cannot. */
  onDown?: (error: Error) => void;
  /** Called when Redis can be asked again; of a cluster, when all servers can. */
  onUp?: () => void;
  /** Whether every call is allowed, while results say what would have been denied (`exceeded`); default `false`. */
  shadow?: boolean;
  /**
   * How many denials are remembered in this process, which are then repeated without asking Redis; default 10000, 0: none. Their keys
   * take 16 MiB at most.
   */
  maxDenials?: number;
}

/** Options of `getRateLimiter`: one rule, or several that must all have room. */
export type RateLimiterOptions = RateLimiterSettings & (RateLimitRule | { rules: readonly RateLimitRule[] });

export interface ResolvedLimiter extends Required<Omit<RateLimiterSettings, 'onDown' | 'onUp' | 'timeout'>> {
  readonly timeoutMs: number | undefined;
  readonly rules: readonly ResolvedRule[];
  readonly onDown: ((error: Error) => void) | undefined;
  readonly onUp: (() => void) | undefined;
}

const RULE: OptionTable<RateLimitRule> = {
  limit: ['points', 'max', 'capacity', 'requests', 'maxRequests', 'calls'],
  period: ['duration', 'window', 'windowMs', 'interval', 'per', 'every'],
  algorithm: ['strategy', 'type', 'kind'],
  burst: ['maxBurst'],
  name: true,
};

const SETTINGS: OptionTable<RateLimiterSettings> = {
  prefix: ['keyPrefix', 'namespace'],
  whenDown: ['insuranceLimiter', 'fallback', 'onError', 'skipOnError'],
  timeout: true,
  onDown: true,
  onUp: true,
  shadow: ['dryRun'],
  maxDenials: ['inMemoryBlockOnConsumed', 'ephemeralCache'],
};

const ONE_RULE: OptionTable<RateLimiterSettings & RateLimitRule> = { ...SETTINGS, ...RULE };
const SEVERAL_RULES: OptionTable<RateLimiterSettings & { rules: unknown }> = { ...SETTINGS, rules: ['limiters'] };

const WHEN_DOWN: readonly WhenDown[] = ['throw', 'allow', 'deny', 'local'];

/** @throws {InvalidArgumentError} for a value that cannot be right. */
export function resolveOptions(options: RateLimiterOptions): ResolvedLimiter {
  const several = typeof options === 'object' && options !== null && 'rules' in options;
  checkOptions('getRateLimiter', options, several ? SEVERAL_RULES : ONE_RULE);
  const { prefix = 'limit:', whenDown = 'throw', shadow = false, maxDenials = 10_000, timeout, onDown, onUp } = options;
  if (typeof prefix !== 'string') throw new InvalidArgumentError('prefix must be a string');
  checkWellFormed(prefix, 'prefix');
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
  if ('rules' in options) for (const rule of rules) checkOptions('a rule of getRateLimiter', rule, RULE);
  const timeoutMs = timeout === undefined ? undefined : positiveMs(timeout, 'timeout');
  return { prefix, whenDown, shadow, maxDenials, timeoutMs, onDown, onUp, rules: distinct(rules.map(resolveRule)) };
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
