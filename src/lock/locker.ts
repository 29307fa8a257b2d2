import { randomUUID } from 'node:crypto';
import type { RedisArgument } from 'redis';
import { startTimer } from '../async/timers.js';
import { type Duration, nonNegativeMs, positiveMs } from '../duration.js';
import { InvalidArgumentError, isUnavailable } from '../errors.js';
import { log } from '../observe/debug.js';
import { checkOptions } from '../options.js';
import { aborted, unlessAborted } from '../pool/abort.js';
import { checkWellFormed } from '../well-formed.js';
import { tagOfKeys } from './book.js';
import { type Claim, type ClaimKind, type Held, isNotOver, randomToken } from './claim.js';
import { LockNotObtainedError } from './errors.js';
import { FirstAttempts } from './first-attempts.js';
import { checkKeys } from './keys.js';
import { Lock, type LockOwner } from './lock.js';
import { Mutex } from './mutex.js';
import { NO_OPTIONS, type ObtainOptions, type ObtainsKind, type WaitTimeout } from './obtain.js';
import { Obtaining, type Obtains } from './obtaining.js';
import { MUTEX, OBTAIN } from './option-tables.js';
import { ReadWriteLock } from './read-write-lock.js';
import { Releasing } from './releasing.js';
import { Renewals } from './renewal.js';
import { type Connections, checkReplicas, replicated } from './replicated.js';
import { RETRY_MS, Requests } from './requests.js';
import { Reentrance, type RunOptions } from './run.js';
import { Semaphore } from './semaphore.js';
import { type LockState, stateOf } from './state.js';
import type { LockStore } from './store.js';
import { WaitingRooms } from './waiting-rooms.js';

/** Distributed locks on the keys of one pool. Made by `redis.getLocker()`. */
export class Locker implements LockOwner, ObtainsKind, Obtains {
  /** @internal */
  readonly renewals: Renewals;
  readonly #store: LockStore & Connections;
  readonly #requests: Requests;
  readonly #rooms: WaitingRooms;
  readonly #attempts = new FirstAttempts();
  readonly #reentrance: Reentrance;

  /** @internal */
  constructor(store: LockStore & Connections) {
    this.#store = store;
    this.renewals = new Renewals((work) => store.inBackground(work));
    this.#reentrance = new Reentrance(this, (work) => store.holdOpen(work));
    this.#requests = new Requests(store, `lagoon:lock:${randomUUID()}`);
    this.#rooms = new WaitingRooms(store, this.#requests, (claim, fence) => void this.giveBack(claim, fence));
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
    options: ObtainOptions = NO_OPTIONS,
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
   * @throws {InvalidArgumentError} if `ttl` is not positive, or there is an option that it does not know.
   */
  mutex(key: RedisArgument, options: { ttl: Duration }): Mutex {
    checkOptions('mutex', options, MUTEX);
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
  obtainKind(
    kind: ClaimKind,
    permits: number,
    keys: RedisArgument | readonly RedisArgument[],
    ttl: Duration,
    waitTimeout: WaitTimeout,
    options: ObtainOptions,
  ): Promise<Lock | null> {
    try {
      if (options !== NO_OPTIONS) checkOptions('obtain', options, OBTAIN);
      if (typeof waitTimeout === 'object') {
        throw new InvalidArgumentError('waitTimeout must be a duration; options are the argument behind it');
      }
      const given: readonly RedisArgument[] = Array.isArray(keys) ? [...keys] : [keys as RedisArgument];
      const claim = this.#claim(kind, permits, given, ttl, options);
      const waitMs = waitTimeout === Number.POSITIVE_INFINITY ? waitTimeout : nonNegativeMs(waitTimeout, 'waitTimeout');
      checkReplicas(options.replicas);
      const { signal } = options;
      if (signal?.aborted) throw aborted(signal);
      const obtaining = new Obtaining(this, claim, given, waitMs, options);
      // Nobody waits for most locks: one question without a place in the queue, before anything that waiting needs.
      if (waitMs > 0) {
        const ahead = this.#attempts.ahead(claim.keys);
        if (ahead) {
          ahead.letFollow(obtaining);
          return obtaining.promise;
        }
        if (this.#rooms.at(claim.tag)?.queues(claim)) return this.proceed(obtaining, undefined);
      }
      if (signal) obtaining.watch(signal);
      if (waitMs > 0) this.#attempts.add(obtaining);
      this.#requests.obtain(claim, obtaining);
      return obtaining.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @internal */
  attempted(obtaining: Obtaining): void {
    this.#attempts.delete(obtaining);
  }

  /** @internal */
  proceed(obtaining: Obtaining, first: Held | undefined): Promise<Lock | null> {
    // The reply may be that to a batch, and have come in the async context of another caller.
    return this.#store.inBackground(() => this.#proceed(obtaining, first));
  }

  async #proceed(obtaining: Obtaining, first: Held | undefined): Promise<Lock | null> {
    const held = isNotOver(first) ? first : await this.#waitFor(first, obtaining);
    if (!held) return null;
    const { claim, signal, replicas } = obtaining;
    const kept = replicas === undefined ? held : await replicated(this.#store, this, claim, held, replicas, signal);
    return this.lockOf(obtaining, kept);
  }

  /** @internal */
  lockOf({ claim, keys, autoRenew }: Obtaining, held: Held): Lock {
    const lock = new Lock(this, claim, held, keys);
    if (autoRenew) lock.autoRenew();
    return lock;
  }

  /** @internal */
  refresh(claim: Claim, fence: string, ttlMs: number, sooner: boolean): Promise<boolean> {
    return this.#requests.refresh(claim, fence, ttlMs, sooner);
  }

  /** @internal */
  timeLeft(claim: Claim, fence: string): Promise<number> {
    return this.#requests.timeLeft(claim, fence);
  }

  /** @internal */
  release(claim: Claim, fence: string | undefined): Promise<boolean> {
    const releasing = new Releasing(this.#rooms, claim.tag);
    this.#requests.release(claim, fence, releasing);
    return releasing.promise;
  }

  /**
   * Releases what nobody is left to release; without a fence, what may have been granted. Resolves when that was tried once: if
   * Redis could not be asked, it is tried again in the background, until the time that it may be held for is over.
   *
   * @internal
   */
  async giveBack(claim: Claim, fence: string | undefined, giveUpAt = performance.now() + claim.ttlMs): Promise<void> {
    try {
      await this.release(claim, fence);
    } catch (error) {
      log.lock('cannot give back a lock that nobody is told of: %s', (error as Error).message);
      if (!isUnavailable(error) || performance.now() > giveUpAt) return;
      const again = () => void this.giveBack(claim, fence, giveUpAt);
      this.#store.inBackground(() => startTimer(again, RETRY_MS).unref());
    }
  }

  /** Waits as long as there is time, for another than the one that is over. */
  async #waitFor(over: Held | undefined, obtaining: Obtaining): Promise<Held | undefined> {
    const { signal } = obtaining;
    if (over) {
      // A lock that is already over when it comes (a slow reply, a stopped process) is none.
      await unlessAborted(this.giveBack(obtaining.claim, over.fence), signal);
      obtaining.redraw();
    }
    const { claim } = obtaining;
    const waitMs = obtaining.sentAt + obtaining.waitMs - performance.now();
    if (waitMs <= 0) return undefined;
    const held = await this.#rooms.of(claim.tag).wait(claim, waitMs, signal);
    return !held || isNotOver(held) ? held : this.#waitFor(held, obtaining);
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
    if (!drawn) checkWellFormed(token, 'token');
    if (metadata !== '') checkWellFormed(metadata, 'metadata');
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
