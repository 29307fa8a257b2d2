import type { RedisArgument, TypeMapping } from 'redis';
import { InvalidArgumentError, TransactionConflictError } from '../errors.js';
import type { OptionTable } from '../options.js';
import type { CommandOptions, PoolCore } from './core.js';
import { type IsolatedRedis, runIsolated } from './isolated.js';
import type { Encoder } from './node-redis.js';

/** Options of `transaction`. */
export interface TransactionOptions {
  /** In a cluster: a key on the server that has the keys of the transaction; default: the first of `watch`. */
  key?: RedisArgument;
  /** Keys to watch before `fn` is called. */
  watch?: RedisArgument | readonly RedisArgument[];
  /** How often `fn` is called again after a conflict; default 3. */
  retries?: number;
}

export const TRANSACTION: OptionTable<TransactionOptions> = {
  key: true,
  watch: ['keys', 'watchKeys', 'watches'],
  retries: ['attempts', 'maxRetries', 'retryCount'],
};

/** Runs `fn` on a connection of its own, under WATCH, again while a watched key changed before its EXEC. */
export function runTransaction<T, TM extends TypeMapping>(
  core: PoolCore,
  encoder: Encoder,
  options: CommandOptions,
  fn: (redis: IsolatedRedis<TM>) => T | Promise<T>,
  { watch = [], retries = 3 }: TransactionOptions,
): Promise<T> {
  if (!Number.isSafeInteger(retries) || retries < 0) {
    return Promise.reject(
      new InvalidArgumentError(`retries must be a whole number of 0 or more, got ${String(retries)}`),
    );
  }
  const keys = Array.isArray(watch) ? watch : [watch];
  return runIsolated(core, encoder, options, async (redis: IsolatedRedis<TM>) => {
    for (let attempt = 1; ; attempt++) {
      if (keys.length > 0) await redis.watch(keys);
      try {
        return await fn(redis);
      } catch (error) {
        if (!(error instanceof TransactionConflictError)) throw error;
        if (attempt > retries) throw new TransactionConflictError(attempt, { cause: error });
      }
    }
  });
}
