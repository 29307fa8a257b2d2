import type { RedisArgument } from 'redis';
import { startTimer } from '../async/timers.js';
import { type Duration, positiveMs, timerMs } from '../duration.js';
import { attentive } from './attentive.js';
import type { Claim, Held } from './claim.js';
import { LockLostError } from './errors.js';
import type { Renewable, Renewals } from './renewal.js';

/** What a lock needs of the locker that made it. */
export interface LockOwner {
  readonly renewals: Renewals;
  /** `sooner`: the time that is left was longer before. */
  refresh(claim: Claim, fence: string, ttlMs: number, sooner: boolean): Promise<boolean>;
  timeLeft(claim: Claim, fence: string): Promise<number>;
  release(claim: Claim, fence: string): Promise<boolean>;
}

/** A lock that was obtained. It is held until it is released, it expires, or it is known to be lost. */
export class Lock implements AsyncDisposable, Renewable {
  /** All its keys, as they were given. */
  readonly keys: readonly RedisArgument[];
  readonly #owner: LockOwner;
  readonly #claim: Claim;
  readonly #fence: string;
  #expiresAt: number;
  #ttlMs: number;
  #autoRenews = false;
  #state: 'held' | 'released' | 'lost' = 'held';
  #lostBecause: LockLostError | undefined;
  #abort: ReturnType<typeof attentive> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Ends with the refresh that was asked for last. */
  #refreshing: Promise<unknown> | undefined;
  #releasing: Promise<boolean> | undefined;

  /** @internal */
  constructor(owner: LockOwner, claim: Claim, held: Held, keys: readonly RedisArgument[]) {
    this.keys = keys;
    this.#owner = owner;
    this.#claim = claim;
    this.#fence = held.fence;
    this.#expiresAt = held.expiresAt;
    this.#ttlMs = claim.ttlMs;
  }

  /**
   * Grows with every holder of the key, across expiry, restarts and `FLUSHALL`: microseconds of the server's clock, or one
   * more than the last. Give it to what the lock guards, and let that refuse a fence smaller than the greatest it has seen.
   */
  get fence(): number {
    return Number(this.#fence);
  }

  /** The key, or the first of several. */
  get key(): RedisArgument {
    return this.keys[0] as RedisArgument;
  }

  /** What proves that the lock is ours: 128 random bits, unless the caller gave another. */
  get token(): string {
    return this.#claim.token;
  }

  /** What the caller stored with it; default `''`. */
  get metadata(): string {
    return this.#claim.metadata;
  }

  /** When it is over if nothing is done, in ms on the clock of `performance.now()`; counted from before the request was sent. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** Whether it is held, as far as this process can tell without asking. */
  get held(): boolean {
    this.#notice();
    return this.#state === 'held';
  }

  /**
   * Aborts with a {@link LockLostError} the moment it can no longer be claimed that the lock is held: at its local deadline, even
   * if Redis cannot be reached, or when Redis says that it is gone. Not on release.
   */
  get signal(): AbortSignal {
    this.#abort ??= this.#createSignal();
    return this.#abort.signal;
  }

  /**
   * The time that is left in ms, as the server sees it; 0 once it is lost or released.
   *
   * @throws {ConnectionError} or {@link CommandTimeoutError} if Redis cannot be asked.
   */
  async ttl(): Promise<number> {
    if (!this.held) return 0;
    return this.#owner.timeLeft(this.#claim, this.#fence);
  }

  /**
   * Sets the time that is left to `ttl`, counted from when it is asked for, and what later renewals set. Of several that are called
   * at once each is asked for when the one before it has ended.
   *
   * @returns `false` if the lock is lost or released.
   * @throws {InvalidArgumentError} if `ttl` is not positive. {@link ConnectionError} or {@link CommandTimeoutError} if Redis cannot be asked;
   *   the lock is then held until its present deadline, or for `ttl` if that is sooner, as Redis may have heard it.
   */
  async refresh(ttl: Duration): Promise<boolean> {
    const ttlMs = positiveMs(ttl, 'ttl');
    if (!this.held) return false;
    this.#ttlMs = ttlMs;
    const refreshed = await this.#refreshTo(ttlMs);
    if (!refreshed || !this.held) return false;
    // The next renewal was due in the measure of the time before.
    if (this.#autoRenews) this.autoRenew();
    return true;
  }

  /**
   * Gives the lock back; whoever waits first gets it.
   *
   * @returns whether it was still ours; `false` when called again.
   * @throws {ConnectionError} or {@link CommandTimeoutError} if Redis cannot be asked; the lock then ends with its expiry, unless it
   *   is released again before.
   */
  release(): Promise<boolean> {
    if (this.#releasing) return this.#releaseAgain(this.#releasing);
    this.#releasing = this.#release();
    return this.#releasing;
  }

  /** {@link release}s it, and throws what that throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  /** @internal Keeps the lock by renewing it at every third of its time. */
  autoRenew(): void {
    this.#autoRenews = true;
    this.#owner.renewals.add(this);
  }

  /** @internal Why it is lost, if it is. */
  get lostBecause(): LockLostError | undefined {
    this.#notice();
    return this.#lostBecause;
  }

  /** @internal */
  get renewEveryMs(): number {
    return this.#ttlMs / 3;
  }

  /** @internal Called by the renewals; resolves with whether there is still something to renew. */
  async renew(): Promise<boolean> {
    if (!this.held) return false;
    await this.#refreshTo(this.#ttlMs).catch(() => undefined);
    return this.held;
  }

  // One at a time: of two under way it is not known which of them Redis hears last.
  #refreshTo(ttlMs: number): Promise<boolean> {
    const refreshed = this.#refreshing
      ? this.#refreshing.then(() => this.held && this.#refreshNow(ttlMs))
      : this.#refreshNow(ttlMs);
    const over = () => {
      if (this.#refreshing === ended) this.#refreshing = undefined;
    };
    const ended = refreshed.then(over, over);
    this.#refreshing = ended;
    return refreshed;
  }

  async #refreshNow(ttlMs: number): Promise<boolean> {
    const expiresAt = performance.now() + ttlMs;
    const sooner = expiresAt < this.#expiresAt;
    if (sooner) this.#shorten(expiresAt);
    const refreshed = await this.#owner.refresh(this.#claim, this.#fence, ttlMs, sooner);
    if (this.#state !== 'held') return refreshed;
    if (refreshed) this.#expiresAt = expiresAt;
    else this.#lose('Redis does not hold it any more');
    return refreshed;
  }

  // Before Redis is asked: it may hear what it is not heard to answer.
  #shorten(expiresAt: number): void {
    this.#expiresAt = expiresAt;
    if (this.#timer) this.#watchDeadline();
    // The next renewal was due in the measure of the time before.
    if (this.#autoRenews) this.autoRenew();
  }

  #releaseAgain(before: Promise<boolean>): Promise<boolean> {
    const tryAgain = () => {
      if (this.#releasing === before) this.#releasing = undefined;
      return this.release();
    };
    return before.then(() => false, tryAgain);
  }

  // The order matters: a refresh in flight must not come after the release, and a new one must not begin.
  #release(): Promise<boolean> {
    this.#notice();
    const wasLost = this.#state === 'lost';
    if (!wasLost) this.#state = 'released';
    if (this.#timer) clearTimeout(this.#timer);
    this.#owner.renewals.delete(this);
    const giveBack = () => this.#owner.release(this.#claim, this.#fence);
    const wasOurs = this.#refreshing ? this.#refreshing.then(giveBack) : giveBack();
    return wasLost ? wasOurs.then(() => false) : wasOurs;
  }

  // Whoever looks must see that the deadline has passed, even if the event loop was too busy to run the timer.
  #notice(): void {
    if (this.#state === 'held' && performance.now() >= this.#expiresAt) this.#lose('its time is over');
  }

  #lose(why: string): void {
    if (this.#state !== 'held') return;
    this.#state = 'lost';
    this.#lostBecause = new LockLostError(this.keys, why);
    clearTimeout(this.#timer);
    this.#owner.renewals.delete(this);
    this.#abort?.abort(this.#lostBecause);
  }

  // Made when it is first asked for: most locks are released long before anybody would.
  #createSignal(): ReturnType<typeof attentive> {
    this.#notice();
    const abort = attentive(() => this.#notice());
    if (this.#lostBecause) abort.abort(this.#lostBecause);
    else this.#watchDeadline();
    return abort;
  }

  #watchDeadline(): void {
    if (this.#state !== 'held') return;
    clearTimeout(this.#timer);
    this.#timer = startTimer(() => {
      this.#notice();
      // The deadline was moved meanwhile.
      this.#watchDeadline();
    }, timerMs(this.#expiresAt)).unref();
  }
}
