import type { RedisPool } from '../pool/redis-pool.js';

/** What the caches need of a pool. */
export type CacheStore = Pick<
  RedisPool,
  | 'closing'
  | 'eval'
  | 'get'
  | 'getLocker'
  | 'holdOpen'
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
  | 'whileClosing'
  | 'withTimeout'
  | 'withTypeMapping'
  | 'getPoolConfig'
>;

/** The pool with a timeout of its own for each command, if there is one. */
export function within(store: CacheStore, timeoutMs: number | undefined): CacheStore {
  return timeoutMs === undefined ? store : store.withTimeout(timeoutMs);
}

/** Parts the names of keys so that one command can have all of a part: by slot in a cluster, else all together. */
export function bySlot(store: CacheStore, names: readonly string[]): string[][] {
  const parts = new Map<string, string[]>();
  for (const name of names) {
    const slot = store.slotTag(name);
    const part = parts.get(slot);
    if (part) part.push(name);
    else parts.set(slot, [name]);
  }
  return [...parts.values()];
}
