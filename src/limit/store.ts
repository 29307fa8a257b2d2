import type { RedisArgument } from 'redis';
import type { Script, ScriptArgument, ScriptCall, SharedPart } from '../pool/script.js';

/** What the limiters need of a pool. */
export interface LimitStore {
  runScript<Reply>(
    script: Script<Reply>,
    keys: readonly RedisArgument[],
    args?: readonly ScriptArgument[],
    shared?: SharedPart,
  ): Promise<Reply>;
  callScript<Reply>(
    script: Script<Reply>,
    keys: readonly RedisArgument[],
    args: readonly ScriptArgument[],
    call: ScriptCall<Reply>,
    shared?: SharedPart,
  ): void;
  /** Aborts when the pool begins to close. */
  readonly closing: AbortSignal;
}
