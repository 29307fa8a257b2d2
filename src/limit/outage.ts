import { isUnavailable, ReplyError } from '../errors.js';
import { log } from '../observe/debug.js';
import { bindUserCallback } from '../observe/user-callback.js';
import { MemoryLimits } from './memory.js';
import type { ResolvedLimiter } from './options.js';
import type { Plan } from './plan.js';
import type { RateLimitResult } from './result.js';

/** How often Redis is asked during an outage, and what `'deny'` says when to come back. */
export const PROBE_MS = 1_000;

/** What a limiter answers while Redis cannot be asked. */
export class Outage {
  readonly #options: ResolvedLimiter;
  readonly #onDown: ((error: Error) => void) | undefined;
  readonly #onUp: (() => void) | undefined;
  #memory: MemoryLimits | undefined;
  #down = false;
  #probeAt = 0;

  constructor(options: ResolvedLimiter) {
    this.#options = options;
    const { onDown, onUp } = options;
    this.#onDown = onDown && bindUserCallback('onDown of a rate limiter', onDown);
    this.#onUp = onUp && bindUserCallback('onUp of a rate limiter', onUp);
  }

  /** Whether callers get their answer here, and need not wait until Redis has failed them too. */
  get answers(): boolean {
    return this.#down && this.#options.whenDown !== 'throw';
  }

  /** Whether it is time to see if Redis is back; the next time is later. */
  get probes(): boolean {
    const now = performance.now();
    if (now < this.#probeAt) return false;
    this.#probeAt = now + PROBE_MS;
    return true;
  }

  /** Redis answered. */
  end(): void {
    if (!this.#down) return;
    this.#down = false;
    this.#memory = undefined;
    log.limit('Redis can be asked again');
    this.#onUp?.();
  }

  /**
   * Redis did not answer as it should.
   *
   * @throws the error, if it is a refusal or if `whenDown` says so.
   */
  begin(error: Error): void {
    if (!isUnavailable(error)) {
      // A refusal is an answer.
      if (error instanceof ReplyError) this.end();
      throw error;
    }
    if (!this.#down) {
      this.#down = true;
      this.#probeAt = performance.now() + PROBE_MS;
      log.limit('Redis cannot be asked: %s', error.message);
      this.#onDown?.(error);
    }
    if (this.#options.whenDown === 'throw') throw error;
  }

  answer(plan: Plan, key: string, cost: number, count: 0 | 1): RateLimitResult {
    const { whenDown } = this.#options;
    if (whenDown === 'local') {
      this.#memory ??= new MemoryLimits();
      return { ...this.#memory.consume(plan, key, cost, count), degraded: true };
    }
    const allowed = whenDown === 'allow';
    const { limit, name } = plan.quotas[0] as Plan['quotas'][number];
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
}
