import type { RedisArgument } from 'redis';
import type { Duration } from '../duration.js';
import type { ClaimKind } from './claim.js';
import type { Lock } from './lock.js';

/** Options of {@link Locker.obtain}. */
export interface ObtainOptions {
  /** What proves that the lock is ours; default: 128 random bits. Must be unique to this holder. */
  token?: string;
  /** Stored behind the token, for others to read; default `''`. */
  metadata?: string;
  /** Ends the wait. */
  signal?: AbortSignal;
  /** Whether the lock is renewed at every third of its `ttl` until it is released; default `false`. */
  autoRenew?: boolean;
  /**
   * Obtains it only if so many replicas of the master confirm within half of the `ttl`, and at most the pool's `commandTimeout`, that
   * they have it; else it is given back, with a `LockNotReplicatedError`. Default: none is asked. It narrows the time in which a
   * failover can forget the lock, and does not close it.
   */
  replicas?: number;
}

/** None. It is the default everywhere, so that it need not be checked. */
export const NO_OPTIONS: ObtainOptions = Object.freeze({});

/** How long to wait: a duration, or `Infinity`. */
export type WaitTimeout = Duration;

/** Obtains locks of every kind. */
export interface ObtainsKind {
  /** @internal */
  obtainKind(
    kind: ClaimKind,
    permits: number,
    keys: RedisArgument | readonly RedisArgument[],
    ttl: Duration,
    waitTimeout: WaitTimeout,
    options: ObtainOptions,
  ): Promise<Lock | null>;
}
