import type { RedisPool } from '../pool/redis-pool.js';

/** What the caches need of a pool. */
export type CacheStore = Pick<
  RedisPool,
  | 'closing'
  | 'eval'
  | 'get'
  | 'getLocker'
  | 'inBackground'
  | 'mGet'
  | 'multi'
  | 'pTTL'
  | 'runScript'
  | 'scanIterator'
  | 'set'
  | 'slotTag'
  | 'track'
  | 'unlink'
  | 'withTimeout'
  | 'withTypeMapping'
  | 'getPoolConfig'
>;

/** The pool with a timeout of its own for each command, if there is one. */
export function within(store: CacheStore, timeoutMs: number | undefined): CacheStore {
  return timeoutMs === undefined ? store : store.withTimeout(timeoutMs);
}
