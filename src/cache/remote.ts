import { RESP_TYPES } from 'redis';
import type { Codec } from './codec.js';
import type { Events } from './events.js';
import type { LocalTier, Read } from './local-tier.js';
import type { ResolvedPut } from './options.js';
import { type CacheStore, within } from './store.js';
import { decode, isBare, type Meta, part, type Stored, store } from './stored.js';
import type { Tags } from './tags.js';

/** What PTTL says of a key without an expiry, and of one that is not there. */
const NO_EXPIRY = -1;

/** The values in Redis. What is read from it goes to the local tier too, if there is one. */
export class Remote<T> {
  readonly local: LocalTier<T> | undefined;
  readonly #store: CacheStore;
  readonly #codec: Codec<T>;
  readonly #tags: Tags;
  readonly #prefix: string;
  readonly #events: Events;

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
    this.#tags = tags;
    this.#prefix = prefix;
    this.local = local;
    this.#events = events;
  }

  /** The key in Redis. */
  keyOf(key: string): string {
    return this.#prefix + key;
  }

  /** The value, fresh or stale. Who asks for `ttl` is told how long it lives, which costs no further round trip. */
  async read(key: string, ttl: boolean, timeoutMs?: number): Promise<Read<T> | undefined> {
    const fetch = this.local?.begin(key);
    let read: Read<T> | undefined;
    try {
      read = await this.#fetch(key, ttl || fetch !== undefined, timeoutMs);
      return read;
    } finally {
      this.local?.end(key, fetch, read);
    }
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
    if (isBare(stored)) return this.#decode(key, stored);
    const read = await this.#decoded(key, stored, sentAt, undefined, undefined);
    return read && performance.now() < read.freshUntil ? read.value : undefined;
  }

  #decode(key: string, data: Stored): T | undefined {
    try {
      return decode(this.#codec, data);
    } catch (error) {
      this.#events.emit({ type: 'undecodable', key, error: error as Error });
      return undefined;
    }
  }

  /** Removes the value and gives it, if it was fresh. */
  async take(key: string): Promise<Read<T> | undefined> {
    const name = this.keyOf(key);
    const sentAt = performance.now();
    const [ttl, stored] = (await this.#store.multi().pTTL(name).getDel(name).exec()) as unknown as [
      number,
      Stored | null,
    ];
    return stored === null ? undefined : this.#decoded(key, stored, sentAt, ttl, undefined);
  }

  /** @param meta what is stored beside the value, but for its grace. */
  async write(
    key: string,
    value: T,
    lifetime: number | undefined,
    { graceMs }: ResolvedPut,
    meta: Meta,
    timeoutMs?: number,
  ): Promise<void> {
    const writer = within(this.#store, timeoutMs);
    const stays = lifetime === undefined;
    const data = store(this.#codec, value, graceMs > 0 && !stays ? { ...meta, g: graceMs } : meta);
    this.local?.evict(key);
    try {
      await writer.set(this.keyOf(key), data, stays ? {} : { PX: lifetime + graceMs });
    } finally {
      // Whoever read meanwhile on another lane may have read what was there before.
      this.local?.evict(key);
    }
  }

  async #fetch(key: string, withTtl: boolean, timeoutMs: number | undefined): Promise<Read<T> | undefined> {
    const reader = within(this.#store, timeoutMs);
    const name = this.keyOf(key);
    const sentAt = performance.now();
    const reading = reader.get(name) as Promise<Stored | null>;
    if (!withTtl) {
      const stored = await reading;
      return stored === null ? undefined : this.#decoded(key, stored, sentAt, undefined, timeoutMs);
    }
    const [stored, ttl] = await Promise.all([reading, reader.pTTL(name)]);
    return stored === null ? undefined : this.#decoded(key, stored, sentAt, ttl, timeoutMs);
  }

  async #decoded(
    key: string,
    stored: Stored,
    sentAt: number,
    knownTtl: number | undefined,
    timeoutMs: number | undefined,
  ): Promise<Read<T> | undefined> {
    let meta: Meta;
    let data: Stored;
    let value: T;
    try {
      ({ meta, data } = part(stored));
      value = decode(this.#codec, data);
    } catch (error) {
      this.#events.emit({ type: 'undecodable', key, error: error as Error });
      return undefined;
    }
    if (meta.t && !(await this.#tags.stand(meta.t, timeoutMs))) return undefined;
    const grace = meta.g ?? 0;
    const ttl = knownTtl ?? (grace > 0 ? await within(this.#store, timeoutMs).pTTL(this.keyOf(key)) : NO_EXPIRY);
    // It expired between the two replies.
    if (ttl < NO_EXPIRY) return undefined;
    const staleUntil = ttl === NO_EXPIRY ? Number.POSITIVE_INFINITY : sentAt + ttl;
    return {
      value,
      data,
      bytes: Buffer.byteLength(data),
      freshUntil: staleUntil - grace,
      staleUntil,
      loadMs: meta.d ?? 0,
      tags: meta.t ? Object.keys(meta.t) : [],
    };
  }
}
