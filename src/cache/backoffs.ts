import { BoundedMap } from '../bounded-map.js';

interface Failure {
  readonly until: number;
  readonly backoffMs: number;
}

const MAX_BACKOFF_MS = 60_000;
/** Failures remembered at most; the oldest is forgotten first. */
const MOST_FAILURES = 10_000;

/** When what has failed for a key is worth another try: after twice the time with each failure in a row. */
export class Backoffs {
  readonly #failures = new BoundedMap<string, Failure>(MOST_FAILURES);

  isWaiting(key: string): boolean {
    const failure = this.#failures.get(key);
    return failure !== undefined && performance.now() < failure.until;
  }

  /** `firstMs`: how long to wait after the first failure. */
  failed(key: string, firstMs: number): void {
    const before = this.#failures.get(key);
    const backoffMs = before ? Math.min(2 * before.backoffMs, MAX_BACKOFF_MS) : firstMs;
    this.#failures.set(key, { until: performance.now() + backoffMs, backoffMs });
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }
}
