import { RESP_TYPES } from 'redis';
import type { Codec } from './codec.js';
import { Decoder } from './decoder.js';
import type { Events } from './events.js';
import { type Loaded, type Seen, storeUnlessChanged, Watch } from './loaded.js';
import type { LocalTier, Read } from './local-tier.js';
import { MARK_MS, type MarkNames, type Marks, RemovalMarks } from './marks.js';
import type { ResolvedLoad, ResolvedPut } from './options.js';
import { type CacheStore, within } from './store.js';
import { isBare, type Meta, type Stored, store } from './stored.js';
import type { Tags } from './tags.js';

/** What was read, and what to compare with before something is stored in its place. */
export interface Look<T> {
  readonly read: Read<T> | undefined;
  readonly seen: Seen;
}

/** The values in Redis. What is read from it goes to the local tier too, if there is one. */
export class Remote<T> {
  readonly local: LocalTier<T> | undefined;
  readonly #store: CacheStore;
  readonly #codec: Codec<T>;
  readonly #decoder: Decoder<T>;
  readonly #prefix: string;
  readonly #marks: RemovalMarks;
  readonly #watch: Watch;

  constructor(
    store: CacheStore,
    codec: Codec<T>,
    tags: Tags,
    prefix: string,
    local: LocalTier<T> | undefined,
    events: Events,
  ) {
    this.#store = codec.binary
      ? (store.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }) as unknown as CacheStore)
      : store;
    this.#codec = codec;
    this.#decoder = new Decoder(this.#store, codec, tags, (key) => this.keyOf(key), events);
    this.#prefix = prefix;
    // Of the store as it was given: marks are text.
    this.#marks = new RemovalMarks(store, prefix);
    this.#watch = new Watch(this.#marks, (work) => store.inBackground(work));
    this.local = local;
  }

  /** The key in Redis. */
  keyOf(key: string): string {
    return this.#prefix + key;
  }

  /** The value, fresh or stale. Who asks for `ttl` is told how long it lives, which costs no further round trip. */
  async read(key: string, ttl: boolean, timeoutMs?: number): Promise<Read<T> | undefined> {
    return (await this.#look(key, ttl, timeoutMs, undefined)).read;
  }

  /** The same, and what a load must have seen before it begins, in the same round trip. */
  look(key: string, ttl: boolean, timeoutMs?: number): Promise<Look<T>> {
    return this.#look(key, ttl, timeoutMs, this.#marks.namesOf(key)) as Promise<Look<T>>;
  }

  /** To be called when a load begins; the function that it gives, when it is over: see {@link Watch.begin}. */
  watch(key: string, seen: Seen): () => Seen | undefined {
    return this.#watch.begin(key, seen);
  }

  /** What callers get of what was read. */
  present(read: Read<T>): T {
    return this.local ? this.local.present(read) : read.value;
  }

  /** The value, if it is fresh: for a cache without a local tier, in fewer steps than {@link read}. */
  async value(key: string): Promise<T | undefined> {
    const sentAt = performance.now();
    const stored = (await this.#store.get(this.keyOf(key))) as Stored | null;
    if (stored === null) return undefined;
    if (isBare(stored)) return this.#decoder.bare(key, stored);
    const read = await this.#decoder.read(key, stored, sentAt, undefined, undefined);
    return read && performance.now() < read.freshUntil ? read.value : undefined;
  }

  /** Removes the value and gives it, if it was fresh. */
  async take(key: string): Promise<Read<T> | undefined> {
    const name = this.keyOf(key);
    const sentAt = performance.now();
    const { own } = this.#marks.namesOf(key);
    const taking = this.#store.multi().pTTL(name).getDel(name).set(own, this.#marks.next(), { PX: MARK_MS }).exec();
    const [ttl, stored] = (await taking) as unknown as [number, Stored | null];
    return stored === null ? undefined : this.#decoder.read(key, stored, sentAt, ttl, undefined);
  }

  /** Removes the value; how many there were. */
  remove(key: string): Promise<number> {
    return this.#marks.remove(key);
  }

  /** To be called before all keys that match are removed. */
  removing(pattern: string): Promise<void> {
    return this.#marks.removing(pattern);
  }

  /** @param meta what is stored beside the value, but for its grace. */
  async write(
    key: string,
    value: T,
    lifetime: number | undefined,
    { graceMs }: ResolvedPut,
    meta: Meta,
  ): Promise<void> {
    const { name, data, lastsMs } = this.#encode(key, value, lifetime, graceMs, meta);
    this.local?.evict(key);
    try {
      await this.#store.set(name, data, lastsMs === undefined ? {} : { PX: lastsMs });
    } finally {
      // Whoever read meanwhile on another lane may have read what was there before.
      this.local?.evict(key);
    }
  }

  /**
   * Stores what was loaded, unless the key was removed or written since `seen`.
   *
   * @param isVoid whether it must not be stored any more.
   * @param atOnce whether what is sent next must be executed after it.
   */
  async writeLoaded(
    key: string,
    value: T,
    lifetime: number | undefined,
    { graceMs, timeoutMs }: ResolvedLoad,
    meta: Meta,
    seen: Seen,
    isVoid: () => boolean,
    atOnce: boolean,
  ): Promise<void> {
    const writer = within(this.#store, timeoutMs);
    const loaded = this.#encode(key, value, lifetime, graceMs, meta);
    const { stored } = seen;
    let marks: Marks | undefined = seen.marks;
    this.local?.evict(key);
    try {
      while (marks && !isVoid()) {
        marks = await storeUnlessChanged(writer, key, loaded, { stored, marks }, this.#marks.namesOf(key), atOnce);
      }
    } finally {
      this.local?.evict(key);
    }
  }

  #encode(key: string, value: T, lifetime: number | undefined, graceMs: number, meta: Meta): Loaded {
    const stays = lifetime === undefined;
    const data = store(this.#codec, value, graceMs > 0 && !stays ? { ...meta, g: graceMs } : meta);
    return { name: this.keyOf(key), data, lastsMs: stays ? undefined : lifetime + graceMs };
  }

  async #look(
    key: string,
    withTtl: boolean,
    timeoutMs: number | undefined,
    marks: MarkNames | undefined,
  ): Promise<{ read: Read<T> | undefined; seen: Seen | undefined }> {
    const fetch = this.local?.begin(key);
    let read: Read<T> | undefined;
    try {
      const reader = within(this.#store, timeoutMs);
      const name = this.keyOf(key);
      const sentAt = performance.now();
      const reading = marks ? reader.mGet([name, marks.own, marks.all]) : reader.get(name);
      const left = withTtl || fetch ? reader.pTTL(name) : undefined;
      const [said, ttl] = left ? await Promise.all([reading, left]) : [await reading, undefined];
      const [stored = null, own = null, all = null] = marks ? (said as (Stored | null)[]) : [said as Stored | null];
      const decoded = stored === null ? undefined : this.#decoder.read(key, stored, sentAt, ttl, timeoutMs);
      // Most need no further question, and no further step.
      read = decoded instanceof Promise ? await decoded : decoded;
      return { read, seen: marks && { stored, marks: { own, all, askedAt: sentAt } } };
    } finally {
      this.local?.end(key, fetch, read);
    }
  }
}
