import { RESP_TYPES } from 'redis';
import { TransactionError } from '../errors.js';
import { defineScript } from '../pool/script.js';
import type { Codec } from './codec.js';
import { Decoder } from './decoder.js';
import type { Events } from './events.js';
import { type Loaded, type Seen, storeUnlessChanged, Watch } from './loaded.js';
import type { LocalTier, Read } from './local-tier.js';
import { MARK_MS, type MarkNames, type Marks, RemovalMarks } from './marks.js';
import type { ResolvedLoad, ResolvedPut } from './options.js';
import { bySlot, type CacheStore, within } from './store.js';
import { hasGrace, isBare, type Meta, type Stored, store } from './stored.js';
import type { Tags } from './tags.js';

/** What was read, and what to compare with before something is stored in its place. */
export interface Look<T> {
  readonly read: Read<T> | undefined;
  readonly seen: Seen;
}

/** What Redis has of a key at one moment. */
interface Said {
  readonly stored: Stored | null;
  /** The marks, as in {@link Marks}. */
  readonly own: Stored | null;
  readonly all: Stored | null;
  /** How many ms the value has left. */
  readonly ttl: number;
}

/*
 * Reads a value, its marks and the time that it has left. Shared: the mark of all. Per call: key, its mark. Returns value, mark, mark of
 * all, and what PTTL says.
 */
const readWithTtl = defineScript<[Stored | null, Stored | null, Stored | null, number]>({
  keys: 2,
  args: 0,
  batch: 64,
  lua: `
local replies, now = {}, redis.call('MGET', unpack(KEYS))
for i = 1, (#KEYS - 1) / 2 do
  local value, ttl = now[i * 2], redis.call('PTTL', KEYS[i * 2])
  replies[i] = { value, now[i * 2 + 1], now[1], ttl }
  -- What is there although MGET did not find it is of another type, and GET says so.
  if not value and ttl ~= -2 then replies[i] = redis.pcall('GET', KEYS[i * 2]) end
end
return replies`,
});

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
    this.#decoder = new Decoder(codec, tags, events);
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

  /**
   * The value, fresh or stale. With `ttl` it says how long the value lives, which Redis is asked in the same step: a value that is
   * replaced in between must not get the time of the other.
   */
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
    const read = hasGrace(stored)
      ? await this.read(key, true)
      : await this.#decoder.read(key, stored, sentAt, undefined, undefined);
    return read && performance.now() < read.freshUntil ? read.value : undefined;
  }

  /** Removes the value and gives it, if it was fresh. */
  async take(key: string): Promise<Read<T> | undefined> {
    const name = this.keyOf(key);
    const sentAt = performance.now();
    const { own } = this.#marks.namesOf(key);
    const taking = this.#store.multi().pTTL(name).getDel(name).set(own, this.#marks.next(), { PX: MARK_MS }).exec();
    const [ttl, stored] = (await orReplyError(taking)) as unknown as [number, Stored | null];
    return stored === null ? undefined : this.#decoder.read(key, stored, sentAt, ttl, undefined);
  }

  /** Removes the value; how many there were. */
  remove(key: string): Promise<number> {
    return this.#marks.remove(key);
  }

  /** Removes several values; how many there were. */
  removeAll(keys: readonly string[]): Promise<number> {
    return this.#marks.removeAll(keys);
  }

  /** Removes values without a mark of their own: {@link removing} has marked them. How many there were. */
  async unlink(keys: readonly string[]): Promise<number> {
    const names = keys.map((key) => this.keyOf(key));
    const counts = await Promise.all(bySlot(this.#store, names).map((part) => this.#store.unlink(part)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Runs a load that closing the pool waits for. */
  holdOpen<R>(load: () => Promise<R>): Promise<R> {
    return this.#store.holdOpen(load);
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
    const name = this.keyOf(key);
    if (lifetime === undefined) {
      return { name, data: store(this.#codec, value, meta.t ? { ...meta, p: 1 } : meta), lastsMs: undefined };
    }
    const data = store(this.#codec, value, graceMs > 0 ? { ...meta, g: graceMs } : meta);
    return { name, data, lastsMs: lifetime + graceMs };
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
      let sentAt = performance.now();
      let said: Said | undefined;
      let stored: Stored | null = null;
      let own: Stored | null = null;
      let all: Stored | null = null;
      if (withTtl || fetch) said = await this.#askWithTtl(reader, key, name);
      else {
        if (marks) [stored = null, own = null, all = null] = await reader.mGet([name, marks.own, marks.all]);
        else stored = await reader.get(name);
        if (stored !== null && hasGrace(stored)) {
          sentAt = performance.now();
          said = await this.#askWithTtl(reader, key, name);
        }
      }
      if (said) ({ stored, own, all } = said);
      const ttl = said?.ttl;
      const decoded = stored === null ? undefined : this.#decoder.read(key, stored, sentAt, ttl, timeoutMs);
      // Most need no further question, and no further step.
      read = decoded instanceof Promise ? await decoded : decoded;
      return { read, seen: marks && { stored, marks: { own, all, askedAt: sentAt } } };
    } finally {
      this.local?.end(key, fetch, read);
    }
  }

  /** What is stored, with its marks and the time that it has left, in one step: a value that is replaced must not get the other's time. */
  async #askWithTtl(reader: CacheStore, key: string, name: string): Promise<Said> {
    const { own, all, shared } = this.#marks.namesOf(key);
    if (!this.#codec.binary) {
      const [stored, ownMark, allMark, ttl] = await reader.runScript(readWithTtl, [name, own], [], shared);
      return { stored, own: ownMark, all: allMark, ttl };
    }
    // Scripts reply with text.
    const reading = reader.multi().get(name).mGet([own, all]).pTTL(name).exec();
    const [stored, [ownMark = null, allMark = null], ttl] = (await orReplyError(reading)) as unknown as [
      Stored | null,
      (Stored | null)[],
      number,
    ];
    return { stored, own: ownMark, all: allMark, ttl };
  }
}

/** A transaction that was executed fails as the command in it that failed. */
async function orReplyError<Replies>(executing: Promise<Replies>): Promise<Replies> {
  try {
    return await executing;
  } catch (error) {
    if (!(error instanceof TransactionError)) throw error;
    throw error.replies.find((reply) => reply instanceof Error) ?? error;
  }
}
