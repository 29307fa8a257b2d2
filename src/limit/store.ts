import type { RunsScripts } from '../pool/script.js';

/** What the limiters need of a pool. */
export interface LimitStore extends RunsScripts {
  /** Aborts when the pool begins to close. */
  readonly closing: AbortSignal;
}
