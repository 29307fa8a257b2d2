import { bindListeners } from '../async/bound-listeners.js';
import { ClosedError, isUnavailable } from '../errors.js';
import type { Lock } from '../lock/lock.js';
import { aborted } from '../pool/abort.js';
import { Backoffs } from './backoffs.js';
import { LoadTimeoutError } from './errors.js';
import type { Events } from './events.js';
import { type Flight, Flights } from './flights.js';
import { currentLoad, leadsTo, refuseRecursion } from './load-contexts.js';
import { giveBack, type LoadLocks } from './load-locks.js';
import type { Seen } from './loaded.js';
import { callLoader } from './loader-call.js';
import type { Read } from './local-tier.js';
import { type CacheWhenDown, lifetimeMs, type ResolvedLoad } from './options.js';
import type { Remote } from './remote.js';
import type { Counters } from './stats.js';
import type { Meta } from './stored.js';
import type { Tags } from './tags.js';

/** What a loader is given. */
export interface LoadContext {
  readonly key: string;
  /** Aborts when nobody waits for the value any more, and at the end of `loadTimeout`. */
  readonly signal: AbortSignal;
}

export type Loader<T> = (context: LoadContext) => T | Promise<T>;

/** When a value expires is known with this precision: one that expires later is another. */
const SAME_MS = 50;
/** How long a loader may take in the background, unless it is said. */
const REFRESH_TIMEOUT_MS = 30_000;
/** Refreshes under way at most, and characters of their keys: while the loaders hang, every key that is asked for adds one. */
const MOST_REFRESHES = 10_000;
const MOST_REFRESH_CHARACTERS = 8 * 1024 * 1024;

/** What a cache reads or else loads: one at a time per key in this process, and with a lock in all processes. */
export class Loads<V> {
  readonly #remote: Remote<V>;
  readonly #tags: Tags;
  readonly #locks: LoadLocks;
  readonly #whenDown: CacheWhenDown;
  readonly #counters: Counters;
  readonly #events: Events;
  readonly #flights = new Flights();
  /** Those in the background, which callers wait for only once the older value can serve no longer. */
  readonly #refreshes = new Flights();
  /** When loaders that failed while a stale value served are called again. */
  readonly #backoffs = new Backoffs();

  constructor(
    remote: Remote<V>,
    tags: Tags,
    locks: LoadLocks,
    whenDown: CacheWhenDown,
    counters: Counters,
    events: Events,
  ) {
    this.#remote = remote;
    this.#tags = tags;
    this.#locks = locks;
    this.#whenDown = whenDown;
    this.#counters = counters;
    this.#events = events;
  }

  /** The value, or what the loader makes it. */
  getOrSet<T extends V>(key: string, loader: Loader<T>, options: ResolvedLoad): Promise<T> {
    const { signal, tags } = options;
    if (signal?.aborted) return Promise.reject(aborted(signal));
    const lock = options.lock ? this.#locks.idOf(key) : undefined;
    const parent = currentLoad();
    let flight = this.#flights.get<T>(key);
    if (parent) refuseRecursion(parent, { owner: this, key, lock }, flight);
    flight ??= this.#flights.start<T>({ owner: this, key, lock, background: false, tags, parent }, (own) =>
      this.#remote.holdOpen(() => this.#readOrLoad(key, loader, options, own)),
    );
    return this.#flights.join(flight, signal, parent);
  }

  /**
   * For what is served without waiting.
   *
   * @throws {RecursiveLoadError} if the loader of a key asks for that key.
   */
  refuseRecursion(key: string): void {
    const load = currentLoad();
    if (load) refuseRecursion(load, { owner: this, key, lock: undefined }, undefined);
  }

  /** Loads anew in the background if the value is about to expire, and more likely the nearer that is (XFetch). */
  refreshEarly<T extends V>(
    key: string,
    { freshUntil, loadMs }: Read<V>,
    loader: Loader<T>,
    options: ResolvedLoad,
    seen?: Seen,
  ): void {
    // Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015.
    const ahead = -loadMs * options.earlyRefresh * Math.log(Math.random());
    if (performance.now() + ahead >= freshUntil) this.#refresh(key, loader, options, freshUntil, seen);
  }

  /** What is being loaded for some keys is not stored; resolves once nothing is being stored any more. */
  async void(keys: readonly string[]): Promise<void> {
    const storing = keys.flatMap((key) => [this.#flights.void(key), this.#refreshes.void(key)]);
    if (storing.some((one) => one)) await Promise.all(storing);
  }

  /** The same for all keys, or loads, that match. */
  async voidAll(matches: (key: string, tags: readonly string[]) => boolean): Promise<void> {
    await Promise.all([...this.#flights.voidAll(matches), ...this.#refreshes.voidAll(matches)]);
  }

  async #readOrLoad<T extends V>(key: string, loader: Loader<T>, options: ResolvedLoad, flight: Flight<T>): Promise<T> {
    const withTtl = options.graceMs > 0 || options.earlyRefresh > 0;
    let read: Read<V> | undefined;
    let seen: Seen | undefined;
    try {
      // With a lock it is what was seen under it that counts.
      if (options.lock) read = await this.#remote.read(key, withTtl, options.timeoutMs);
      else ({ read, seen } = await this.#remote.look(key, withTtl, options.timeoutMs));
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      return this.#withoutRedis(key, loader, options, flight, error as Error);
    }
    if (read && performance.now() < read.freshUntil) {
      this.#counters.remoteHits++;
      if (options.earlyRefresh > 0) this.refreshEarly(key, read, loader, options, seen);
      return this.#remote.present(read) as T;
    }
    if (read && options.graceMs > 0) {
      this.#counters.staleServes++;
      if (!flight.refreshed) this.#refresh(key, loader, options, read.freshUntil, seen);
      return this.#remote.present(read) as T;
    }
    this.#counters.misses++;
    const refreshed = await this.#refreshed(key, flight);
    if (refreshed !== undefined) return refreshed as T;
    const value = await (seen
      ? this.#load(key, loader, options, flight, seen)
      : this.#loadAlone(key, loader, options, flight));
    this.#backoffs.succeeded(key);
    return value;
  }

  /** What a refresh gives that is under way, if there is one. It aborts once all who wait for it have ended their wait. */
  async #refreshed(key: string, flight: Flight<unknown>): Promise<unknown> {
    const refresh = this.#refreshes.get(key);
    // Its loader may wait for the loader that asks here.
    if (!refresh || leadsTo(refresh, flight)) return undefined;
    try {
      return await this.#refreshes.join(refresh, flight.controller.signal, flight);
    } catch (error) {
      // Who has waited for a loader that hangs calls another.
      if (error instanceof LoadTimeoutError) return undefined;
      // That it could not ask for its lock is no reason not to load where Redis is not needed for that.
      return this.#unlessDown(key, error as Error);
    }
  }

  async #withoutRedis<T extends V>(
    key: string,
    loader: Loader<T>,
    options: ResolvedLoad,
    flight: Flight<T>,
    error: Error,
  ): Promise<T> {
    const reserve = options.graceMs > 0 ? this.#remote.local?.reserve(key) : undefined;
    if (reserve) {
      this.#counters.staleServes++;
      return this.#remote.present(reserve) as T;
    }
    this.#unlessDown(key, error);
    const value = await this.#call(key, loader, options, flight);
    this.#backoffs.succeeded(key);
    return value;
  }

  #call<T extends V>(
    key: string,
    loader: Loader<T>,
    { loadTimeoutMs }: ResolvedLoad,
    flight: Flight<T>,
  ): T | Promise<T> {
    const { signal } = flight.controller;
    // Nobody waits for it any more.
    if (signal.aborted) throw signal.reason;
    this.#counters.loads++;
    const context = {
      key,
      // Most loaders do not ask for it.
      get signal() {
        return bindListeners(signal, "A listener of a loader's signal");
      },
    };
    const load = () => loader(context);
    return flight.background
      ? callLoader(flight, this.#refreshes, load, loadTimeoutMs ?? REFRESH_TIMEOUT_MS)
      : callLoader(flight, this.#flights, load, loadTimeoutMs);
  }

  /** @param sent called when storing the value was sent; not if there is nothing to store. */
  async #load<T extends V>(
    key: string,
    loader: Loader<T>,
    options: ResolvedLoad,
    flight: Flight<T>,
    before: Seen,
    sent?: () => void,
  ): Promise<T> {
    const { ttlMs, negativeTtlMs, jitter } = options;
    // Before the loader reads anything: what is removed by a tag while it reads must not stand.
    const versions = await this.#tagVersions(key, options);
    const startedAt = performance.now();
    const endWatch = this.#remote.watch(key, before);
    let value: T;
    let seen: Seen | undefined;
    try {
      value = await this.#call(key, loader, options, flight);
    } finally {
      seen = endWatch();
    }
    if (value === undefined || flight.voided || versions === 'unknown' || !seen) return value;
    const meta: Meta = {
      ...(options.earlyRefresh > 0 && { d: Math.ceil(performance.now() - startedAt) }),
      ...(versions && { t: versions }),
    };
    const ttl = value === null && negativeTtlMs !== undefined ? negativeTtlMs : ttlMs;
    const lifetime = lifetimeMs(ttl, jitter);
    const isVoid = () => flight.voided;
    flight.storing = this.#remote.writeLoaded(key, value, lifetime, options, meta, seen, isVoid, sent !== undefined);
    sent?.();
    try {
      await flight.storing;
    } catch (error) {
      this.#unlessDown(key, error as Error);
    }
    return value;
  }

  async #tagVersions(
    key: string,
    { tags, ttlMs, negativeTtlMs, graceMs, timeoutMs }: ResolvedLoad,
  ): Promise<Record<string, string> | 'unknown' | undefined> {
    if (tags.length === 0) return undefined;
    const longest = ttlMs === undefined ? undefined : Math.max(ttlMs, negativeTtlMs ?? 0) + graceMs;
    try {
      return await this.#tags.versions(tags, longest, timeoutMs);
    } catch (error) {
      this.#unlessDown(key, error as Error);
      return 'unknown';
    }
  }

  /** Tells that Redis is away; throws the error, if it is another or if the cache must not do without Redis. */
  #unlessDown(key: string, error: Error): void {
    if (this.#whenDown === 'throw' || !isUnavailable(error)) throw error;
    this.#events.emit({ type: 'redis-down', key, error });
  }

  async #loadAlone<T extends V>(key: string, loader: Loader<T>, options: ResolvedLoad, flight: Flight<T>): Promise<T> {
    const { signal } = flight.controller;
    const { timeoutMs } = options;
    const look = () => this.#remote.look(key, false, timeoutMs);
    for (let inTurn = false; ; inTurn = true) {
      let lock: Lock | null;
      let seen: Seen;
      let read: Read<V> | undefined;
      try {
        [lock, { read, seen }] = await this.#locks.obtainOrRead(key, { timeoutMs, signal, inTurn }, look, isFresh);
      } catch (error) {
        this.#unlessDown(key, error as Error);
        return this.#call(key, loader, options, flight);
      }
      if (read && isFresh({ read })) {
        if (lock) giveBack(lock);
        return this.#remote.present(read) as T;
      }
      // Whoever had the lock failed, or takes long.
      if (!lock) continue;
      const alone = lock;
      try {
        const sent = this.#locks.inOrder ? () => giveBack(alone) : undefined;
        return await this.#load(key, loader, options, flight, seen, sent);
      } finally {
        giveBack(alone);
      }
    }
  }

  /** Loads in the background, unless that is under way or failed just now. `freshUntil`: of the value that serves. */
  #refresh<T extends V>(
    key: string,
    loader: Loader<T>,
    options: ResolvedLoad,
    freshUntil: number,
    seen: Seen | undefined,
  ): void {
    if (this.#refreshes.get(key) || this.#backoffs.isWaiting(key)) return;
    if (this.#refreshes.size >= MOST_REFRESHES || this.#refreshes.keyLength >= MOST_REFRESH_CHARACTERS) return;
    const refresh = (own: Flight<T>) => {
      if (options.lock) return this.#refreshAlone(key, loader, options, own, freshUntil);
      if (seen) return this.#load(key, loader, options, own, seen);
      return this.#refreshUnlessDone(key, loader, options, own, freshUntil);
    };
    const lock = options.lock ? this.#locks.idOf(key) : undefined;
    // No parent: the loader that asked has the older value, and does not wait for this one.
    const plan = { owner: this, key, lock, background: true, tags: options.tags, parent: undefined };
    const flight = this.#refreshes.start<T | undefined>(plan, async (own) => {
      const value = await this.#remote.holdOpen(async () => refresh(own as Flight<T>));
      const reading = this.#flights.get(key);
      if (reading) reading.refreshed = true;
      return value;
    });
    flight.promise.then(
      () => {
        // Else another process is at it, and nothing is known of its loader yet.
        if (flight.called) this.#backoffs.succeeded(key);
      },
      (error: Error) => this.#refreshFailed(flight, error, options),
    );
  }

  async #refreshAlone<T extends V>(
    key: string,
    loader: Loader<T>,
    options: ResolvedLoad,
    flight: Flight<T>,
    freshUntil: number,
  ): Promise<T | undefined> {
    const alone = await this.#locks.tryOnce(key);
    // Another process is at it.
    if (!alone) return undefined;
    try {
      return await this.#refreshUnlessDone(key, loader, options, flight, freshUntil);
    } finally {
      giveBack(alone);
    }
  }

  /** Loads, unless another process has refreshed the value. */
  async #refreshUnlessDone<T extends V>(
    key: string,
    loader: Loader<T>,
    options: ResolvedLoad,
    flight: Flight<T>,
    freshUntil: number,
  ): Promise<T | undefined> {
    const { read, seen } = await this.#remote.look(key, true, options.timeoutMs);
    if (read && read.freshUntil > Math.max(performance.now(), freshUntil + SAME_MS)) {
      this.#backoffs.succeeded(key);
      return undefined;
    }
    return this.#load(key, loader, options, flight, seen);
  }

  #refreshFailed({ key, called, controller }: Flight<unknown>, error: Error, { backoffMs }: ResolvedLoad): void {
    if (error instanceof ClosedError) return;
    // Ended by those who waited for it, which is no fault of the loader.
    const isUnwanted = error === controller.signal.reason && !(error instanceof LoadTimeoutError);
    if (!called) this.#backoffs.notCalled(key, backoffMs);
    else if (!isUnwanted) this.#backoffs.failed(key, backoffMs);
    this.#events.emit({ type: 'refresh-failed', key, error });
  }
}

function isFresh({ read }: { readonly read: Read<unknown> | undefined }): boolean {
  return read !== undefined && performance.now() < read.freshUntil;
}
