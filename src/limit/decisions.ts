import type { Plan } from './plan.js';
import type { Quota } from './quota.js';
import { acceptedOf, type RateLimitResult, resultOf } from './result.js';
import { callArguments, type DecideReply } from './scripts.js';
import { resetMsOf, standingsOf, usedOf } from './standings.js';
import type { LimitStore } from './store.js';

/** What the limiter does with decisions. */
export interface Verdicts {
  /** What the caller sees of a result. */
  shown(result: RateLimitResult): RateLimitResult;
  denied(key: string, cost: number, result: RateLimitResult, sentAt: number): void;
  decided(): void;
  /** What to answer instead of an error; throws the error if nothing. `count` 0: nothing is consumed. */
  failed(key: string, cost: number, count: 0 | 1, error: Error): RateLimitResult;
}

/** Calls on one key at one cost that were made in one turn of the event loop. */
interface Ask {
  readonly key: string;
  readonly cost: number;
  readonly callers: Caller[];
}

interface Caller {
  readonly settle: (result: RateLimitResult) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Asks Redis for decisions. Calls of one turn of the event loop on the same key are asked for as one, and answered as if
 * they had come one after the other.
 */
export class Decisions {
  readonly #plan: Plan;
  readonly #store: LimitStore;
  readonly #verdicts: Verdicts;
  readonly #asks = new Map<number, Map<string, Ask>>();
  readonly #flushSoon = () => this.#flush();

  constructor(plan: Plan, store: LimitStore, verdicts: Verdicts) {
    this.#plan = plan;
    this.#store = store;
    this.#verdicts = verdicts;
  }

  consume(key: string, cost: number): Promise<RateLimitResult> {
    return new Promise((resolve, reject) => {
      this.#askFor(key, cost).callers.push({ settle: resolve, fail: reject });
    });
  }

  /** How the key stands for a call of that cost, which is not made. */
  async peek(key: string, cost: number): Promise<RateLimitResult> {
    const plan = this.#plan;
    try {
      const reply = await this.#store.runScript(plan.decide, plan.keysOf(key), callArguments(0, cost), plan.shared);
      this.#verdicts.decided();
      const result = resultOf(plan.quotas, standingsOf(plan.quotas, reply), cost, false, 0);
      return result.retryAfter === 0 ? { ...result, allowed: true, exceeded: false } : this.#verdicts.shown(result);
    } catch (error) {
      return this.#verdicts.failed(key, cost, 0, error as Error);
    }
  }

  #askFor(key: string, cost: number): Ask {
    let ofCost = this.#asks.get(cost);
    if (!ofCost) {
      if (this.#asks.size === 0) process.nextTick(this.#flushSoon);
      ofCost = new Map();
      this.#asks.set(cost, ofCost);
    }
    let ask = ofCost.get(key);
    if (!ask) {
      ask = { key, cost, callers: [] };
      ofCost.set(key, ask);
    }
    return ask;
  }

  #flush(): void {
    const all = [...this.#asks.values()];
    this.#asks.clear();
    const sentAt = performance.now();
    const plan = this.#plan;
    for (const ofCost of all) {
      for (const ask of ofCost.values()) {
        this.#store
          .runScript(plan.decide, plan.keysOf(ask.key), callArguments(ask.callers.length, ask.cost), plan.shared)
          .then(
            (reply) => this.#answer(ask, reply, sentAt),
            (error: Error) => this.#fail(ask, error),
          );
      }
    }
  }

  #answer({ key, cost, callers }: Ask, reply: DecideReply, sentAt: number): void {
    const { quotas } = this.#plan;
    this.#verdicts.decided();
    if (typeof reply === 'number') {
      acceptAll(quotas[0] as Quota, cost, reply, callers);
      return;
    }
    const accepted = reply[0] as number;
    const standings = standingsOf(quotas, reply);
    for (let i = 0; i < accepted; i++) {
      callers[i]?.settle(resultOf(quotas, standings, cost, true, accepted - 1 - i));
    }
    if (accepted === callers.length) return;
    const denied = this.#verdicts.shown(resultOf(quotas, standings, cost, false, 0));
    this.#verdicts.denied(key, cost, denied, sentAt);
    for (let i = accepted; i < callers.length; i++) callers[i]?.settle(denied);
  }

  #fail({ key, cost, callers }: Ask, error: Error): void {
    for (const { settle, fail } of callers) {
      try {
        settle(this.#verdicts.failed(key, cost, 1, error));
      } catch (thrown) {
        fail(thrown);
      }
    }
  }
}

function acceptAll(quota: Quota, cost: number, reply: number, callers: readonly Caller[]): void {
  const charge = cost * quota.unit;
  const resetMs = resetMsOf(quota, reply);
  let used = usedOf(quota, reply) - callers.length * charge;
  for (const { settle } of callers) {
    used += charge;
    settle(acceptedOf(quota, used, resetMs));
  }
}
