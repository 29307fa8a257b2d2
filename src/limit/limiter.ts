import { inspect } from 'node:util';
import { BoundedMap } from '../bounded-map.js';
import { type Duration, nonNegativeMs, positiveMs } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { checkOptions, type OptionTable } from '../options.js';
import { checkWellFormed } from '../well-formed.js';
import { Decisions } from './decisions.js';
import { Denials } from './denials.js';
import { type HeaderOptions, headersOf } from './headers.js';
import { type RateLimiterOptions, type ResolvedLimiter, resolveOptions } from './options.js';
import { Outages } from './outage.js';
import { Plan } from './plan.js';
import { checkCount, checkedUs } from './quota.js';
import type { RateLimitResult } from './result.js';
import { type LimitScripts, scriptsFor } from './scripts.js';
import type { LimitStore } from './store.js';
import { Waits } from './waits.js';

/** Options of {@link RateLimiter.wait}. */
export interface WaitOptions {
  /** Default 1. */
  cost?: number;
  /** How long to wait at most; default: as long as it takes. */
  timeout?: Duration;
  /** Ends the wait. */
  signal?: AbortSignal;
}

const WAIT: OptionTable<WaitOptions> = {
  cost: ['points', 'weight'],
  timeout: ['waitTimeout', 'maxWait'],
  signal: true,
};
const HEADERS: OptionTable<HeaderOptions> = { legacy: ['legacyHeaders'] };

/** Limits that depend on the key may have so many values at a time, before the oldest is made anew. */
const MOST_PLANS = 1_000;
/** So that what was used stays exact, however often it happens. */
const MOST_POINTS = 2 ** 31;

/** Limits how often something may happen, per key, over all processes. Made by `redis.getRateLimiter()`. */
export class RateLimiter {
  readonly #options: ResolvedLimiter;
  readonly #store: LimitStore;
  readonly #scripts: LimitScripts;
  readonly #denials: Denials;
  readonly #outages: Outages;
  readonly #waits: Waits;
  /** The only plan there is, unless limits depend on the key. */
  readonly #plan: Decider | undefined;
  readonly #plans = new BoundedMap<string, Decider>(MOST_PLANS);

  /** @internal */
  constructor(store: LimitStore, options: RateLimiterOptions) {
    this.#options = resolveOptions(options);
    const { rules, maxDenials, timeoutMs } = this.#options;
    this.#store = timeoutMs === undefined ? store : store.withTimeout(timeoutMs);
    this.#scripts = scriptsFor(rules.map(({ id }) => id[0]).join(''));
    this.#denials = new Denials(maxDenials, (work) => store.inBackground(work));
    this.#outages = new Outages(this.#store, this.#options);
    this.#waits = new Waits(store.closing);
    const limits = rules.map(({ limit }) => limit);
    if (limits.every((limit) => typeof limit === 'number')) this.#plan = this.#makeDecider(limits);
  }

  /**
   * Counts a call, if there is room for it; a call that is denied counts for nothing. At most one round trip.
   *
   * @param cost how many calls it counts for; default 1.
   * @throws {InvalidArgumentError} for what can never be right; nothing was sent.
   * @throws {ReplyError} if Redis refuses. What Redis being away means, `whenDown` says.
   */
  consume(key: string, cost = 1): Promise<RateLimitResult> {
    let decider: Decider;
    try {
      checkKey(key);
      if (cost !== 1) checkCount(cost, 'cost', cost === 0 ? '; to look without counting, use peek()' : '');
      decider = this.#deciderOf(key);
    } catch (error) {
      return Promise.reject(error);
    }
    const { plan, decisions } = decider;
    const denied = this.#denials.find(plan, key, cost);
    if (denied !== undefined) return denied;
    const answer = this.#outages.answerSome && this.#answerInOutage(decider, key, cost, 1);
    return answer ? Promise.resolve(answer) : decisions.consume(key, cost);
  }

  /** What `consume` would say now, without counting anything. */
  async peek(key: string, cost = 1): Promise<RateLimitResult> {
    checkKey(key);
    checkCount(cost, 'cost');
    const decider = this.#deciderOf(key);
    const answer = this.#outages.answerSome && this.#answerInOutage(decider, key, cost, 0);
    return answer || decider.decisions.peek(key, cost);
  }

  /**
   * Counts a call as soon as there is room for it, be it by {@link reset} or {@link reward}. Those who wait for one key in this
   * process are served in their order. A reset or reward of another process, or of another limiter, is not noticed before the
   * `retryAfter` of the last denial is over: until then it sleeps.
   *
   * @throws {RateLimitedError} if there is no room within `timeout`: as soon as that is certain.
   * @throws {CommandTimeoutError} if Redis has not answered within `timeout`.
   * @throws {AbortError} when the signal aborts. If Redis counts the call all the same, because it was asked at that moment,
   *   the call is given back as soon as Redis says so.
   * @throws {PoolOverloadedError} if those who wait already take 64 MiB, at 512 bytes and 2 per character of the key each.
   * @throws whatever {@link consume} throws.
   */
  async wait(key: string, options: WaitOptions = {}): Promise<RateLimitResult> {
    checkOptions('wait', options, WAIT);
    const { cost = 1, timeout, signal } = options;
    checkKey(key);
    checkCount(cost, 'cost');
    const timeoutMs = timeout === undefined ? Number.POSITIVE_INFINITY : nonNegativeMs(timeout, 'timeout');
    return this.#waits.wait(key, timeoutMs, signal, {
      consume: () => this.consume(key, cost),
      peek: () => this.peek(key, cost),
      giveBack: () => void this.reward(key, cost).catch(() => undefined),
    });
  }

  /** Forgets all that was counted for a key, denials of this process included. A block ends too. */
  async reset(key: string): Promise<void> {
    await this.#adjust(key, 'reset', () => 0);
    this.#hasRoom(key);
  }

  /** Counts `points` for a key even if there is no room for them: what is used may exceed the limit. */
  async penalty(key: string, points = 1): Promise<void> {
    await this.#adjust(key, 'charge', () => checkedPoints(points));
    this.#denials.forget(key);
  }

  /** Gives `points` back that were counted for a key, the newest first. */
  async reward(key: string, points = 1): Promise<void> {
    await this.#adjust(key, 'charge', () => -checkedPoints(points));
    this.#hasRoom(key);
  }

  /** Denies every call on a key for some time, whatever it has left; what it had used stays. It replaces the block before. */
  async block(key: string, duration: Duration): Promise<void> {
    await this.#adjust(key, 'block', () => checkedUs(positiveMs(duration, 'duration'), 'duration'));
    // It may end sooner than the block before.
    this.#hasRoom(key);
  }

  /** The HTTP headers that tell a client how it stands: `RateLimit`, `RateLimit-Policy`, and `Retry-After` if it was denied. */
  headers(result: RateLimitResult, options: HeaderOptions = {}): Record<string, string> {
    checkOptions('headers', options, HEADERS);
    return headersOf(result, this.#options.rules, options);
  }

  async #adjust(key: string, what: string, amount: () => number): Promise<void> {
    checkKey(key);
    const { plan } = this.#deciderOf(key);
    await this.#store.runScript(plan.adjust, plan.keysOf(key), [...plan.shared.args, what, amount()]);
  }

  /** What was denied to a key may pass now. */
  #hasRoom(key: string): void {
    this.#denials.forget(key);
    this.#waits.wake(key);
  }

  /** The answer of `whenDown`, if the server that has the key is known to be away. */
  #answerInOutage({ plan, decisions }: Decider, key: string, cost: number, count: 0 | 1): RateLimitResult | undefined {
    const server = this.#store.serverOf(plan.keysOf(key));
    if (!this.#outages.has(server) || this.#store.closing.aborted) return undefined;
    if (this.#outages.probes(server)) decisions.peek(key, cost).catch(() => undefined);
    return this.#shown(this.#outages.answer(server, plan.quotas, key, cost, count));
  }

  #shown(result: RateLimitResult): RateLimitResult {
    return this.#options.shadow && !result.allowed ? { ...result, allowed: true } : result;
  }

  #deciderOf(key: string): Decider {
    if (this.#plan) return this.#plan;
    const limits = this.#options.rules.map(({ limit }) => (typeof limit === 'function' ? limit(key) : limit));
    const name = limits.join();
    let decider = this.#plans.get(name);
    if (!decider) {
      decider = this.#makeDecider(limits);
      this.#plans.set(name, decider);
    }
    return decider;
  }

  #makeDecider(limits: readonly number[]): Decider {
    const { prefix, rules } = this.#options;
    const quotas = rules.map((rule, i) => rule.quota(limits[i] as number));
    const plan = new Plan(prefix, rules, quotas, this.#scripts);
    const decisions = new Decisions(plan, this.#store, {
      shown: (result) => this.#shown(result),
      denied: (key, cost, result, sentAt) => this.#denials.add(plan, key, cost, result, sentAt),
      decided: (keys) => this.#outages.end(keys),
      failed: ({ key, cost, count, keys, server }, error) => {
        this.#outages.begin(server, keys, error);
        return this.#shown(this.#outages.answer(server, quotas, key, cost, count));
      },
    });
    return { plan, decisions };
  }
}

interface Decider {
  readonly plan: Plan;
  readonly decisions: Decisions;
}

function checkKey(key: string): void {
  if (typeof key !== 'string' || key === '') {
    throw new InvalidArgumentError(`key must be a non-empty string, got ${inspect(key)}`);
  }
  checkWellFormed(key, 'key');
}

function checkedPoints(points: number): number {
  checkCount(points, 'points');
  if (points > MOST_POINTS) throw new InvalidArgumentError(`points must be at most 2^31, got ${points}`);
  return points;
}
