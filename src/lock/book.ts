import type { RedisArgument } from 'redis';
import { CrossSlotError } from '../errors.js';
import type { SharedPart } from '../pool/script.js';
import type { LockStore } from './store.js';

/** The key of the book, but for the tag of its slot in a cluster: see `lua/book.ts`. */
const BOOK = 'lagoon:locks';

/** What the scripts on the keys of one slot have in common; where there are no slots, those on all keys. */
export class Book {
  /** Where this process is told what its claims there were granted. */
  readonly channel: string;
  /** What the queues are called, as far as the keys of the claims, and the book itself: KEYS[1] and KEYS[2]. */
  readonly keys: readonly RedisArgument[];
  readonly shared: SharedPart;
  readonly sharedWithChannel: SharedPart;

  constructor(channel: string, tag: string) {
    this.channel = channel + tag;
    this.keys = [`${BOOK}${tag}:`, BOOK + tag];
    this.shared = { keys: this.keys, args: [] };
    this.sharedWithChannel = { keys: this.keys, args: [this.channel] };
  }
}

/** The books of a pool, each made when it is first needed and always the same: calls share a script call by it. */
export class Books {
  readonly #channel: string;
  readonly #only: Book;
  /** By the tags of their slots. There are no more than slots. */
  readonly #ofSlots = new Map<string, Book>();

  /** `channel`: what the channels of this process begin with. */
  constructor(channel: string) {
    this.#channel = channel;
    this.#only = new Book(channel, '');
  }

  of(tag: string): Book {
    if (tag === '') return this.#only;
    let book = this.#ofSlots.get(tag);
    if (!book) {
      book = new Book(this.#channel, tag);
      this.#ofSlots.set(tag, book);
    }
    return book;
  }
}

/**
 * The tag of the slot that all keys of a claim share; `''` where there are no slots.
 *
 * @throws {CrossSlotError} if they are of more than one slot.
 */
export function tagOfKeys(store: Pick<LockStore, 'slotTag'>, keys: readonly RedisArgument[]): string {
  const first = keys[0] as RedisArgument;
  const tag = store.slotTag(first);
  if (tag === '' || keys.length === 1) return tag;
  const other = keys.find((key) => store.slotTag(key) !== tag);
  if (other !== undefined) throw new CrossSlotError('A lock', first, other);
  return tag;
}
