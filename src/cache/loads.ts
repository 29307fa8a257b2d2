import { ClosedError, InvalidArgumentError, isUnavailable } from '../errors.js';
import type { Locker } from '../lock/locker.js';
import { aborted, whenAborted } from '../pool/abort.js';
import type { Events } from './events.js';
import type { Read } from './local-tier.js';
import { type CacheWhenDown, lifetimeMs, type ResolvedLoad } from './options.js';
import type { Remote } from './remote.js';
import type { Counters } from './stats.js';
import type { Meta } from './stored.js';
import type { Tags } from './tags.js';

/** What a loader is given. */
export interface LoadContext {
  readonly key: string;
  /** Aborts when nobody waits for the value any more. */
  readonly signal: AbortSignal;
}

export type Loader<T> = (context: LoadContext) => T | Promise<T>;

/** One call of a loader, and those who wait for it. */
interface Flight<T> {
  readonly controller: AbortController;
  readonly tags: readonly string[];
  promise: Promise<T>;
  /** Who waits and could abort. */
  callers: number;
  /** Whether its key was written or removed meanwhile, so that what it loads is not stored. */
  voided: boolean;
  storing: Promise<void> | undefined;
}

/** A loader that failed while a stale value served. */
interface Failure {
  readonly until: number;
  readonly backoffMs: number;
}

/** The lock of a load expires so soon after its process has died. */
const LOCK_TTL_MS = 10_000;
const MAX_BACKOFF_MS = 60_000;
/** Failures remembered at most; the oldest is forgotten first. */
const MOST_FAILURES = 10_000;

/** What a cache reads or else loads: one at a time per key in this process, and with a lock in all processes. */
export class Loads<V> {
  readonly #remote: Remote<V>;
  readonly #tags: Tags;
  readonly #locker: () => Locker;
  readonly #lockPrefix: string;
  readonly #whenDown: CacheWhenDown;
  readonly #counters: Counters;
  readonly #events: Events;
  readonly #flights = new Map<string, Flight<unknown>>();
  /** Those that nobody waits for. */
  readonly #refreshes = new Map<string, Flight<unknown>>();
  readonly #failures = new Map<string, Failure>();

  constructor(
    remote: Remote<V>,
    tags: Tags,
    locker: () => Locker,
    lockPrefix: string,
    whenDown: CacheWhenDown,
    counters: Counters,
    events: Events,
  ) {
    this.#remote = remote;
    this.#tags = tags;
    this.#locker = locker;
    this.#lockPrefix = lockPrefix;
    this.#whenDown = whenDown;
    this.#counters = counters;
    this.#events = events;
  }

  /** The value, or what the loader makes it. */
  getOrSet<T extends V>(key: string, loader: Loader<T>, options: ResolvedLoad): Promise<T> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(aborted(signal));
    let flight = this.#flights.get(key) as Flight<T> | undefined;
    if (!flight) {
      flight = this.#start(this.#flights, key, options, (own) => this.#readOrLoad(key, loader, options, own));
    }
    return this.#join(key, flight, signal);
  }

  /** Loads anew in the background if the value is about to expire, and more likely the nearer that is (XFetch). */
  refreshEarly<T extends V>(
    key: string,
    { freshUntil, loadMs }: Read<V>,
    loader: Loader<T>,
    options: ResolvedLoad,
  ): void {
    // Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015.
    const ahead = -loadMs * options.earlyRefresh * Math.log(Math.random());
    if (performance.now() + ahead >= freshUntil) this.#refresh(key, loader, options);
  }

  /** What is being loaded for a key is not stored; resolves once nothing is being stored any more. */
  async void(key: string): Promise<void> {
    await Promise.all([this.#flights, this.#refreshes].map((flights) => this.#voidIn(flights, key)));
  }

  /** The same for all keys, or loads, that match. */
  async voidAll(matches: (key: string, tags: readonly string[]) => boolean): Promise<void> {
    const storing = [this.#flights, this.#refreshes].flatMap((flights) =>
      [...flights].filter(([key, { tags }]) => matches(key, tags)).map(([key]) => this.#voidIn(flights, key)),
    );
    await Promise.all(storing);
  }

  async #voidIn(flights: Map<string, Flight<unknown>>, key: string): Promise<void> {
    const flight = flights.get(key);
    if (!flight) return;
    flight.voided = true;
    flights.delete(key);
    await flight.storing?.catch(() => undefined);
  }

  #start<T>(
    flights: Map<string, Flight<unknown>>,
    key: string,
    { tags }: ResolvedLoad,
    run: (flight: Flight<T>) => Promise<T>,
  ): Flight<T> {
    const flight: Flight<T> = {
      controller: new AbortController(),
      tags,
      promise: undefined as unknown as Promise<T>,
      callers: 0,
      voided: false,
      storing: undefined,
    };
    flights.set(key, flight);
    flight.promise = run(flight).finally(() => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    // Everybody who waited may be gone.
    flight.promise.catch(() => undefined);
    return flight;
  }

  #join<T>(key: string, flight: Flight<T>, signal: AbortSignal | undefined): Promise<T> {
    flight.callers++;
    if (!signal) return flight.promise;
    return new Promise((resolve, reject) => {
      const stop = whenAborted(signal, () => {
        reject(aborted(signal));
        if (--flight.callers > 0) return;
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.controller.abort(aborted(signal));
      });
      flight.promise.then(resolve, reject).finally(stop);
    });
  }

  async #readOrLoad<T extends V>(key: string, loader: Loader<T>, options: ResolvedLoad, flight: Flight<T>): Promise<T> {
    let read: Read<V> | undefined;
    try {
      read = await this.#remote.read(key, options.graceMs > 0 || options.earlyRefresh > 0, options.timeoutMs);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      return this.#withoutRedis(key, loader, options, flight, error as Error);
    }
    if (read && performance.now() < read.freshUntil) {
      this.#counters.remoteHits++;
      if (options.earlyRefresh > 0) this.refreshEarly(key, read, loader, options);
      return this.#remote.present(read) as T;
    }
    if (read && options.graceMs > 0) {
      this.#counters.staleServes++;
      this.#refresh(key, loader, options);
      return this.#remote.present(read) as T;
    }
    this.#counters.misses++;
    return options.lock ? this.#loadAlone(key, loader, options, flight) : this.#load(key, loader, options, flight);
  }

  async #withoutRedis<T extends V>(
    key: string,
    loader: Loader<T>,
    { graceMs }: ResolvedLoad,
    flight: Flight<T>,
    error: Error,
  ): Promise<T> {
    const reserve = graceMs > 0 ? this.#remote.local?.reserve(key) : undefined;
    if (reserve) {
      this.#counters.staleServes++;
      return this.#remote.present(reserve) as T;
    }
    if (this.#whenDown === 'throw') throw error;
    this.#events.emit({ type: 'redis-down', key, error });
    return this.#call(key, loader, flight);
  }

  #call<T extends V>(key: string, loader: Loader<T>, flight: Flight<T>): T | Promise<T> {
    this.#counters.loads++;
    return loader({ key, signal: flight.controller.signal });
  }

  async #load<T extends V>(key: string, loader: Loader<T>, options: ResolvedLoad, flight: Flight<T>): Promise<T> {
    const { tags, ttlMs, negativeTtlMs, jitter, graceMs } = options;
    // Before the loader reads anything: what is removed by a tag while it reads must not stand.
    const longest = ttlMs === undefined ? undefined : Math.max(ttlMs, negativeTtlMs ?? 0) + graceMs;
    const versions = tags.length > 0 ? await this.#tags.versions(tags, longest) : undefined;
    const startedAt = performance.now();
    const value = await this.#call(key, loader, flight);
    if (value === undefined || flight.voided) return value;
    const meta: Meta = {
      ...(options.earlyRefresh > 0 && { d: Math.ceil(performance.now() - startedAt) }),
      ...(versions && { t: versions }),
    };
    const ttl = value === null && negativeTtlMs !== undefined ? negativeTtlMs : ttlMs;
    flight.storing = this.#remote.write(key, value, lifetimeMs(ttl, jitter), options, meta, options.timeoutMs);
    try {
      await flight.storing;
    } catch (error) {
      if (this.#whenDown === 'throw' || !isUnavailable(error)) throw error;
      this.#events.emit({ type: 'redis-down', key, error: error as Error });
    }
    return value;
  }

  // The one who loads writes, the others read: all who wait are told at once when it has stored the value.
  async #loadAlone<T extends V>(key: string, loader: Loader<T>, options: ResolvedLoad, flight: Flight<T>): Promise<T> {
    const lock = this.#locker().readWriteLock(this.#lockPrefix + key);
    const { signal } = flight.controller;
    const wait = { signal, autoRenew: true };
    for (let waitMs = 0; ; waitMs = Number.POSITIVE_INFINITY) {
      const alone = await lock.obtainWrite(LOCK_TTL_MS, waitMs, wait);
      if (alone) {
        try {
          return (await this.#readFresh<T>(key, options)) ?? (await this.#load(key, loader, options, flight));
        } finally {
          await alone.release();
        }
      }
      const told = await lock.obtainRead(LOCK_TTL_MS, Number.POSITIVE_INFINITY, { signal });
      const releasing = told?.release().catch(() => false);
      const value = await this.#readFresh<T>(key, options);
      await releasing;
      if (value !== undefined) return value;
      // Whoever loaded has failed: it is somebody else's turn, one after the other.
    }
  }

  async #readFresh<T extends V>(key: string, { timeoutMs }: ResolvedLoad): Promise<T | undefined> {
    const read = await this.#remote.read(key, false, timeoutMs);
    return read && performance.now() < read.freshUntil ? (this.#remote.present(read) as T) : undefined;
  }

  /** Loads while nobody waits for it, unless that is under way or failed just now. */
  #refresh<T extends V>(key: string, loader: Loader<T>, options: ResolvedLoad): void {
    const failure = this.#failures.get(key);
    if (this.#refreshes.has(key) || (failure && performance.now() < failure.until)) return;
    const flight = this.#start<T | undefined>(this.#refreshes, key, options, (own) =>
      options.lock
        ? this.#refreshAlone(key, loader, options, own as Flight<T>)
        : this.#load(key, loader, options, own as Flight<T>),
    );
    flight.promise.then(
      () => this.#failures.delete(key),
      (error: Error) => this.#refreshFailed(key, error, failure, options),
    );
  }

  async #refreshAlone<T extends V>(
    key: string,
    loader: Loader<T>,
    options: ResolvedLoad,
    flight: Flight<T>,
  ): Promise<T | undefined> {
    const lock = this.#locker().readWriteLock(this.#lockPrefix + key);
    const alone = await lock.obtainWrite(LOCK_TTL_MS, 0, { autoRenew: true });
    // Another process is at it.
    if (!alone) return undefined;
    try {
      return await this.#load(key, loader, options, flight);
    } finally {
      await alone.release();
    }
  }

  #refreshFailed(key: string, error: Error, before: Failure | undefined, { backoffMs }: ResolvedLoad): void {
    if (error instanceof ClosedError) return;
    const next = before ? Math.min(2 * before.backoffMs, MAX_BACKOFF_MS) : backoffMs;
    this.#failures.delete(key);
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size < MOST_FAILURES) break;
      this.#failures.delete(oldest);
    }
    this.#failures.set(key, { until: performance.now() + next, backoffMs: next });
    this.#events.emit({ type: 'refresh-failed', key, error });
  }
}

/** @throws {InvalidArgumentError} unless it is a function. */
export function checkLoader(loader: unknown): void {
  if (typeof loader !== 'function') throw new InvalidArgumentError('getOrSet needs a function that loads the value');
}
