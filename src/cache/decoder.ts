import type { Codec } from './codec.js';
import type { Events } from './events.js';
import type { Read } from './local-tier.js';
import { type CacheStore, within } from './store.js';
import { decode, type Meta, part, type Stored } from './stored.js';
import type { Tags } from './tags.js';

/** What PTTL says of a key without an expiry, and of one that is not there. */
const NO_EXPIRY = -1;

/** A value that was decoded, and what stood beside it. */
interface Found<T> {
  readonly value: T;
  readonly data: Stored;
  readonly meta: Meta;
  readonly sentAt: number;
}

/** Makes values of what is stored: only those that stand. */
export class Decoder<T> {
  readonly #store: CacheStore;
  readonly #codec: Codec<T>;
  readonly #tags: Tags;
  readonly #nameOf: (key: string) => string;
  readonly #events: Events;

  /** `nameOf`: what a key is called in Redis. */
  constructor(store: CacheStore, codec: Codec<T>, tags: Tags, nameOf: (key: string) => string, events: Events) {
    this.#store = store;
    this.#codec = codec;
    this.#tags = tags;
    this.#nameOf = nameOf;
    this.#events = events;
  }

  /** A value of which nothing else is known. */
  bare(key: string, data: Stored): T | undefined {
    try {
      return decode(this.#codec, data);
    } catch (error) {
      this.#events.emit({ type: 'undecodable', key, error: error as Error });
      return undefined;
    }
  }

  /** What a read gave, if it is a value: at once, unless Redis must be asked for more. */
  read(
    key: string,
    stored: Stored,
    sentAt: number,
    ttl: number | undefined,
    timeoutMs: number | undefined,
  ): Read<T> | undefined | Promise<Read<T> | undefined> {
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
    const found: Found<T> = { value, data, meta, sentAt };
    if (meta.t || (meta.g && ttl === undefined)) return this.#asked(key, found, ttl, timeoutMs);
    return readOf(found, ttl ?? NO_EXPIRY);
  }

  /** The value, after Redis was asked what has to be known of it. */
  async #asked(
    key: string,
    found: Found<T>,
    knownTtl: number | undefined,
    timeoutMs: number | undefined,
  ): Promise<Read<T> | undefined> {
    const { t, g } = found.meta;
    if (t && !(await this.#tags.stand(t, timeoutMs))) return undefined;
    const ttl = knownTtl ?? (g ? await within(this.#store, timeoutMs).pTTL(this.#nameOf(key)) : NO_EXPIRY);
    return readOf(found, ttl);
  }
}

function readOf<T>({ value, data, meta, sentAt }: Found<T>, ttl: number): Read<T> | undefined {
  // It expired between the two replies.
  if (ttl < NO_EXPIRY) return undefined;
  const staleUntil = ttl === NO_EXPIRY ? Number.POSITIVE_INFINITY : sentAt + ttl;
  const tags = meta.t ? Object.keys(meta.t) : [];
  return { value, data, freshUntil: staleUntil - (meta.g ?? 0), staleUntil, loadMs: meta.d ?? 0, tags };
}
