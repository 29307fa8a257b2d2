import type { Codec } from './codec.js';
import type { Events } from './events.js';
import type { Read } from './local-tier.js';
import { decode, type Meta, part, type Stored } from './stored.js';
import type { Tags } from './tags.js';

/** PTTL's reply for a key without an expiry. */
const NO_EXPIRY = -1;
const NO_TAGS: readonly string[] = [];

/** A value that was decoded, and what stood beside it. */
interface Found<T> {
  readonly value: T;
  readonly data: Stored;
  readonly meta: Meta;
  readonly sentAt: number;
}

/** Makes values of what is stored: only those that stand. */
export class Decoder<T> {
  readonly #codec: Codec<T>;
  readonly #tags: Tags;
  readonly #events: Events;

  constructor(codec: Codec<T>, tags: Tags, events: Events) {
    this.#codec = codec;
    this.#tags = tags;
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

  /**
   * What a read gave, if it is a value: at once, unless Redis must be asked for the versions of its tags.
   *
   * @param sentAt before Redis was asked: the value has `ttl` left from then on at most.
   * @param ttl what PTTL said in the same step; `undefined` only for values without grace, whose end nobody wants to know.
   */
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
    const read = readOf(found, ttl ?? NO_EXPIRY);
    return meta.t ? this.#ifTagsStand(read, meta.t, meta.p === 1, timeoutMs) : read;
  }

  async #ifTagsStand(
    read: Read<T>,
    versions: Readonly<Record<string, string>>,
    neverExpires: boolean,
    timeoutMs: number | undefined,
  ): Promise<Read<T> | undefined> {
    if (!(await this.#tags.stand(versions, timeoutMs))) return undefined;
    if (neverExpires) this.#tags.keepAlive(read.tags);
    return read;
  }
}

function readOf<T>({ value, data, meta, sentAt }: Found<T>, ttl: number): Read<T> {
  const staleUntil = ttl === NO_EXPIRY ? Number.POSITIVE_INFINITY : sentAt + ttl;
  const tags = meta.t ? Object.keys(meta.t) : NO_TAGS;
  return { value, data, freshUntil: staleUntil - (meta.g ?? 0), staleUntil, loadMs: meta.d ?? 0, tags };
}
