import type { OptionTable } from '../options.js';
import type { ObtainOptions } from './obtain.js';
import type { RedlockOptions, RedlockStore } from './redlock/options.js';
import type { RunOptions } from './run.js';

// Beside each option: what other libraries call it.
const TOKEN = ['value', 'identifier', 'owner', 'ownerId'] as const;
const TTL = ['expire', 'expires', 'expiresIn', 'duration', 'lease', 'leaseTime', 'lockTimeout', 'lockTime'] as const;
const WAIT_TIMEOUT = ['timeout', 'wait', 'waitTime', 'waitMs', 'acquireTimeout', 'maxWait'] as const;
const SIGNAL = ['abortSignal', 'abort'] as const;

/** Options of `obtain`, of every kind of lock. */
export const OBTAIN: OptionTable<ObtainOptions> = {
  token: TOKEN,
  metadata: true,
  signal: SIGNAL,
  autoRenew: ['renew', 'autoExtend', 'autoExtension', 'automaticExtensionThreshold', 'refreshInterval', 'watchdog'],
  replicas: ['waitReplicas', 'minReplicas'],
};

/** Options of `run`. */
export const RUN: OptionTable<RunOptions> = {
  ttl: TTL,
  waitTimeout: WAIT_TIMEOUT,
  token: TOKEN,
  metadata: true,
  signal: SIGNAL,
  replicas: OBTAIN.replicas,
};

/** Options of `mutex`. */
export const MUTEX: OptionTable<{ ttl: unknown }> = { ttl: TTL };

/** Options of `getRedlock`. */
export const REDLOCK: OptionTable<RedlockOptions> = {
  retryCount: ['retries', 'attempts'],
  retryDelay: true,
  retryJitter: true,
  driftFactor: true,
  tryTimeout: ['timeout'],
  store: true,
};

/** Options of a Redlock's `lock`. */
export const REDLOCK_LOCK: OptionTable<{ signal?: AbortSignal }> = { signal: SIGNAL };

type StoreOf<Kind> = Extract<RedlockStore, { kind: Kind }>;
/** The same of a store, by its kind. */
export const MAP_STORE: OptionTable<StoreOf<'map'>> = { kind: true, gcInterval: true };
export const LRU_STORE: OptionTable<StoreOf<'lru'>> = { kind: true, max: ['maxSize', 'size'], onEvict: ['dispose'] };
