import type { OptionTable } from '../options.js';
import type { CacheOptions, GetOrSetOptions, LocalOptions, PutOptions } from './options.js';

/* Beside `true` stand the names that Gone, bentocache, cache-manager, Keyv, lru-cache and ioredis have for an option. */

export const CACHE: OptionTable<CacheOptions> = {
  prefix: ['namespace', 'keyPrefix', 'name'],
  ttl: ['expires', 'expire', 'expiresIn', 'ex', 'px', 'maxAge'],
  codec: ['serializer', 'serialize', 'encoder'],
  local: ['l1', 'memory', 'useL1Layer', 'clientSideCache'],
  whenDown: ['suppressL2Errors', 'onError', 'fallback', 'insurance'],
  timeout: ['commandTimeout', 'softTimeout'],
  loadTimeout: ['hardTimeout', 'loaderTimeout', 'refreshTimeout'],
  onEvent: ['on', 'emitter', 'listener', 'logger'],
};

export const LOCAL: OptionTable<LocalOptions> = {
  maxItems: ['max', 'maxEntries', 'size', 'lruSize'],
  maxBytes: ['maxSize', 'maxMemory'],
  ttl: ['expires', 'maxAge'],
  heartbeat: ['heartbeatInterval', 'pingInterval'],
};

export const PUT: OptionTable<PutOptions> = {
  ttl: ['expires', 'expire', 'expiresIn', 'ex', 'px', 'maxAge'],
  tags: ['tag'],
  grace: ['gracePeriod', 'stale', 'staleWhileRevalidate', 'swr', 'staleTtl'],
  jitter: true,
};

export const GET_OR_SET: OptionTable<GetOrSetOptions> = {
  ...PUT,
  negativeTtl: ['nullTtl', 'emptyTtl'],
  backoff: ['graceBackoff', 'retryDelay'],
  earlyRefresh: ['refreshThreshold', 'beta', 'earlyExpiration'],
  lock: ['locked', 'distributedLock', 'singleFlight'],
  timeout: ['softTimeout', 'commandTimeout'],
  loadTimeout: ['hardTimeout', 'loaderTimeout', 'refreshTimeout'],
  signal: ['abortSignal'],
};
