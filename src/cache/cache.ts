import type { Duration } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { checkedEntries, checkKey, checkKeys, checkLoader, checkPattern, checkTag, checkValue } from './arguments.js';
import { Events } from './events.js';
import { escapeGlob, globMatcher } from './glob.js';
import { LoadLocks } from './load-locks.js';
import { type Loader, Loads } from './loads.js';
import { type KeySpace, LocalTier, type Read } from './local-tier.js';
import { MARK_PREFIX } from './marks.js';
import {
  type CacheOptions,
  type GetOrSetOptions,
  lifetimeMs,
  type PutOptions,
  type ResolvedCache,
  type ResolvedPut,
  resolveCache,
  resolveLoad,
  resolvePut,
} from './options.js';
import { Remote } from './remote.js';
import { type CacheStats, Counters } from './stats.js';
import type { CacheStore } from './store.js';
import { Tags } from './tags.js';

/** Keys that one command removes at most. */
const BATCH = 500;
/** How many keys Redis looks at for one SCAN: a hint. */
const SCAN_COUNT = 1_000;

/** Values in Redis, and if asked for in this process too. Made by `redis.getCache()`. */
export class Cache<V = unknown> {
  readonly #options: ResolvedCache<V>;
  readonly #store: CacheStore;
  readonly #keys: KeySpace;
  readonly #counters = new Counters();
  readonly #local: LocalTier<V> | undefined;
  readonly #tags: Tags;
  readonly #remote: Remote<V>;
  readonly #loads: Loads<V>;

  /** @internal */
  constructor(store: CacheStore, options: CacheOptions<V>) {
    this.#options = resolveCache(options);
    this.#store = store;
    const { prefix, codec, local, whenDown, onEvent } = this.#options;
    const events = new Events(onEvent);
    this.#keys = { prefix: prefix === '' ? '' : `${prefix}#`, tagPrefix: `lagoon:tags:${prefix}#` };
    this.#local =
      local && new LocalTier((...args) => store.track(...args), local, codec, this.#keys, this.#counters, events);
    this.#tags = new Tags(store, this.#keys.tagPrefix);
    this.#remote = new Remote(store, codec, this.#tags, this.#keys.prefix, this.#local, events);
    const locks = new LoadLocks(store, this.#keys.prefix);
    this.#loads = new Loads(this.#remote, this.#tags, locks, whenDown, this.#counters, events);
  }

  /** What the cache's keys begin with; `''` if with nothing. */
  prefix(): string {
    return this.#options.prefix;
  }

  /** What happened so far. */
  stats(): CacheStats {
    const { localHits, remoteHits, misses, loads, staleServes, evictions } = this.#counters;
    const { items = 0, bytes = 0 } = this.#local ?? {};
    return { localHits, remoteHits, misses, loads, staleServes, evictions, items, bytes };
  }

  /**
   * Stores a value in place of what was there.
   *
   * @param options its ttl, or more; default: the cache's ttl.
   * @throws {InvalidArgumentError} for `undefined`, which would be no value, and for what can never be right, an unknown option too.
   */
  async put(key: string, value: V & Storable, options?: Duration | PutOptions): Promise<void> {
    checkKey(key);
    checkValue(value);
    await this.#put(key, value, resolvePut('put', options, this.#options));
  }

  /** Stores values, all of them at once and with the same options. */
  async putMany(
    entries: Iterable<readonly [key: string, value: V & Storable]>,
    options?: Duration | PutOptions,
  ): Promise<void> {
    const all = checkedEntries(entries);
    const resolved = resolvePut('putMany', options, this.#options);
    await Promise.all(all.map(([key, value]) => this.#put(key, value, resolved)));
  }

  /** The value; `undefined` if there is none. */
  get<T extends V = V>(key: string): Promise<T | undefined> {
    const hit = this.#local?.get(key, performance.now());
    if (hit !== undefined) {
      this.#counters.localHits++;
      return Promise.resolve(this.#remote.present(hit) as T);
    }
    return this.#getRemote(key);
  }

  /** The values in the order of their keys; `undefined` where there is none. One round trip. */
  async getMany<T extends V = V>(keys: readonly string[]): Promise<(T | undefined)[]> {
    checkKeys(keys, 'getMany');
    return Promise.all(keys.map((key) => this.get<T>(key)));
  }

  /** Whether there is a value. */
  async has(key: string): Promise<boolean> {
    return (await this.get(key)) !== undefined;
  }

  /** The value, which is removed. */
  async getDel<T extends V = V>(key: string): Promise<T | undefined> {
    checkKey(key);
    return this.#counted(await this.#change([key], () => this.#remote.take(key))) as T | undefined;
  }

  /**
   * Removes a key, or several: these and no others, whatever characters they hold. What is being loaded for them is not stored, in
   * whichever process. Several are one command, in a cluster one for each slot.
   *
   * @returns how many were there.
   */
  async remove(keys: string | readonly string[]): Promise<number> {
    if (Array.isArray(keys)) {
      checkKeys(keys, 'remove');
      return this.#change(keys, () => this.#remote.removeAll(keys));
    }
    const key = keys as string;
    checkKey(key);
    return this.#change([key], () => this.#remote.remove(key));
  }

  /**
   * Removes every key that a glob-style pattern of Redis matches (`*`, `?`, `[a-z]`). What is being loaded for them is not stored, in
   * whichever process (in a cluster: in this one). Looks at every key of the database. Put text that is to match itself only, user
   * input above all, through {@link escapeGlob}; a key of which all is known is for `remove`.
   *
   * @returns how many were there.
   */
  async removeByPattern(pattern: string): Promise<number> {
    checkPattern(pattern);
    return this.#removeMatching(pattern);
  }

  /** Voids every value that was stored with a tag, in all processes. One command, however many they are. */
  async removeByTag(tag: string): Promise<void> {
    checkTag(tag);
    await this.#loads.voidAll((_, tags) => tags.includes(tag));
    await this.#tags.remove(tag);
    await this.#loads.voidAll((_, tags) => tags.includes(tag));
    this.#local?.evictTagged(tag);
  }

  /** The keys that a glob-style pattern of Redis matches, each once, without the prefix; those of void values too. */
  async keys(pattern = '*'): Promise<string[]> {
    checkPattern(pattern);
    const found = new Set<string>();
    for await (const batch of this.#scan(pattern)) for (const key of batch) found.add(key);
    return [...found];
  }

  /**
   * Removes every key of the cache.
   *
   * @returns how many there were.
   * @throws {InvalidArgumentError} if the cache has no prefix: it would empty the database.
   */
  async clear(): Promise<number> {
    if (this.#options.prefix === '') {
      throw new InvalidArgumentError(
        "A cache without a prefix shares its keys with others; to remove all, say removeByPattern('*')",
      );
    }
    return this.#removeMatching('*');
  }

  /**
   * The value; if there is none, what the loader gives, which is stored. `undefined` is not stored.
   *
   * However many ask for a key at once, one loader runs in this process, and with `lock` one in all processes.
   *
   * @throws what the loader throws, unless a stale value serves (`grace`). What `get` throws, unless the cache has `whenDown: 'load'`.
   * @throws {LoadTimeoutError} if the loader takes longer than `loadTimeout`.
   * @throws {RecursiveLoadError} if the loader of the key asks for it, itself or through other loaders.
   */
  getOrSet<T extends V>(key: string, loader: Loader<T>, options: GetOrSetOptions = {}): Promise<T> {
    const hit = this.#local?.get(key, performance.now());
    try {
      if (hit !== undefined) {
        this.#loads.refuseRecursion(key);
        this.#counters.localHits++;
        if (options?.earlyRefresh) {
          this.#loads.refreshEarly(key, hit, loader, resolveLoad(options, this.#options));
        }
        return Promise.resolve(this.#remote.present(hit) as T);
      }
      checkKey(key);
      checkLoader(loader);
      return this.#loads.getOrSet(key, loader, resolveLoad(options, this.#options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Gives up the connection of the local tier; the cache works on without it. */
  close(): void {
    this.#local?.stop();
  }

  async #put(key: string, value: V, put: ResolvedPut): Promise<void> {
    const { tags, ttlMs, jitter, graceMs } = put;
    const lifetime = lifetimeMs(ttlMs, jitter);
    const meta = tags.length > 0 ? { t: await this.#tags.versions(tags, lifetime && lifetime + graceMs) } : {};
    await this.#change([key], () => this.#remote.write(key, value, lifetime, put, meta));
  }

  // What is being loaded or read when a key changes must not come after the change, whichever way it was overtaken.
  async #change<R>(keys: readonly string[], work: () => Promise<R>): Promise<R> {
    await this.#loads.void(keys);
    for (const key of keys) this.#local?.evict(key);
    try {
      return await work();
    } finally {
      void this.#loads.void(keys);
      for (const key of keys) this.#local?.evict(key);
    }
  }

  async #getRemote<T extends V>(key: string): Promise<T | undefined> {
    checkKey(key);
    if (this.#local) return this.#counted(await this.#remote.read(key, false)) as T | undefined;
    const value = await this.#remote.value(key);
    if (value === undefined) this.#counters.misses++;
    else this.#counters.remoteHits++;
    return value as T | undefined;
  }

  #counted(read: Read<V> | undefined): V | undefined {
    if (read && performance.now() < read.freshUntil) {
      this.#counters.remoteHits++;
      return this.#remote.present(read);
    }
    this.#counters.misses++;
    return undefined;
  }

  async #removeMatching(pattern: string): Promise<number> {
    const matches = globMatcher(pattern);
    await this.#loads.voidAll((key) => matches(key));
    await this.#remote.removing(pattern);
    let removed = 0;
    for await (const keys of this.#scan(pattern)) {
      for (let i = 0; i < keys.length; i += BATCH) {
        removed += await this.#remote.unlink(keys.slice(i, i + BATCH));
      }
      for (const key of keys) this.#local?.evict(key);
    }
    await this.#loads.voidAll((key) => matches(key));
    return removed;
  }

  /** Batches of keys, which may come more than once. */
  async *#scan(pattern: string): AsyncGenerator<string[]> {
    const own = this.#keys.prefix;
    for await (const names of this.#store.scanIterator({ MATCH: escapeGlob(own) + pattern, COUNT: SCAN_COUNT })) {
      const keys = names.map((name) => name.slice(own.length));
      // Without a prefix the marks are among them, and must outlast what they mark.
      yield this.#keys.prefix === '' ? keys.filter((key) => !key.startsWith(MARK_PREFIX)) : keys;
    }
  }
}

/** What a cache can hold: anything but `undefined`. */
export type Storable = NonNullable<unknown> | null;
