/** Bytes of keys that a map holds at most, unless it is told otherwise. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Remembers values up to a number, and up to a number of bytes in their keys: the value that was set longest ago is
 * forgotten first. A key that alone is longer than that is not remembered.
 */
export class BoundedMap<Key, Value> {
  readonly #most: number;
  readonly #mostBytes: number;
  readonly #values = new Map<Key, Value>();
  #bytes = 0;

  /**
   * @param most values at most.
   * @param mostBytes bytes of all keys at most; default 16 MiB. Only strings count.
   */
  constructor(most: number, mostBytes = MOST_BYTES) {
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  get size(): number {
    return this.#values.size;
  }

  /** What the keys take in memory, as {@link bytesOf} has it. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: Key): Value | undefined {
    return this.#values.get(key);
  }

  set(key: Key, value: Value): void {
    this.delete(key);
    const bytes = bytesOf(key);
    if (this.#most < 1 || bytes > this.#mostBytes) return;
    for (const oldest of this.#values.keys()) {
      if (this.#values.size < this.#most && this.#bytes + bytes <= this.#mostBytes) break;
      this.delete(oldest);
    }
    this.#values.set(key, value);
    this.#bytes += bytes;
  }

  delete(key: Key): void {
    if (this.#values.delete(key)) this.#bytes -= bytesOf(key);
  }

  /** What is remembered, the oldest first. */
  entries(): MapIterator<[Key, Value]> {
    return this.#values.entries();
  }
}

/** The bytes that a string takes in memory at most; of anything else 0. */
export function bytesOf(key: unknown): number {
  return typeof key === 'string' ? 2 * key.length : 0;
}

/**
 * The same string in memory of its own. A part of a long string, such as a header cut out of a request, otherwise keeps
 * all of that string alive for as long as it is remembered.
 */
export function detached(text: string): string {
  // Shorter parts are copies already.
  return text.length < 13 ? text : Buffer.from(text, 'utf16le').toString('utf16le');
}
