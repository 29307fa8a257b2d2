import type { RedisArgument } from 'redis';
import type { Duration } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import type { Lock } from './lock.js';
import { NO_OPTIONS, type ObtainOptions, type ObtainsKind } from './obtain.js';

/** A lock that so many may hold at once. Waiting is first in, first out. All who use the key should give the same number. */
export class Semaphore {
  /** How many may hold it at once. */
  readonly permits: number;
  readonly #locker: ObtainsKind;
  readonly #key: RedisArgument;

  /** @internal */
  constructor(locker: ObtainsKind, key: RedisArgument, permits: number) {
    if (!Number.isSafeInteger(permits) || permits < 1) {
      throw new InvalidArgumentError(`permits must be a whole number of 1 or more, got ${String(permits)}`);
    }
    this.#locker = locker;
    this.#key = key;
    this.permits = permits;
  }

  /** Obtains one permit; arguments and errors as of `locker.obtain`. */
  obtain(ttl: Duration, waitTimeout: Duration = 0, options: ObtainOptions = NO_OPTIONS): Promise<Lock | null> {
    return this.#locker.obtainKind('s', this.permits, this.#key, ttl, waitTimeout, options);
  }
}
