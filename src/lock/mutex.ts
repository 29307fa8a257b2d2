import type { RedisArgument } from 'redis';
import { type Duration, positiveMs } from '../duration.js';
import type { Lock } from './lock.js';

interface Obtains {
  obtain(key: RedisArgument, ttl: Duration): Promise<Lock | null>;
}

/** A mutex on one key, reentrant for this object: it is given back when it was released as often as it was acquired. */
export class Mutex {
  /** The key. */
  readonly key: RedisArgument;
  readonly #locker: Obtains;
  #ttlMs: number;
  #lock: Lock | undefined;
  #count = 0;
  /** Calls run one after the other, or two at once could both find it not held. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(locker: Obtains, key: RedisArgument, ttlMs: number) {
    this.#locker = locker;
    this.key = key;
    this.#ttlMs = ttlMs;
  }

  /** The lock that is held, with its fence and its signal; `undefined` if none is. */
  get lock(): Lock | undefined {
    return this.#lock?.held ? this.#lock : undefined;
  }

  /**
   * Acquires it, or acquires it once more and sets its time anew. Makes one attempt.
   *
   * @returns `false` if another holds it.
   * @throws {ConnectionError} or {@link CommandTimeoutError} if Redis cannot be asked.
   */
  acquire(): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#lock && (await this.#lock.refresh(this.#ttlMs))) {
        this.#count++;
        return true;
      }
      this.#lock = (await this.#locker.obtain(this.key, this.#ttlMs)) ?? undefined;
      this.#count = this.#lock ? 1 : 0;
      return this.#lock !== undefined;
    });
  }

  /**
   * Releases it once.
   *
   * @returns `false` if it is not held, because it never was or because it was lost.
   * @throws {ConnectionError} or {@link CommandTimeoutError} if Redis cannot be asked; this object does not hold it any more then, and
   *   in Redis it ends with its expiry.
   */
  release(): Promise<boolean> {
    return this.#inTurn(async () => {
      const lock = this.#lock;
      if (!lock) return false;
      if (lock.held && --this.#count > 0) return true;
      this.#lock = undefined;
      this.#count = 0;
      return lock.release();
    });
  }

  /**
   * The time for which later calls of {@link acquire} take it.
   *
   * @throws {InvalidArgumentError} if it is not positive.
   */
  setExpire(ttl: Duration): void {
    this.#ttlMs = positiveMs(ttl, 'ttl');
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(action);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
