import type { RedisArgument } from 'redis';
import { ClosedError, ReplyError } from '../../errors.js';
import { log } from '../../observe/debug.js';
import { randomToken } from '../claim.js';
import { checkKeys } from '../keys.js';
import type { RedlockTiming } from './options.js';
import { type Ballot, count, type Quorum, type Tally } from './quorum.js';
import { type RedlockPool, Share } from './share.js';
import { delayOf, pause } from './timing.js';

/** How long a release waits for the last pools when the others have decided: long enough for those that are well. */
const PATIENCE_MS = 100;

/** What every attempt of a Redlock has in common. */
export interface AttemptContext {
  readonly pools: readonly RedlockPool[];
  readonly quorum: Quorum;
  readonly timing: RedlockTiming;
  /** Aborts when the engine begins to close. */
  readonly closing: AbortSignal;
}

/** One attempt at a lock on every pool, under a token of its own: what is late of one attempt cannot touch the next. */
export class Attempt {
  readonly token = randomToken();
  readonly #context: AttemptContext;
  readonly #shares: readonly Share[];
  readonly #tryTimeoutMs: number;
  #ttlMs: number;

  /** @throws {InvalidArgumentError} if the resource is not a non-empty string or Buffer. */
  constructor(context: AttemptContext, resource: RedisArgument, ttlMs: number, tryTimeoutMs: number) {
    this.#context = context;
    this.#ttlMs = ttlMs;
    this.#tryTimeoutMs = tryTimeoutMs;
    checkKeys([resource]);
    this.#shares = context.pools.map((pool) => new Share(pool, resource, this.token, ttlMs));
  }

  /** Asks every pool for the lock, and waits until there is a quorum for it or against it, or all are heard. */
  obtain(signal: AbortSignal | undefined): Promise<Tally> {
    return this.#ask((share) => share.obtain(this.#tryTimeoutMs, signal));
  }

  /** Asks every pool to set the time that is left. */
  extend(ttlMs: number): Promise<Tally> {
    this.#ttlMs = Math.max(this.#ttlMs, ttlMs);
    return this.#ask((share) => share.extend(ttlMs, this.#tryTimeoutMs));
  }

  /**
   * Gives the lock back at every pool, whatever it answered. For a moment it waits for all of them, and from then on until
   * it has heard `enough`; what is left is done in the background.
   */
  release(enough: (tally: Tally) => boolean): Promise<Tally> {
    // No key of this attempt is left after it.
    const over = performance.now() + this.#ttlMs;
    const ballots = this.#ballots((share) => {
      const answer = share.release(msUntil(over));
      answer.catch((error) => this.#releaseAgain(share, over, error));
      return answer;
    });
    return count(ballots, enough, Math.min(PATIENCE_MS, this.#tryTimeoutMs));
  }

  async #releaseAgain(share: Share, over: number, failure: Error): Promise<void> {
    const { timing, closing } = this.#context;
    let error = failure;
    // "Not held" is an answer, and final; so is an error that Redis answers with.
    for (let retries = timing.retryCount; retries > 0 && mayPass(error); retries--) {
      try {
        await pause(delayOf(timing), closing);
        if (performance.now() >= over) return;
        await share.release(msUntil(over));
        return;
      } catch (again) {
        error = again as Error;
      }
    }
    log.lock('%s: a share of a Redlock cannot be released and ends with its expiry: %s', share.pool, error.message);
  }

  #ask(question: (share: Share) => Promise<boolean>): Promise<Tally> {
    const { quorum } = this.#context;
    return count(this.#ballots(question), (tally) => quorum.decided(tally));
  }

  #ballots(question: (share: Share) => Promise<boolean>): Ballot[] {
    return this.#shares.map((share) => ({ pool: share.pool, answer: question(share) }));
  }
}

function mayPass(error: Error): boolean {
  return !(error instanceof ReplyError || error instanceof ClosedError);
}

function msUntil(moment: number): number {
  return Math.max(1, Math.ceil(moment - performance.now()));
}
