import type { RedisArgument } from 'redis';
import type { Script, ScriptArgument, SharedPart } from '../pool/script.js';
import type { Subscription } from '../pool/subscription.js';

/** What the locks need of a pool. */
export interface LockStore {
  runScript<Reply>(
    script: Script<Reply>,
    keys: readonly RedisArgument[],
    args?: readonly ScriptArgument[],
    shared?: SharedPart,
  ): Promise<Reply>;
  subscribe(
    channel: string,
    listener: (message: string) => void,
    options: { onResubscribe: () => void },
  ): Promise<Subscription>;
  getPoolConfig(): { readonly code: string; readonly keyPrefix: string };
  /** Aborts when the pool begins to close. */
  readonly closing: AbortSignal;
}
