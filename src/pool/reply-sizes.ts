import type { CommandArgs } from './node-redis.js';

/** From this size on a reply delays those behind it enough to be kept apart. */
const BIG_REPLY_BYTES = 64 * 1024;
const MAX_FAMILIES = 1024;

/** Remembers which commands had big replies, by family: the command and its first key up to the last colon. */
export class ReplySizes {
  readonly #expected = new Map<string, number>();

  /** The family of a command; `''` if it has no key to tell it by. */
  family(args: CommandArgs): string {
    const key = args[1];
    if (typeof key !== 'string') return '';
    const colon = key.lastIndexOf(':');
    return `${args[0]} ${colon > 0 ? key.slice(0, colon) : key}`;
  }

  /** Bytes to expect of a reply to that family; 0 unless a big one was seen. */
  expected(family: string): number {
    return this.#expected.size === 0 ? 0 : (this.#expected.get(family) ?? 0);
  }

  learn(family: string, bytes: number): void {
    if (family === '') return;
    if (bytes >= BIG_REPLY_BYTES) {
      // Deleting first moves the family to the end, so that the one that was big longest ago is forgotten.
      this.#expected.delete(family);
      this.#expected.set(family, bytes);
      if (this.#expected.size > MAX_FAMILIES) this.#expected.delete(this.#expected.keys().next().value as string);
      return;
    }
    const before = this.expected(family);
    if (before === 0) return;
    if (before / 2 < BIG_REPLY_BYTES) this.#expected.delete(family);
    else this.#expected.set(family, before / 2);
  }
}

/** About how many bytes a reply had on the wire, as far as one look tells. */
export function sizeOf(reply: unknown): number {
  if (typeof reply === 'string' || Buffer.isBuffer(reply)) return reply.length;
  if (!Array.isArray(reply)) return 0;
  let bytes = 0;
  for (const element of reply) {
    bytes += typeof element === 'string' || Buffer.isBuffer(element) ? element.length : 16;
    if (bytes >= BIG_REPLY_BYTES) break;
  }
  return bytes;
}
