import { inspect } from 'node:util';
import { type Duration, nonNegativeMs, positiveMs } from '../../duration.js';
import { InvalidArgumentError } from '../../errors.js';
import { checkOptions } from '../../options.js';
import { LRU_STORE, MAP_STORE, REDLOCK } from '../option-tables.js';
import type { RedlockLock } from './redlock-lock.js';

/** Where a {@link Redlock} remembers the locks that it holds, so that `unlock(resource)` finds them. */
export type RedlockStore =
  | 'map'
  | 'lru'
  | {
      /** Every lock, until it is released or over. */
      kind: 'map';
      /** How often locks that are over are removed; default 60 s. */
      gcInterval?: Duration;
    }
  | {
      /** So many locks at most; the one that was not used for longest goes first. */
      kind: 'lru';
      /** Locks at most; default 10000. */
      max?: number;
      /** Called with a lock that was forgotten while it was held; its own `release()` still gives it back. */
      onEvict?: (lock: RedlockLock) => void;
    };

/** Options of `engine.getRedlock`. */
export interface RedlockOptions {
  /** How often to try again if there was no quorum; default 3, 0: one try, `Infinity`: until the signal aborts. */
  retryCount?: number;
  /** How long to wait before the next try: a random part of it, from nothing to the whole; default 200 ms. */
  retryDelay?: Duration;
  /** If given, all of `retryDelay` is waited, and a random part of this on top. */
  retryJitter?: Duration;
  /** What clocks may drift, as a part of the ttl; default 0.01. */
  driftFactor?: number;
  /**
   * How long one try may take at one pool. Default: a hundredth of the ttl, but 50 ms at least and 1 s at most, and
   * never more than half the ttl.
   */
  tryTimeout?: Duration;
  /** Default `'map'`. */
  store?: RedlockStore;
}

/** The options that concern tries, resolved. */
export interface RedlockTiming {
  readonly retryCount: number;
  readonly retryDelayMs: number;
  readonly retryJitterMs: number | undefined;
  readonly driftFactor: number;
  /** `undefined`: it depends on the ttl. */
  readonly tryTimeoutMs: number | undefined;
}

export type ResolvedStore =
  | { readonly kind: 'map'; readonly gcIntervalMs: number }
  | { readonly kind: 'lru'; readonly max: number; readonly onEvict: ((lock: RedlockLock) => void) | undefined };

const DEFAULTS = { retryCount: 3, retryDelay: 200, driftFactor: 0.01, gcInterval: 60_000, max: 10_000 } as const;

/** @throws {InvalidArgumentError} for a value that cannot be right. */
export function resolveTiming(options: RedlockOptions): RedlockTiming {
  checkOptions('getRedlock', options, REDLOCK);
  const { retryCount = DEFAULTS.retryCount, retryDelay = DEFAULTS.retryDelay, retryJitter, tryTimeout } = options;
  const { driftFactor = DEFAULTS.driftFactor } = options;
  if (retryCount !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(retryCount) && retryCount >= 0)) {
    throw new InvalidArgumentError(
      `retryCount must be a whole number of 0 or more, or Infinity, got ${show(retryCount)}`,
    );
  }
  if (!(typeof driftFactor === 'number' && driftFactor >= 0 && driftFactor < 1)) {
    throw new InvalidArgumentError(`driftFactor must be a number from 0 to below 1, got ${show(driftFactor)}`);
  }
  return {
    retryCount,
    retryDelayMs: nonNegativeMs(retryDelay, 'retryDelay'),
    retryJitterMs: retryJitter === undefined ? undefined : nonNegativeMs(retryJitter, 'retryJitter'),
    driftFactor,
    tryTimeoutMs: tryTimeout === undefined ? undefined : positiveMs(tryTimeout, 'tryTimeout'),
  };
}

/** @throws {InvalidArgumentError} for a value that cannot be right. */
export function resolveStore(given: RedlockStore = 'map'): ResolvedStore {
  const store = typeof given === 'string' ? ({ kind: given } as Exclude<RedlockStore, string>) : given;
  if (store?.kind === 'map') {
    checkOptions('store of getRedlock', store, MAP_STORE);
    return { kind: 'map', gcIntervalMs: positiveMs(store.gcInterval ?? DEFAULTS.gcInterval, 'store.gcInterval') };
  }
  if (store?.kind !== 'lru') {
    throw new InvalidArgumentError(`store must be 'map', 'lru', or an object of that kind, got ${show(given)}`);
  }
  checkOptions('store of getRedlock', store, LRU_STORE);
  const { max = DEFAULTS.max, onEvict } = store;
  if (!(Number.isSafeInteger(max) && max >= 1)) {
    throw new InvalidArgumentError(`store.max must be a whole number of 1 or more, got ${show(max)}`);
  }
  if (onEvict !== undefined && typeof onEvict !== 'function') {
    throw new InvalidArgumentError(`store.onEvict must be a function, got ${show(onEvict)}`);
  }
  return { kind: 'lru', max, onEvict };
}

function show(value: unknown): string {
  return inspect(value, { depth: 0 });
}
