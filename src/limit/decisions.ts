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
  /** The server that has these keys answered. */
  decided(keys: readonly string[]): void;
  /** What to answer instead of an error; throws the error if nothing. */
  failed(question: Question, error: Error): RateLimitResult;
}

/** A question that a server did not answer. */
export interface Question {
  readonly key: string;
  readonly cost: number;
  /** 0: nothing is consumed. */
  readonly count: 0 | 1;
  /** What it is about in Redis. */
  readonly keys: readonly string[];
  /** The server that was asked; see {@link LimitStore.serverOf}. */
  readonly server: unknown;
}

type Resolve = (result: RateLimitResult | Promise<never>) => void;

const NO_KEYS: readonly string[] = [];

/** Calls on one key at one cost that were made in one turn of the event loop. */
class Ask implements ScriptCall<DecideReply>, Question {
  readonly key: string;
  readonly cost: number;
  readonly count = 1;
  readonly callers: Resolve[];
  /** Set when it is sent. */
  keys: readonly string[] = NO_KEYS;
  server: unknown;
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
    const keys = plan.keysOf(key);
    const server = this.#store.serverOf(keys);
    try {
      const reply = await this.#store.runScript(plan.decide, keys, callArguments(0, cost), plan.shared);
      this.#verdicts.decided(keys);
      const result = resultOf(plan.quotas, standingsOf(plan.quotas, reply), cost, false, 0);
      return result.retryAfter === 0 ? { ...result, allowed: true, exceeded: false } : this.#verdicts.shown(result);
    } catch (error) {
      return this.#verdicts.failed({ key, cost, count: 0, keys, server }, error as Error);
    }
  }

  /** What Redis decided of calls that were asked for together. */
  answer({ key, cost, callers, keys, sentAt }: Ask, reply: DecideReply): void {
    const { quotas } = this.#plan;
    this.#owed--;
    this.#verdicts.decided(keys);
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
  fail(ask: Ask, error: Error): void {
    this.#owed--;
    for (const resolve of ask.callers) {
      try {
        resolve(this.#verdicts.failed(ask, error));
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
    const keys = this.#plan.keysOf(key);
    ask.keys = keys;
    ask.server = this.#store.serverOf(keys);
    ask.sentAt = sentAt;
    this.#solitude.sent(callers.length, this.#owed);
    this.#owed++;
    this.#store.callScript(decide, keys, callArguments(callers.length, cost), ask, shared);
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
