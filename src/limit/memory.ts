import { detached } from '../bounded-map.js';
import { COARSE, decide, type State } from './algorithms.js';
import type { Quota } from './quota.js';
import { type RateLimitResult, resultOf } from './result.js';

/** Keys that are remembered at most; the one that was first seen longest ago is forgotten first. */
const MOST_KEYS = 10_000;
/** Bytes that the keys and what is known of them take at most. */
const MOST_BYTES = 16 * 1024 * 1024;
/** What a key takes beside its characters, and a moment of a sliding window, as V8 lays them out. */
const KEY_BYTES = 200;
const MOMENT_BYTES = 40;

interface Known {
  readonly states: readonly State[];
  readonly bytes: number;
}

/**
 * Counts calls in this process alone, for as long as a server is away. A call costs the same however many are in the
 * window, and so does a key.
 */
export class MemoryLimits {
  /** By key alone: a limit that changes finds what was counted under the one before. */
  readonly #known = new Map<string, Known>();
  #bytes = 0;

  /** @param count 0 to look only. */
  consume(quotas: readonly Quota[], key: string, cost: number, count: 0 | 1): RateLimitResult {
    const now = Math.floor(performance.now() * 1000);
    const known = this.#known.get(key)?.states ?? [];
    const { accepted, states, standings } = decide(known, quotas, now, cost, count, COARSE);
    // What is denied changes nothing, so it need not be remembered.
    if (accepted > 0 && count > 0) this.#remember(key, states);
    const result = resultOf(quotas, standings, cost, accepted > 0, 0);
    return count === 0 && result.retryAfter === 0 ? { ...result, allowed: true, exceeded: false } : result;
  }

  #remember(key: string, states: readonly State[]): void {
    const before = this.#known.get(key);
    const bytes = bytesOf(key, states);
    this.#bytes += bytes - (before?.bytes ?? 0);
    // The place of a key in the map stays, so that its name need not be copied again.
    this.#known.set(before ? key : detached(key), { states, bytes });
    if (this.#isFull) this.#forgetOldest();
  }

  get #isFull(): boolean {
    return this.#known.size > MOST_KEYS || this.#bytes > MOST_BYTES;
  }

  #forgetOldest(): void {
    for (const [oldest, { bytes: freed }] of this.#known) {
      if (!this.#isFull) break;
      this.#known.delete(oldest);
      this.#bytes -= freed;
    }
  }
}

function bytesOf(key: string, states: readonly State[]): number {
  return states.reduce((sum, { accepted }) => sum + MOMENT_BYTES * accepted.length, 2 * key.length + KEY_BYTES);
}
