import { BoundedMap, bytesOf, detached } from '../bounded-map.js';
import type { Plan } from './plan.js';
import type { RateLimitResult } from './result.js';
import type { LimitStore } from './store.js';
import { turnNow } from './turn-clock.js';

interface Denial {
  /** What was decided by other rules is no denial by these. */
  readonly plan: Plan;
  readonly key: string;
  readonly cost: number;
  readonly result: RateLimitResult;
  readonly until: number;
  readonly resetAt: number;
  /** What is answered in this ms: in a flood, making an answer would be most of the work. */
  answer: Promise<RateLimitResult>;
  answeredAt: number;
}

/** Bytes that the keys of remembered denials take at most: keys come from callers, who may be attackers. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Denials that still hold. Until one ends no call of that key and cost can pass, whatever is consumed meanwhile, so that
 * Redis need not be asked; only what another process gives back is not seen. Bounded in number and in bytes: the oldest is
 * forgotten first.
 */
export class Denials {
  readonly #most: number;
  readonly #inBackground: LimitStore['inBackground'];
  readonly #known = new Map<string, Denial>();
  /** What the keys of the denials take. */
  #bytes = 0;
  /** How many of them have a cost. */
  readonly #costs = new Map<number, number>();
  /** When keys were last forgotten. */
  readonly #forgottenAt: BoundedMap<string, number>;

  /** `inBackground`: that of the pool. Answers are kept, and belong to no caller. */
  constructor(most: number, inBackground: LimitStore['inBackground']) {
    this.#most = most;
    this.#inBackground = inBackground;
    this.#forgottenAt = new BoundedMap(most, MOST_BYTES);
  }

  /** The answer, if this call cannot pass. */
  find(plan: Plan, key: string, cost: number): Promise<RateLimitResult> | undefined {
    if (this.#known.size === 0) return undefined;
    const denial = this.#known.get(nameOf(key, cost));
    if (denial === undefined) return undefined;
    const now = turnNow();
    if (now >= denial.until || denial.plan !== plan) {
      this.#delete(cost, key);
      return undefined;
    }
    if (now - denial.answeredAt >= 1) {
      const { until, resetAt, result } = denial;
      denial.answeredAt = now;
      denial.answer = this.#kept({
        ...result,
        retryAfter: result.retryAfter < 0 ? -1 : Math.ceil(until - now),
        resetAfter: Math.max(0, Math.ceil(resetAt - now)),
      });
    }
    return denial.answer;
  }

  /** Remembers a denial that Redis was asked for at `sentAt`: it was decided no sooner, so that it ends no sooner. */
  add(plan: Plan, key: string, cost: number, result: RateLimitResult, sentAt: number): void {
    if (this.#most === 0) return;
    // Asked for before the key was forgotten, it may be of before: replies are not all handed out in the order of the decisions.
    if (sentAt <= (this.#forgottenAt.get(key) ?? -1)) return;
    const resetAt = sentAt + result.resetAfter;
    // What never passes is asked again when what is left has changed for sure.
    const until = result.retryAfter < 0 ? resetAt : sentAt + result.retryAfter;
    this.#delete(cost, key);
    const bytes = bytesOfDenial(key);
    if (bytes > MOST_BYTES) return;
    while (this.#known.size >= this.#most || this.#bytes + bytes > MOST_BYTES) this.#deleteOldest();
    this.#costs.set(cost, (this.#costs.get(cost) ?? 0) + 1);
    this.#bytes += bytes;
    const own = detached(key);
    const answer = this.#kept(result);
    this.#known.set(nameOf(own, cost), { plan, key: own, cost, result, until, resetAt, answer, answeredAt: sentAt });
  }

  /** Forgets what was denied to a key. */
  forget(key: string): void {
    this.#forgottenAt.set(detached(key), performance.now());
    for (const cost of [...this.#costs.keys()]) this.#delete(cost, key);
  }

  #kept(result: RateLimitResult): Promise<RateLimitResult> {
    return this.#inBackground(() => Promise.resolve(result));
  }

  #delete(cost: number, key: string): void {
    if (!this.#known.delete(nameOf(key, cost))) return;
    this.#bytes -= bytesOfDenial(key);
    const left = (this.#costs.get(cost) ?? 0) - 1;
    if (left > 0) this.#costs.set(cost, left);
    else this.#costs.delete(cost);
  }

  #deleteOldest(): void {
    for (const { cost, key } of this.#known.values()) {
      this.#delete(cost, key);
      return;
    }
  }
}

/** With a cost, the name of a denial has a copy of its key. */
function bytesOfDenial(key: string): number {
  return 2 * bytesOf(key);
}

/** What no other key and cost are called; of most calls it is the key. */
export function nameOf(key: string, cost: number): string {
  return cost === 1 && !key.startsWith('\0') ? key : `\0${cost} ${key}`;
}
