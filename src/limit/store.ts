import type { Duration } from '../duration.js';
import type { RunsScripts } from '../pool/script.js';

/** What the limiters need of a pool. */
export interface LimitStore extends RunsScripts {
  /** Calls `work` in the async context in which the pool was made, for what outlives the call that causes it. */
  inBackground<T>(work: () => T): T;
  /** Aborts when the pool begins to close. */
  readonly closing: AbortSignal;
  /** Stands for the server that has these keys now, `undefined` if that is not known: two that differ are two servers. */
  serverOf(keys: readonly string[]): unknown;
  /** The same with another timeout for each command. */
  withTimeout(timeout: Duration): LimitStore;
}
