import { isUnavailable, ReplyError } from '../errors.js';
import { log } from '../observe/debug.js';
import { bindUserCallback } from '../observe/user-callback.js';
import { MemoryLimits } from './memory.js';
import type { ResolvedLimiter } from './options.js';
import type { Quota } from './quota.js';
import type { RateLimitResult } from './result.js';
import type { LimitStore } from './store.js';

/** How often a server is asked during its outage, and what `'deny'` says when to come back. */
export const PROBE_MS = 1_000;

/** One server that cannot be asked. */
interface Outage {
  /** Keys in Redis that the server had when the outage began. */
  readonly keys: readonly string[];
  readonly memory: MemoryLimits;
  probeAt: number;
}

/**
 * What a limiter answers while Redis cannot be asked. Of a cluster each server has its own outage: what one of them answers
 * says nothing of another.
 */
export class Outages {
  readonly #store: LimitStore;
  readonly #options: ResolvedLimiter;
  readonly #onDown: ((error: Error) => void) | undefined;
  readonly #onUp: (() => void) | undefined;
  /** By server, as {@link LimitStore.serverOf} has it. */
  readonly #outages = new Map<unknown, Outage>();
  #lookAt = 0;

  constructor(store: LimitStore, options: ResolvedLimiter) {
    this.#store = store;
    this.#options = options;
    const { onDown, onUp } = options;
    this.#onDown = onDown && bindUserCallback('onDown of a rate limiter', onDown);
    this.#onUp = onUp && bindUserCallback('onUp of a rate limiter', onUp);
  }

  /** Whether some callers get their answer here, and need not wait until Redis has failed them too. */
  get answerSome(): boolean {
    return this.#outages.size > 0 && this.#options.whenDown !== 'throw';
  }

  /** Whether those who ask this server get their answer here. */
  has(server: unknown): boolean {
    return this.#outages.has(server);
  }

  /** Whether it is time to see if a server is back; the next time is later. */
  probes(server: unknown): boolean {
    const outage = this.#outages.get(server);
    const now = performance.now();
    if (!outage || now < outage.probeAt) return false;
    outage.probeAt = now + PROBE_MS;
    return true;
  }

  /** The server that has `keys` answered. */
  end(keys: readonly string[]): void {
    if (this.#outages.size === 0) return;
    this.#over(this.#store.serverOf(keys));
    this.#dropTheReplaced();
  }

  /**
   * A server did not answer as it should.
   *
   * @param server the one that was asked.
   * @throws the error, if it is a refusal or if `whenDown` says so.
   */
  begin(server: unknown, keys: readonly string[], error: Error): void {
    if (!isUnavailable(error)) {
      // A refusal is an answer.
      if (error instanceof ReplyError) this.end(keys);
      throw error;
    }
    if (!this.#outages.has(server)) {
      this.#outages.set(server, { keys, memory: new MemoryLimits(), probeAt: performance.now() + PROBE_MS });
      log.limit('Redis cannot be asked: %s', error.message);
      if (this.#outages.size === 1) this.#onDown?.(error);
    }
    if (this.#options.whenDown === 'throw') throw error;
  }

  /** What `whenDown` says of a call on a key of a server that {@link has} an outage. */
  answer(server: unknown, quotas: readonly Quota[], key: string, cost: number, count: 0 | 1): RateLimitResult {
    const { whenDown } = this.#options;
    if (whenDown === 'local') {
      const { memory } = this.#outages.get(server) as Outage;
      return { ...memory.consume(quotas, key, cost, count), degraded: true };
    }
    const allowed = whenDown === 'allow';
    const { limit, name } = quotas[0] as Quota;
    return {
      allowed,
      exceeded: !allowed,
      limit,
      remaining: allowed ? limit : 0,
      retryAfter: allowed ? 0 : PROBE_MS,
      resetAfter: allowed ? 0 : PROBE_MS,
      rule: name,
      degraded: true,
    };
  }

  /** Ends the outages of servers whose keys others have by now: nobody will ask them again. */
  #dropTheReplaced(): void {
    const now = performance.now();
    const isDue = now >= this.#lookAt;
    if (isDue) this.#lookAt = now + PROBE_MS;
    for (const [server, { keys }] of this.#outages) {
      // A server that was not known when the outage began may be known by now.
      if ((isDue || server === undefined) && this.#store.serverOf(keys) !== server) this.#over(server);
    }
  }

  #over(server: unknown): void {
    if (!this.#outages.delete(server)) return;
    log.limit('Redis can be asked again');
    if (this.#outages.size === 0) this.#onUp?.();
  }
}
