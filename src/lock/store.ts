import type { RedisArgument } from 'redis';
import type { RunsScripts } from '../pool/script.js';
import type { Subscription } from '../pool/subscription.js';

type Subscribe = (
  channel: string,
  listener: (message: string) => void,
  options: { onResubscribe: () => void },
) => Promise<Subscription>;

/** What the locks need of a pool. */
export interface LockStore extends RunsScripts {
  /** What the name of another key or of a channel must have in it to be in the slot of `key`; `''` where there are no slots. */
  slotTag(key: RedisArgument): string;
  subscribe: Subscribe;
  sSubscribe: Subscribe;
  getPoolConfig(): {
    readonly code: string;
    readonly keyPrefix: string;
    readonly pool: { readonly idleTimeout: number };
  };
  /** Calls `work` in the async context in which the pool was made, for what outlives the call that causes it. */
  inBackground<T>(work: () => T): T;
  /** Runs a callback that closing the pool waits for. */
  holdOpen<T>(work: () => Promise<T>): Promise<T>;
  /** Aborts when the pool begins to close. */
  readonly closing: AbortSignal;
}
