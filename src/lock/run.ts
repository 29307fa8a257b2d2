import { AsyncLocalStorage } from 'node:async_hooks';
import type { RedisArgument } from 'redis';
import type { Duration } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { log } from '../observe/debug.js';
import { checkOptions } from '../options.js';
import { LockLostError, LockNotObtainedError } from './errors.js';
import { checkKeys, nameOf } from './keys.js';
import type { Lock } from './lock.js';
import type { ObtainOptions } from './obtain.js';
import { RUN } from './option-tables.js';

/** Options of `locker.run`. */
export interface RunOptions extends Omit<ObtainOptions, 'autoRenew'> {
  /** The lock expires so long after its last renewal. */
  ttl: Duration;
  /** How long to wait while another holds it, or `Infinity`; default 0. */
  waitTimeout?: Duration;
}

/** Runs a callback that closing the pool waits for. */
type HoldOpen = <T>(work: () => Promise<T>) => Promise<T>;

interface Obtains {
  obtain(key: RedisArgument, ttl: Duration, waitTimeout: Duration, options: ObtainOptions): Promise<Lock | null>;
}

/** A lock that callbacks of one async context share. */
interface Shared {
  readonly lock: Lock;
  /** Callbacks that run under it. */
  count: number;
}

/** Runs callbacks under a lock; one that is called inside another, on the same key, joins it. */
export class Reentrance {
  readonly #locker: Obtains;
  readonly #holdOpen: HoldOpen;
  /** Made at the first use, because it makes every promise of the process dearer. */
  #contexts: AsyncLocalStorage<ReadonlyMap<string, Shared>> | undefined;

  constructor(locker: Obtains, holdOpen: HoldOpen) {
    this.#locker = locker;
    this.#holdOpen = holdOpen;
  }

  async run<T>(key: RedisArgument, options: RunOptions, fn: (lock: Lock) => T | Promise<T>): Promise<T> {
    checkKeys([key]);
    checkOptions('run', options, RUN);
    if (typeof fn !== 'function') {
      throw new InvalidArgumentError('run needs the function to call: run(key, { ttl }, (lock) => …)');
    }
    this.#contexts ??= new AsyncLocalStorage();
    const outer = this.#contexts.getStore();
    const name = nameOf(key);
    const around = outer?.get(name);
    // A callback that outlives the one it was called in finds its lock released, and takes one of its own.
    const joined = around && around.count > 0 ? around : undefined;
    if (joined?.lock.lostBecause) throw joined.lock.lostBecause;
    const shared = joined?.lock.held ? joined : { lock: await this.#obtain(key, options), count: 0 };
    const context = new Map(outer).set(name, shared);
    const contexts = this.#contexts;
    return this.#holdOpen(() => this.#use(key, shared, () => contexts.run(context, async () => fn(shared.lock))));
  }

  async #use<T>(key: RedisArgument, shared: Shared, fn: () => Promise<T>): Promise<T> {
    shared.count++;
    let result: T;
    try {
      result = await fn();
    } catch (error) {
      await this.#leave(shared);
      throw error;
    }
    const wasOurs = await this.#leave(shared);
    if (!wasOurs) throw shared.lock.lostBecause ?? new LockLostError([key], 'it was not ours any more at the end');
    return result;
  }

  async #obtain(key: RedisArgument, { ttl, waitTimeout = 0, ...options }: RunOptions): Promise<Lock> {
    const lock = await this.#locker.obtain(key, ttl, waitTimeout, { ...options, autoRenew: true });
    if (!lock) throw new LockNotObtainedError([key]);
    return lock;
  }

  /** Whether the lock was held to the end. */
  async #leave(shared: Shared): Promise<boolean> {
    if (--shared.count > 0) return shared.lock.held;
    const { held } = shared.lock;
    try {
      return await shared.lock.release();
    } catch (error) {
      // The callback's result is what the caller must hear of; a lock that cannot be given back expires.
      log.lock('cannot release a lock: %s', (error as Error).message);
      return held;
    }
  }
}
