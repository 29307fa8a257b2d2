import { BoundedMap } from '../bounded-map.js';

interface Failure {
  readonly until: number;
  /** How long the last failure made it wait; 0 if the loader has not failed. */
  readonly backoffMs: number;
}

/** The time doubles up to this, unless the first wait is longer already. */
const MAX_BACKOFF_MS = 60_000;
/** How long at most a refresh waits that did not come as far as its loader: that may be well. */
const NOT_CALLED_MS = 1_000;
/** Failures remembered at most; the oldest is forgotten first. */
const MOST_FAILURES = 10_000;

/** When a refresh that has failed for a key is worth another try: after twice the time with each failure of the loader in a row. */
export class Backoffs {
  readonly #failures = new BoundedMap<string, Failure>(MOST_FAILURES);

  isWaiting(key: string): boolean {
    const failure = this.#failures.get(key);
    return failure !== undefined && performance.now() < failure.until;
  }

  /** The loader failed. `firstMs`: how long to wait after the first failure, and after each later one at least. */
  failed(key: string, firstMs: number): void {
    const before = this.#failures.get(key)?.backoffMs ?? 0;
    const backoffMs = Math.max(firstMs, Math.min(2 * before, MAX_BACKOFF_MS));
    this.#failures.set(key, { until: performance.now() + backoffMs, backoffMs });
  }

  /** The refresh failed before the loader was called: that says nothing of the loader. */
  notCalled(key: string, firstMs: number): void {
    const backoffMs = this.#failures.get(key)?.backoffMs ?? 0;
    this.#failures.set(key, { until: performance.now() + Math.min(firstMs, NOT_CALLED_MS), backoffMs });
  }

  /** The loader gave a value, here or in another process. */
  succeeded(key: string): void {
    this.#failures.delete(key);
  }
}
