/** What a cache did so far, in this process. */
export interface CacheStats {
  /** Values served from this process. */
  readonly localHits: number;
  /** Values served from Redis. */
  readonly remoteHits: number;
  /** Keys that had no value. */
  readonly misses: number;
  /** Calls of loaders. */
  readonly loads: number;
  /** Values served although their ttl was over. */
  readonly staleServes: number;
  /** Values that left this process to make room. */
  readonly evictions: number;
  /** Values in this process. */
  readonly items: number;
  /** Bytes of memory that they and their keys take, estimated. */
  readonly bytes: number;
}

/** What is counted as it happens. */
export class Counters {
  localHits = 0;
  remoteHits = 0;
  misses = 0;
  loads = 0;
  staleServes = 0;
  evictions = 0;
}
