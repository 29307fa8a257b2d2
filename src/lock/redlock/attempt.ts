import type { RedisArgument } from 'redis';
import { randomToken } from '../claim.js';
import { checkKeys } from '../keys.js';
import type { RedlockTiming } from './options.js';
import { type Ballot, count, type Quorum, type Tally } from './quorum.js';
import type { Releases } from './releases.js';
import { type RedlockPool, Share } from './share.js';

/** How long a release waits for the last pools when the others have decided: long enough for those that are well. */
const PATIENCE_MS = 100;

/** What every attempt of a Redlock has in common. */
export interface AttemptContext {
  readonly pools: readonly RedlockPool[];
  readonly quorum: Quorum;
  readonly timing: RedlockTiming;
  readonly releases: Releases;
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
    const ballots = this.#ballots((share) => this.#context.releases.release(share, over));
    return count(ballots, enough, Math.min(PATIENCE_MS, this.#tryTimeoutMs));
  }

  #ask(question: (share: Share) => Promise<boolean>): Promise<Tally> {
    const { quorum } = this.#context;
    return count(this.#ballots(question), (tally) => quorum.decided(tally));
  }

  #ballots(question: (share: Share) => Promise<boolean>): Ballot[] {
    return this.#shares.map((share) => ({ pool: share.pool, answer: question(share) }));
  }
}
