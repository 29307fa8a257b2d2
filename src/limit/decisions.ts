import { Deferred } from '../deferred.js';
import type { ScriptCall } from '../pool/script.js';
import { Solitude } from '../pool/solitude.js';
import { atEndOfTurn } from '../pool/turn-end.js';
import { nameOf } from './denials.js';
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

type Resolve = (result: RateLimitResult | Promise<never>) => void;

/** Calls on one key at one cost that were made in one turn of the event loop. */
class Ask implements ScriptCall<DecideReply> {
  readonly key: string;
  readonly cost: number;
  readonly callers: Resolve[];
  sentAt = 0;
  readonly #decisions: Decisions;

  constructor(decisions: Decisions, key: string, cost: number, first: Resolve) {
    this.#decisions = decisions;
    this.key = key;
    this.cost = cost;
    this.callers = [first];
  }

  settle(reply: DecideReply): void {
    this.#decisions.answer(this, reply);
  }

  fail(error: Error): void {
    this.#decisions.fail(this, error);
  }
}

/**
 * Asks Redis for decisions. Calls of one turn of the event loop on the same key are asked for as one, and answered as if
 * they had come one after the other. One that is likely to be alone in its turn is asked for at once.
 */
export class Decisions {
  readonly #plan: Plan;
  readonly #store: LimitStore;
  readonly #verdicts: Verdicts;
  /** What this turn asks for, by {@link nameOf}. */
  #asks = new Map<string, Ask>();
  readonly #flushSoon = () => this.#flush();
  /** Asks that Redis has not answered. */
  #owed = 0;
  readonly #solitude = new Solitude();

  constructor(plan: Plan, store: LimitStore, verdicts: Verdicts) {
    this.#plan = plan;
    this.#store = store;
    this.#verdicts = verdicts;
  }

  consume(key: string, cost: number): Promise<RateLimitResult> {
    const { promise, resolve } = new Deferred<RateLimitResult>();
    const name = nameOf(key, cost);
    const asked = this.#asks.get(name);
    if (asked) {
      asked.callers.push(resolve);
      return promise;
    }
    const ask = new Ask(this, key, cost, resolve);
    if (this.#asks.size === 0) {
      if (this.#owed === 0 && this.#solitude.isLikely) {
        this.#send(ask, performance.now());
        return promise;
      }
      atEndOfTurn('gather', this.#flushSoon);
    }
    this.#asks.set(name, ask);
    return promise;
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

  /** What Redis decided of calls that were asked for together. */
  answer({ key, cost, callers, sentAt }: Ask, reply: DecideReply): void {
    const { quotas } = this.#plan;
    this.#owed--;
    this.#verdicts.decided();
    if (typeof reply === 'number') {
      acceptAll(quotas[0] as Quota, cost, reply, callers);
      return;
    }
    const accepted = reply[0] as number;
    const standings = standingsOf(quotas, reply);
    for (let i = 0; i < accepted; i++) callers[i]?.(resultOf(quotas, standings, cost, true, accepted - 1 - i));
    if (accepted === callers.length) return;
    const denied = this.#verdicts.shown(resultOf(quotas, standings, cost, false, 0));
    this.#verdicts.denied(key, cost, denied, sentAt);
    for (let i = accepted; i < callers.length; i++) callers[i]?.(denied);
  }

  /** Why calls that were asked for together were not decided. */
  fail({ key, cost, callers }: Ask, error: Error): void {
    this.#owed--;
    for (const resolve of callers) {
      try {
        resolve(this.#verdicts.failed(key, cost, 1, error));
      } catch (thrown) {
        resolve(Promise.reject(thrown));
      }
    }
  }

  #flush(): void {
    const asks = this.#asks;
    this.#asks = new Map();
    const sentAt = performance.now();
    for (const ask of asks.values()) this.#send(ask, sentAt);
  }

  #send(ask: Ask, sentAt: number): void {
    const { decide, shared } = this.#plan;
    const { key, cost, callers } = ask;
    ask.sentAt = sentAt;
    this.#solitude.sent(callers.length, this.#owed);
    this.#owed++;
    this.#store.callScript(decide, this.#plan.keysOf(key), callArguments(callers.length, cost), ask, shared);
  }
}

function acceptAll(quota: Quota, cost: number, reply: number, callers: readonly Resolve[]): void {
  const charge = cost * quota.unit;
  const resetMs = resetMsOf(quota, reply);
  let used = usedOf(quota, reply) - callers.length * charge;
  for (const resolve of callers) {
    used += charge;
    resolve(acceptedOf(quota, used, resetMs));
  }
}
