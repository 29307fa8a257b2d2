import type { RedisPool } from '../pool/redis-pool.js';

/** What the caches need of a pool. */
export type CacheStore = Pick<
  RedisPool,
  | 'closing'
  | 'get'
  | 'getLocker'
  | 'multi'
  | 'pTTL'
  | 'runScript'
  | 'scanIterator'
  | 'set'
  | 'track'
  | 'unlink'
  | 'withTimeout'
  | 'withTypeMapping'
  | 'getPoolConfig'
>;
