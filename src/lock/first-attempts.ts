import type { RedisArgument } from 'redis';
import type { Obtaining } from './obtaining.js';

/**
 * The first attempts that are under way for callers who would wait. A later caller that would wait for the same key lets the earlier
 * one end its attempt and get its place in the queue: an attempt or a place of its own could come first.
 */
export class FirstAttempts {
  readonly #latest = new Map<string, Obtaining>();

  /** The latest attempt on one of the keys. */
  ahead(keys: readonly RedisArgument[]): Obtaining | undefined {
    if (this.#latest.size === 0) return undefined;
    for (const key of keys) {
      const attempt = this.#latest.get(String(key));
      if (attempt) return attempt;
    }
    return undefined;
  }

  /** Two keys that only look the same as text share an entry, which costs the later caller one round trip. */
  add(attempt: Obtaining): void {
    for (const key of attempt.claim.keys) this.#latest.set(String(key), attempt);
  }

  delete(attempt: Obtaining): void {
    for (const key of attempt.claim.keys) this.#latest.delete(String(key));
  }
}
