import { createRequire } from 'node:module';
import type { LRUCache } from 'lru-cache';
import type { Tracking } from '../pool/tracking.js';
import { type Codec, jsonCodec, stringCodec } from './codec.js';
import type { Events } from './events.js';
import { bufferBytes, FrozenJson, stringBytes } from './footprint.js';
import type { ResolvedLocal } from './options.js';
import type { Counters } from './stats.js';
import { decode, type Stored } from './stored.js';

const require = createRequire(import.meta.url);

/** What a value that is kept takes besides itself, its key and its tags. */
const ENTRY_BYTES = 250;
/** What each of its tags takes besides its name: it leads back to the key. */
const TAG_BYTES = 300;

/** A value that was read from Redis. Times are on the clock of `performance.now()`. */
export interface Read<T> {
  readonly value: T;
  /** As it is stored. */
  readonly data: Stored;
  readonly freshUntil: number;
  readonly staleUntil: number;
  /** How many ms it took to load; 0 if nobody said. */
  readonly loadMs: number;
  readonly tags: readonly string[];
}

/** A value that is kept: either as it is stored or decoded, the other is empty. */
interface Kept<T> extends Read<T> {
  /** What it takes in memory, estimated. */
  readonly bytes: number;
  /** When it has been here for long enough, if that is before it is stale. */
  readonly keptUntil: number;
}

/** A read that is under way; whatever is told of its key meanwhile spoils it for the local tier. */
export interface Fetch {
  spoiled: boolean;
  /** Before Redis was asked. */
  readonly beganAt: number;
}

/** Starts to hear of changes to keys with these beginnings. */
export type Track = (
  options: { prefixes: readonly string[]; heartbeatMs: number; timeoutMs: number },
  listener: {
    up(): void;
    down(): void;
    invalidated(keys: readonly string[] | undefined): void;
    refused(error: Error): void;
  },
) => Tracking;

/** What the keys of a cache are called in Redis. */
export interface KeySpace {
  readonly prefix: string;
  readonly tagPrefix: string;
}

/**
 * Values that were read, kept in this process until Redis says that they changed. Nothing is served from it unless it is
 * certain that Redis could have said so.
 */
export class LocalTier<T> {
  readonly #options: ResolvedLocal;
  readonly #codec: Codec<T>;
  readonly #keys: KeySpace;
  readonly #tracking: Tracking;
  readonly #values: LRUCache<string, Kept<T>>;
  readonly #fetches = new Map<string, Set<Fetch>>();
  /** Keys by tag. */
  readonly #tagged = new Map<string, Set<string>>();
  readonly #frozen = new FrozenJson();
  /** Whether what is served is decoded anew each time, because it cannot be frozen. */
  readonly #decodes: boolean;

  constructor(
    track: Track,
    options: ResolvedLocal,
    codec: Codec<T>,
    keys: KeySpace,
    counters: Counters,
    events: Events,
  ) {
    this.#options = options;
    this.#codec = codec;
    this.#keys = keys;
    this.#decodes = (codec as unknown) !== jsonCodec && (codec as unknown) !== stringCodec;
    const { LRUCache: Lru } = require('lru-cache') as typeof import('lru-cache');
    this.#values = new Lru<string, Kept<T>>({
      max: options.maxItems,
      maxSize: options.maxBytes,
      sizeCalculation: ({ bytes }) => bytes,
      dispose: (read, key, reason) => {
        if (reason === 'evict') counters.evictions++;
        this.#untag(key, read);
      },
    });
    const { heartbeatMs } = options;
    // Redis refuses overlapping prefixes.
    const prefixes = keys.prefix === '' ? [''] : [keys.prefix, keys.tagPrefix];
    this.#tracking = track(
      { prefixes, heartbeatMs, timeoutMs: heartbeatMs },
      {
        up: () => {
          this.#values.clear();
          events.emit({ type: 'local-up' });
        },
        down: () => {
          this.#doubt();
          events.emit({ type: 'local-down' });
        },
        invalidated: (names) => this.#invalidated(names),
        refused: (error) => events.emit({ type: 'local-refused', error }),
      },
    );
  }

  get items(): number {
    return this.#values.size;
  }

  get bytes(): number {
    return this.#values.calculatedSize;
  }

  /** The value, if it is certain that it is the one in Redis. */
  get(key: string, now: number): Read<T> | undefined {
    const read = this.#values.get(key);
    return read !== undefined && now < read.keptUntil && now < this.#tracking.confirmedUntil ? read : undefined;
  }

  /** The value for when Redis cannot be asked: one whose grace is not over. */
  reserve(key: string): Read<T> | undefined {
    const read = this.#values.get(key);
    return read && performance.now() < read.staleUntil && read.staleUntil > read.freshUntil ? read : undefined;
  }

  /** What callers get: nobody can change through it what others get. */
  present(read: Read<T>): T {
    return this.#decodes ? decode(this.#codec, copy(read.data)) : read.value;
  }

  /** Begins to read a key; `undefined` if what is read cannot stay. */
  begin(key: string): Fetch | undefined {
    const beganAt = performance.now();
    if (beganAt >= this.#tracking.confirmedUntil) return undefined;
    const fetch = { spoiled: false, beganAt };
    const known = this.#fetches.get(key);
    if (known) known.add(fetch);
    else this.#fetches.set(key, new Set([fetch]));
    return fetch;
  }

  /** Keeps what was read, unless its key changed meanwhile. */
  end(key: string, fetch: Fetch | undefined, read: Read<T> | undefined): void {
    if (!fetch) return;
    const known = this.#fetches.get(key);
    known?.delete(fetch);
    if (known?.size === 0) this.#fetches.delete(key);
    const now = performance.now();
    if (!read || fetch.spoiled || now >= this.#tracking.confirmedUntil) return;
    const keptUntil = Math.min(read.freshUntil, fetch.beganAt + this.#options.ttlMs);
    if (keptUntil <= now) return;
    this.#values.set(key, this.#keep(key, read, keptUntil));
    // It may be too big.
    if (!this.#values.has(key)) return;
    for (const tag of read.tags) {
      const keys = this.#tagged.get(tag);
      if (keys) keys.add(key);
      else this.#tagged.set(tag, new Set([key]));
    }
  }

  /** Forgets a key that this process changes. */
  evict(key: string): void {
    this.#values.delete(key);
    for (const fetch of this.#fetches.get(key) ?? []) fetch.spoiled = true;
  }

  evictTagged(tag: string): void {
    for (const key of this.#tagged.get(tag) ?? []) this.#values.delete(key);
    // Which tags a value has is known only when it is there.
    this.#spoilAll();
  }

  clear(): void {
    this.#values.clear();
    this.#spoilAll();
  }

  stop(): void {
    this.#tracking.stop();
    this.clear();
  }

  #keep(key: string, read: Read<T>, keptUntil: number): Kept<T> {
    const { freshUntil, staleUntil, loadMs, tags } = read;
    let bytes = ENTRY_BYTES + stringBytes(key);
    for (const tag of tags) bytes += TAG_BYTES + 2 * stringBytes(tag);
    let { value, data } = read;
    if (!this.#decodes) {
      bytes += this.#frozen.freeze(value, data as string);
      data = '';
    } else {
      // Decoded anew for each hit: as an object nothing is kept of it.
      value = undefined as T;
      data = ownCopy(data);
      bytes += typeof data === 'string' ? stringBytes(data) : bufferBytes(data);
    }
    return { value, data, bytes, freshUntil, staleUntil, loadMs, tags, keptUntil };
  }

  #invalidated(names: readonly string[] | undefined): void {
    const { prefix, tagPrefix } = this.#keys;
    if (!names) this.clear();
    for (const name of names ?? []) {
      if (name.startsWith(tagPrefix)) this.evictTagged(name.slice(tagPrefix.length));
      else this.evict(name.slice(prefix.length));
    }
  }

  // What may still serve in an outage stays, for that only.
  #doubt(): void {
    this.#spoilAll();
    for (const [key, { freshUntil, staleUntil }] of [...this.#values.entries()]) {
      if (staleUntil <= freshUntil) this.#values.delete(key);
    }
  }

  #spoilAll(): void {
    for (const fetches of this.#fetches.values()) for (const fetch of fetches) fetch.spoiled = true;
  }

  #untag(key: string, { tags }: Read<T>): void {
    for (const tag of tags) {
      const keys = this.#tagged.get(tag);
      keys?.delete(key);
      if (keys?.size === 0) this.#tagged.delete(tag);
    }
  }
}

function copy(data: Stored): Stored {
  return typeof data === 'string' ? data : Buffer.from(data);
}

/** A copy that shares its memory with nothing: a small Buffer is usually a part of a larger one, which it keeps alive. */
function ownCopy(data: Stored): Stored {
  if (typeof data === 'string') return data;
  const own = Buffer.allocUnsafeSlow(data.length);
  data.copy(own);
  return own;
}
