import { AsyncResource } from 'node:async_hooks';
import { createRequire } from 'node:module';
import type { LRUCache } from 'lru-cache';
import { startInterval } from '../../async/timers.js';
import { log } from '../../observe/debug.js';
import { bindUserCallback } from '../../observe/user-callback.js';
import { whenAborted } from '../../pool/abort.js';
import { nameOf } from '../keys.js';
import type { ResolvedStore } from './options.js';
import type { RedlockLock } from './redlock-lock.js';

const require = createRequire(import.meta.url);

/** The locks that this process holds, by resource. */
export interface HeldLocks {
  get(resource: string | Buffer): RedlockLock | undefined;
  /** Remembers a lock in place of an older one on the same resource, whose time is over. */
  add(lock: RedlockLock): void;
  /** Forgets this lock; not a newer one on the same resource. */
  delete(lock: RedlockLock): void;
}

/** @param closing nothing may keep running after it aborts. */
export function createHeldLocks(store: ResolvedStore, closing: AbortSignal): HeldLocks {
  return store.kind === 'map' ? new HeldInMap(store.gcIntervalMs, closing) : new HeldInLru(store.max, store.onEvict);
}

/** All of them. Those that are over and were never released are removed at an interval, as long as there are any. */
class HeldInMap implements HeldLocks {
  readonly #locks = new Map<string, RedlockLock>();
  readonly #gcIntervalMs: number;
  readonly #closing: AbortSignal;
  /** The timer outlives the caller whose lock is the first. */
  readonly #background = new AsyncResource('LagoonRedlock');
  #stop: (() => void) | undefined;

  constructor(gcIntervalMs: number, closing: AbortSignal) {
    this.#gcIntervalMs = gcIntervalMs;
    this.#closing = closing;
  }

  get(resource: string | Buffer): RedlockLock | undefined {
    return this.#locks.get(nameOf(resource));
  }

  add(lock: RedlockLock): void {
    this.#locks.set(nameOf(lock.resource), lock);
    this.#start();
  }

  delete(lock: RedlockLock): void {
    const name = nameOf(lock.resource);
    if (this.#locks.get(name) === lock) this.#locks.delete(name);
    if (this.#locks.size === 0) this.#stop?.();
  }

  #start(): void {
    if (this.#stop || this.#closing.aborted) return;
    const start = () => startInterval(() => this.#collect(), this.#gcIntervalMs).unref();
    const timer = this.#background.runInAsyncScope(start);
    const stopWatching = whenAborted(this.#closing, () => this.#stop?.());
    this.#stop = () => {
      this.#stop = undefined;
      clearInterval(timer);
      stopWatching();
    };
  }

  #collect(): void {
    const now = performance.now();
    for (const lock of this.#locks.values()) if (lock.expiresAt <= now) this.delete(lock);
  }
}

/** So many at most. One that is forgotten while it is held is reported: `unlock(resource)` will not find it. */
class HeldInLru implements HeldLocks {
  readonly #locks: LRUCache<string, RedlockLock>;
  readonly #onEvict: ((lock: RedlockLock) => void) | undefined;
  #warned = false;

  constructor(max: number, onEvict: ((lock: RedlockLock) => void) | undefined) {
    // It must not throw: the caller of lock() would get that, and did obtain its lock.
    this.#onEvict = onEvict && bindUserCallback('onEvict of a Redlock', onEvict);
    // Loaded here and not at the top: few ask for this store, and everybody would wait for it.
    const lru = require('lru-cache') as typeof import('lru-cache');
    this.#locks = new lru.LRUCache({
      max,
      disposeAfter: (lock, _name, reason) => {
        if (reason === 'evict' && lock.held) this.#report(lock);
      },
    });
  }

  get(resource: string | Buffer): RedlockLock | undefined {
    return this.#locks.get(nameOf(resource));
  }

  add(lock: RedlockLock): void {
    this.#locks.set(nameOf(lock.resource), lock);
  }

  delete(lock: RedlockLock): void {
    const name = nameOf(lock.resource);
    if (this.#locks.peek(name) === lock) this.#locks.delete(name);
  }

  #report(lock: RedlockLock): void {
    const what = `the Redlock ${JSON.stringify(String(lock.resource))} was evicted from its store while it is held`;
    log.lock('%s', what);
    if (!this.#warned) {
      this.#warned = true;
      process.emitWarning(`${what}: unlock() does not find it any more, its own release() does. Raise store.max.`, {
        type: 'LagoonWarning',
        code: 'LAGOON_REDLOCK_EVICTED',
      });
    }
    this.#onEvict?.(lock);
  }
}
