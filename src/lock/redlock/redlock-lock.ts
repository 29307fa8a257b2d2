import type { RedisArgument } from 'redis';
import type { Duration } from '../../duration.js';
import type { Attempt, AttemptContext } from './attempt.js';
import { RedlockError } from './errors.js';
import { checkedTtl, expiryOf } from './timing.js';

/**
 * A lock that a quorum of the pools has given. It has no fence: each pool counts for itself, and of two holders, the later
 * one's quorum need not hold the pool whose count the earlier one had.
 */
export class RedlockLock implements AsyncDisposable {
  readonly resource: RedisArgument;
  /** What proves at every pool that the lock is ours: 128 random bits. */
  readonly token: string;
  readonly #context: AttemptContext;
  readonly #attempt: Attempt;
  readonly #forget: (lock: RedlockLock) => void;
  #expiresAt: number;
  #validity: number;
  #lost = false;
  #releasing: Promise<boolean> | undefined;
  /** Extensions run one after the other, or the time of an earlier one could be taken for that of a later one. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(
    context: AttemptContext,
    attempt: Attempt,
    resource: RedisArgument,
    expiresAt: number,
    validity: number,
    forget: (lock: RedlockLock) => void,
  ) {
    this.#context = context;
    this.#attempt = attempt;
    this.resource = resource;
    this.token = attempt.token;
    this.#expiresAt = expiresAt;
    this.#validity = validity;
    this.#forget = forget;
  }

  /** How long it could be relied on, in ms, from the moment it was obtained or last extended: the ttl less what that took and the drift. */
  get validity(): number {
    return this.#validity;
  }

  /** Until when it can be relied on, in ms on the clock of `performance.now()`. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** Whether it can be relied on at this moment, as far as this process can tell without asking. */
  get held(): boolean {
    return !this.#lost && this.#releasing === undefined && performance.now() < this.#expiresAt;
  }

  /**
   * Sets the time that is left to `ttl`, counted from now, at every pool that has the lock.
   *
   * @returns `false` if it cannot be relied on any more: too few pools have it, or its time was over before a quorum answered.
   * @throws {InvalidArgumentError} if `ttl` is not positive, or so short that nothing would be left of it.
   * @throws {RedlockError} if too few pools could be asked; it can then be relied on until {@link expiresAt}.
   */
  async extend(ttl: Duration): Promise<boolean> {
    const { ttlMs } = checkedTtl(ttl, this.#context.timing);
    const result = this.#turn.then(() => this.#extend(ttlMs));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /**
   * Gives the lock back at every pool, also where obtaining it failed or timed out.
   *
   * @returns whether it was still held at a quorum of them; `false` when called again, unless it had failed: then it is tried again.
   * @throws {RedlockError} if too few pools could be asked. Where it could not be released this is tried again in the background,
   *   `retryCount` times at most; else it ends with its expiry.
   */
  release(): Promise<boolean> {
    if (this.#releasing) return this.#releaseAgain(this.#releasing);
    this.#releasing = this.#release();
    return this.#releasing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  async #extend(ttlMs: number): Promise<boolean> {
    if (!this.held) return false;
    const { quorum, timing } = this.#context;
    const before = this.#expiresAt;
    const after = expiryOf(performance.now(), ttlMs, timing.driftFactor);
    // A shorter time may count at some pools from now on, even if there is no quorum for it.
    this.#expiresAt = Math.min(before, after);
    const tally = await this.#attempt.extend(ttlMs);
    if (performance.now() >= this.#expiresAt || quorum.refused(tally)) {
      this.#lost = true;
      return false;
    }
    if (!quorum.reached(tally)) {
      throw new RedlockError(`The Redlock ${name(this)} was not extended, too few pools answered`, tally.failures);
    }
    this.#expiresAt = after;
    this.#validity = after - performance.now();
    return this.held;
  }

  #releaseAgain(before: Promise<boolean>): Promise<boolean> {
    const tryAgain = () => {
      // Another call may have begun to try again.
      if (this.#releasing === before) this.#releasing = this.#release();
      else return this.release();
      return this.#releasing;
    };
    return before.then(() => false, tryAgain);
  }

  async #release(): Promise<boolean> {
    const { quorum } = this.#context;
    const tally = await this.#attempt.release((heard) => quorum.decided(heard));
    if (quorum.decided(tally)) {
      this.#forget(this);
      return quorum.reached(tally);
    }
    throw new RedlockError(
      `It is not known whether the Redlock ${name(this)} was released, too few pools answered`,
      tally.failures,
    );
  }
}

function name({ resource }: RedlockLock): string {
  return JSON.stringify(String(resource));
}
