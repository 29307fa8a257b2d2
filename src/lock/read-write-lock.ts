import type { RedisArgument } from 'redis';
import type { Duration } from '../duration.js';
import type { Lock } from './lock.js';
import { NO_OPTIONS, type ObtainOptions, type ObtainsKind } from './obtain.js';

/**
 * A lock that many readers may hold at once, or one writer. Waiting is first in, first out, so that a writer who waits comes
 * before every reader who asks after it.
 */
export class ReadWriteLock {
  readonly #locker: ObtainsKind;
  readonly #key: RedisArgument;

  /** @internal */
  constructor(locker: ObtainsKind, key: RedisArgument) {
    this.#locker = locker;
    this.#key = key;
  }

  /** Obtains it together with other readers; arguments and errors as of `locker.obtain`. */
  obtainRead(ttl: Duration, waitTimeout: Duration = 0, options: ObtainOptions = NO_OPTIONS): Promise<Lock | null> {
    return this.#locker.obtainKind('r', 1, this.#key, ttl, waitTimeout, options);
  }

  /** Obtains it alone; arguments and errors as of `locker.obtain`. */
  obtainWrite(ttl: Duration, waitTimeout: Duration = 0, options: ObtainOptions = NO_OPTIONS): Promise<Lock | null> {
    return this.#locker.obtainKind('w', 1, this.#key, ttl, waitTimeout, options);
  }
}
