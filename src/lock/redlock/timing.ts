import { startTimer } from '../../async/timers.js';
import { type Duration, positiveMs } from '../../duration.js';
import { InvalidArgumentError } from '../../errors.js';
import { aborted, whenAborted } from '../../pool/abort.js';
import type { RedlockTiming } from './options.js';

/** Redis counts expiry in whole ms, and so may this process: what that can hide, in ms. */
const PRECISION_MS = 2;
/** The timeout of one try: at least this, if the ttl is not so short itself; at most that. */
const MIN_TRY_MS = 50;
const MAX_TRY_MS = 1_000;

/** How far the clocks of the pools may drift apart while a lock of `ttlMs` is held. */
export function driftMs(ttlMs: number, driftFactor: number): number {
  return ttlMs * driftFactor + PRECISION_MS;
}

/** When a lock is over that was first asked for at `startedAt`, on the same clock. */
export function expiryOf(startedAt: number, ttlMs: number, driftFactor: number): number {
  return startedAt + ttlMs - driftMs(ttlMs, driftFactor);
}

/** How long one try may take at one pool: small beside the ttl, so that a pool that is down does not use it up. */
export function tryTimeoutOf(ttlMs: number): number {
  const hundredth = Math.max(MIN_TRY_MS, Math.min(MAX_TRY_MS, ttlMs / 100));
  return Math.max(1, Math.floor(Math.min(hundredth, ttlMs / 2)));
}

/**
 * The ttl in ms, and how long one try may take.
 *
 * @throws {InvalidArgumentError} if the ttl is not positive, or nothing would be left of it.
 */
export function checkedTtl(ttl: Duration, timing: RedlockTiming): { ttlMs: number; tryTimeoutMs: number } {
  const ttlMs = positiveMs(ttl, 'ttl');
  const drift = driftMs(ttlMs, timing.driftFactor);
  if (drift >= ttlMs) {
    throw new InvalidArgumentError(
      `ttl must be longer than the drift of ${drift} ms that is taken off, got ${ttlMs} ms`,
    );
  }
  const tryTimeoutMs = timing.tryTimeoutMs ?? tryTimeoutOf(ttlMs);
  if (tryTimeoutMs >= ttlMs) {
    throw new InvalidArgumentError(`ttl must be longer than tryTimeout (${tryTimeoutMs} ms), got ${ttlMs} ms`);
  }
  return { ttlMs, tryTimeoutMs };
}

/** How long to wait before the next try: random, so that clients that split the votes do not meet again. */
export function delayOf({ retryDelayMs, retryJitterMs }: RedlockTiming, random = Math.random()): number {
  return retryJitterMs === undefined ? retryDelayMs * random : retryDelayMs + retryJitterMs * random;
}

/**
 * Waits.
 *
 * @throws {AbortError} when `signal` aborts, and `closing`'s reason when that does.
 */
export function pause(ms: number, closing: AbortSignal, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (closing.aborted) return reject(closing.reason);
    if (signal?.aborted) return reject(aborted(signal));
    const end = (settle: () => void) => {
      clearTimeout(timer);
      stopClosing();
      stopSignal?.();
      settle();
    };
    const timer = startTimer(() => end(resolve), ms);
    const stopClosing = whenAborted(closing, () => end(() => reject(closing.reason)));
    const stopSignal = signal && whenAborted(signal, () => end(() => reject(aborted(signal))));
  });
}
