import { decide, type State } from './algorithms.js';
import type { Plan } from './plan.js';
import { type RateLimitResult, resultOf } from './result.js';

/** Keys that are remembered at most; the one that was first seen longest ago goes first. */
const MOST = 10_000;

/** A limiter of this process alone, for as long as Redis is away. */
export class MemoryLimits {
  readonly #known = new Map<Plan, Map<string, readonly State[]>>();
  #size = 0;

  /** @param count 0 to look only. */
  consume(plan: Plan, key: string, cost: number, count: 0 | 1): RateLimitResult {
    const { quotas } = plan;
    const now = Math.floor(performance.now() * 1000);
    const { accepted, states, standings } = decide(this.#known.get(plan)?.get(key) ?? [], quotas, now, cost, count);
    if (count > 0) this.#remember(plan, key, states);
    const result = resultOf(quotas, standings, cost, accepted > 0, 0);
    return count === 0 && result.retryAfter === 0 ? { ...result, allowed: true, exceeded: false } : result;
  }

  #remember(plan: Plan, key: string, states: readonly State[]): void {
    let ofPlan = this.#known.get(plan);
    if (!ofPlan) {
      ofPlan = new Map();
      this.#known.set(plan, ofPlan);
    }
    if (!ofPlan.has(key) && ++this.#size > MOST) this.#forgetOldest();
    ofPlan.set(key, states);
  }

  #forgetOldest(): void {
    for (const ofPlan of this.#known.values()) {
      for (const key of ofPlan.keys()) {
        this.#size--;
        ofPlan.delete(key);
        return;
      }
    }
  }
}
