import { randomUUID } from 'node:crypto';
import type { RedisArgument } from 'redis';
import { type Duration, nonNegativeMs, positiveMs } from '../duration.js';
import { InvalidArgumentError, isUnavailable, mayHaveBeenExecuted } from '../errors.js';
import { log } from '../observe/debug.js';
import { aborted, unlessAborted } from '../pool/abort.js';
import { tagOfKeys } from './book.js';
import { type Claim, type ClaimKind, type Held, randomToken } from './claim.js';
import { LockNotObtainedError } from './errors.js';
import { checkKeys } from './keys.js';
import { Lock, type LockOwner } from './lock.js';
import { Mutex } from './mutex.js';
import type { ObtainOptions, ObtainsKind, WaitTimeout } from './obtain.js';
import { ReadWriteLock } from './read-write-lock.js';
import { Renewals } from './renewal.js';
import { type Connections, checkReplicas, replicated } from './replicated.js';
import { givenBack, heldBy, type ObtainReply } from './replies.js';
import { Requests } from './requests.js';
import { Reentrance, type RunOptions } from './run.js';
import { Semaphore } from './semaphore.js';
import { type LockState, stateOf } from './state.js';
import type { LockStore } from './store.js';
import { WaitingRooms } from './waiting-rooms.js';

/** What nobody holds could not be given back: so soon it is tried again. */
const RETRY_MS = 200;

/** Distributed locks on the keys of one pool. Made by `redis.getLocker()`. */
export class Locker implements LockOwner, ObtainsKind {
  /** @internal */
  readonly renewals = new Renewals();
  readonly #store: LockStore & Connections;
  readonly #requests: Requests;
  readonly #rooms: WaitingRooms;
  readonly #reentrance = new Reentrance(this);

  /** @internal */
  constructor(store: LockStore & Connections) {
    this.#store = store;
    this.#requests = new Requests(store, `lagoon:lock:${randomUUID()}`);
    this.#rooms = new WaitingRooms(store, this.#requests);
  }

  /**
   * Obtains the lock on a key, or on all of several keys at once.
   *
   * Waiting is first in, first out, across processes. With `waitTimeout` 0 there is exactly one attempt.
   *
   * @param ttl the lock expires after it, unless it is refreshed or renewed.
   * @param waitTimeout how long to wait while another holds it; default 0. It may be longer than `ttl`, or `Infinity`.
   * @returns `null` if another held it for all that time.
   * @throws {InvalidArgumentError} for what can never be right, {@link CrossSlotError} if several keys are of different slots of a
   *   cluster; nothing was sent.
   * @throws {AbortError} when the signal aborts. {@link ReplyError} if the key holds another type, or Redis is read-only.
   * @throws {ConnectionError} or {@link CommandTimeoutError} if Redis cannot be asked: not the same as not obtained.
   *   {@link AcquireTimeoutError} or {@link PoolOverloadedError} if the pool has no connection or no room left for it, {@link ClosedError} if the
   *   engine closes.
   * @throws {LockNotReplicatedError} if fewer than `replicas` replicas confirm it in time; it was given back.
   */
  obtain(
    keys: RedisArgument | readonly RedisArgument[],
    ttl: Duration,
    waitTimeout: WaitTimeout = 0,
    options: ObtainOptions = {},
  ): Promise<Lock | null> {
    return this.obtainKind('x', 1, keys, ttl, waitTimeout, options);
  }

  /**
   * Obtains the lock at once or not at all.
   *
   * @returns the function that gives it back, which resolves with whether it was still ours.
   * @throws {LockNotObtainedError} if another holds it. Otherwise as {@link obtain}.
   */
  async tryLock(key: RedisArgument, ttl: Duration): Promise<() => Promise<boolean>> {
    const lock = await this.obtain(key, ttl);
    if (!lock) throw new LockNotObtainedError([key]);
    return () => lock.release();
  }

  /**
   * Obtains the lock, renews it while `fn` runs, and releases it. Inside `fn`, a further `run` on the same key joins this one, and
   * its own options have no effect.
   *
   * @throws what `fn` throws. {@link LockNotObtainedError} if another held it for all of `waitTimeout`.
   * @throws {LockLostError} if the lock was lost while `fn` ran, unless `fn` failed first; `lock.signal` tells `fn` at once. Before `fn` runs,
   *   if that which it would join is lost.
   */
  run<T>(key: RedisArgument, options: RunOptions, fn: (lock: Lock) => T | Promise<T>): Promise<T> {
    return this.#reentrance.run(key, options, fn);
  }

  /**
   * A mutex on a key that this object can acquire again while it holds it.
   *
   * @throws {InvalidArgumentError} if `ttl` is not positive.
   */
  mutex(key: RedisArgument, options: { ttl: Duration }): Mutex {
    return new Mutex(this, key, positiveMs(options.ttl, 'ttl'));
  }

  /** A lock that many readers may hold at once, or one writer. */
  readWriteLock(key: RedisArgument): ReadWriteLock {
    return new ReadWriteLock(this, key);
  }

  /**
   * A lock that `permits` holders may have at once.
   *
   * @throws {InvalidArgumentError} unless `permits` is a whole number of 1 or more.
   */
  semaphore(key: RedisArgument, permits: number): Semaphore {
    return new Semaphore(this, key, permits);
  }

  /**
   * Who holds a key, as an exclusive lock, a read-write lock or a semaphore, for how long, and how many wait for it.
   *
   * @throws {ReplyError} if the key holds another type. {@link ConnectionError} or {@link CommandTimeoutError} if Redis cannot be asked.
   */
  async inspect(key: RedisArgument): Promise<LockState> {
    checkKeys([key]);
    return stateOf(await this.#requests.look(key));
  }

  /** @internal */
  async obtainKind(
    kind: ClaimKind,
    permits: number,
    keys: RedisArgument | readonly RedisArgument[],
    ttl: Duration,
    waitTimeout: WaitTimeout,
    options: ObtainOptions,
  ): Promise<Lock | null> {
    const given: readonly RedisArgument[] = Array.isArray(keys) ? [...keys] : [keys as RedisArgument];
    const claim = this.#claim(kind, permits, given, ttl, options);
    const waitMs = waitTimeout === Number.POSITIVE_INFINITY ? waitTimeout : nonNegativeMs(waitTimeout, 'waitTimeout');
    const { signal, replicas } = options;
    checkReplicas(replicas);
    if (signal?.aborted) throw aborted(signal);
    const sentAt = performance.now();
    // Nobody waits for most locks: one question without a place in the queue, before anything that waiting needs.
    const mayQueue = waitMs > 0 && this.#rooms.at(claim.tag)?.isOpen === true;
    let first: Held | undefined;
    if (!mayQueue) {
      const asked = this.#requests.obtain(claim);
      try {
        first = heldBy(await unlessAborted(asked, signal), sentAt, claim.ttlMs);
      } catch (error) {
        this.#disown(claim, asked);
        throw error;
      }
    }
    const held = isNotOver(first) ? first : await this.#waitFor(first, claim, sentAt + waitMs, signal);
    if (!held) return null;
    const kept = replicas === undefined ? held : await replicated(this.#store, this, claim, held, replicas, signal);
    const lock = new Lock(this, claim, kept, given);
    if (options.autoRenew) lock.autoRenew();
    return lock;
  }

  /** @internal */
  refresh(claim: Claim, fence: string, ttlMs: number, sooner: boolean): Promise<boolean> {
    return this.#requests.refresh(claim, fence, ttlMs, sooner);
  }

  /** @internal */
  timeLeft(claim: Claim): Promise<number> {
    return this.#requests.timeLeft(claim);
  }

  /** @internal */
  release(claim: Claim, fence: string | undefined): Promise<boolean> {
    const sentAt = performance.now();
    return this.#requests.release(claim, fence).then(
      (reply) => {
        const [held, serverUs, grants] = givenBack(reply);
        this.#rooms.at(claim.tag)?.deliver(grants, serverUs, sentAt);
        return held === 1;
      },
      (error) => {
        // The reply that is lost may have told waiters of this process that it is their turn.
        this.#rooms.at(claim.tag)?.askAllSoon();
        throw error;
      },
    );
  }

  /** Nobody is left who would release what Redis gives now, or has given by a reply that was lost. */
  #disown(claim: Claim, asked: Promise<ObtainReply>): void {
    asked.then(
      (reply) => {
        const held = heldBy(reply, 0, 0);
        if (held) this.#giveBack(claim, held.fence);
      },
      // A token that the caller has chosen may be asked for again, and what it holds then is not to be given back.
      (error) => mayHaveBeenExecuted(error) && claim.drawn && this.#giveBack(claim, undefined),
    );
  }

  /** In the background, until the time that it may be held for is over. */
  #giveBack(claim: Claim, fence: string | undefined, giveUpAt = performance.now() + claim.ttlMs): void {
    this.release(claim, fence).catch((error: Error) => {
      log.lock('cannot give back a lock that nobody is told of: %s', error.message);
      if (!isUnavailable(error) || performance.now() > giveUpAt) return;
      setTimeout(() => this.#giveBack(claim, fence, giveUpAt), RETRY_MS).unref();
    });
  }

  /** Waits as long as there is time, for another than the one that is over. */
  async #waitFor(
    over: Held | undefined,
    claim: Claim,
    giveUpAt: number,
    signal: AbortSignal | undefined,
  ): Promise<Held | undefined> {
    // A lock that is already over when it comes (a slow reply, a stopped process) is none.
    if (over) await this.release(claim, over.fence);
    const waitMs = giveUpAt - performance.now();
    if (waitMs <= 0) return undefined;
    const held = await this.#rooms.of(claim.tag).wait(claim, waitMs, signal);
    return !held || isNotOver(held) ? held : this.#waitFor(held, claim, giveUpAt, signal);
  }

  #claim(
    kind: ClaimKind,
    permits: number,
    keys: readonly RedisArgument[],
    ttl: Duration,
    { token: chosen, metadata = '' }: ObtainOptions,
  ): Claim {
    const drawn = chosen === undefined;
    const token = drawn ? randomToken() : chosen;
    if (typeof token !== 'string' || token === '') throw new InvalidArgumentError('token must be a non-empty string');
    if (typeof metadata !== 'string') throw new InvalidArgumentError('metadata must be a string');
    checkKeys(keys);
    const ttlMs = positiveMs(ttl, 'ttl');
    const tag = tagOfKeys(this.#store, keys);
    return { keys: ownCopies(keys), tag, kind, permits, token, drawn, metadata, value: token + metadata, ttlMs };
  }
}

/** What the caller does with a Buffer afterwards must not move the lock to another key. */
function ownCopies(keys: readonly RedisArgument[]): readonly RedisArgument[] {
  if (!keys.some(Buffer.isBuffer)) return keys;
  return keys.map((key) => (typeof key === 'string' ? key : Buffer.from(key)));
}

function isNotOver(held: Held | undefined): held is Held {
  return held !== undefined && held.expiresAt > performance.now();
}
