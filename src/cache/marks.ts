import { randomUUID } from 'node:crypto';
import { defineScript, type SharedPart } from '../pool/script.js';
import { globMatcher } from './glob.js';
import { bySlot, type CacheStore, within } from './store.js';
import type { Stored } from './stored.js';

/** So long a removal stands marked: a load that takes longer looks at the marks in between. */
export const MARK_MS = 60_000;
/** So many bytes of patterns are remembered at most. */
const MOST_BYTES = 4_096;
/** A longer pattern is remembered as `*`: every load reads what is remembered. */
const LONGEST_PATTERN = MOST_BYTES / 4;
/** Keys that one script removes at most. */
const BATCH = 500;
/** What all marks begin with. */
export const MARK_PREFIX = 'lagoon:removed:';

/** The marks of a key as they were read. */
export interface Marks {
  /** Another after each removal of the key. */
  readonly own: Stored | null;
  /** The patterns by which keys were removed, one behind the other. */
  readonly all: Stored | null;
  /** Before they were asked for, on the clock of `performance.now()`. */
  readonly askedAt: number;
}

/** What the marks of a key are called. */
export interface MarkNames {
  readonly own: string;
  /** In a cluster no key is in the slot of all others, and this is its own. */
  readonly all: string;
  /** That of all, as calls of a script share it. */
  readonly shared: SharedPart;
}

/*
 * Removes keys and marks that. Per call: key, its mark; what to mark it with. Returns how many there were. A Redis that is full
 * refuses the mark; the removal, which makes room, does without.
 */
const removeMarked = defineScript<number>({
  keys: 2,
  args: 1,
  batch: 64,
  lua: `
local replies = {}
for i = 1, #ARGV do
  redis.pcall('SET', KEYS[i * 2], ARGV[i], 'PX', ${MARK_MS})
  replies[i] = redis.call('UNLINK', KEYS[i * 2 - 1])
end
return ARGV[2] and replies or replies[1]`,
});

/* The same for keys of one caller. KEYS: the keys, then the mark of each. ARGV: what to mark with. Returns how many there were. */
const removeAllMarked = defineScript<number>({
  args: 1,
  lua: `
local count = #KEYS / 2
for i = count + 1, #KEYS do redis.pcall('SET', KEYS[i], ARGV[1], 'PX', ${MARK_MS}) end
return redis.call('UNLINK', unpack(KEYS, 1, count))`,
});

/* Adds to a mark. KEYS: the mark. ARGV: what to add, and what to put in place of it and all before if that is long. */
const addToMark = defineScript<number>({
  keys: 1,
  args: 2,
  lua: `
if redis.call('STRLEN', KEYS[1]) > ${MOST_BYTES} then
  redis.pcall('SET', KEYS[1], ARGV[2])
else
  redis.pcall('APPEND', KEYS[1], ARGV[1])
end
return redis.call('PEXPIRE', KEYS[1], ${MARK_MS})`,
});

/**
 * What tells the loads of all processes that keys were removed. A load reads the marks of its key before it begins, and what it
 * makes is stored only if they are the same then.
 */
export class RemovalMarks {
  readonly #store: CacheStore;
  readonly #prefix: string;
  readonly #isCluster: boolean;
  readonly #all: string;
  readonly #shared: SharedPart;

  /** `prefix`: what the keys of the cache begin with. */
  constructor(store: CacheStore, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
    this.#isCluster = store.getPoolConfig().topology === 'cluster';
    // Of the empty key, which is none.
    this.#all = MARK_PREFIX + prefix;
    this.#shared = { keys: [this.#all], args: [] };
  }

  /** What the marks of a key are called. */
  namesOf(key: string): MarkNames {
    const name = this.#prefix + key;
    if (!this.#isCluster) return { own: MARK_PREFIX + name, all: this.#all, shared: this.#shared };
    // The slot comes first, as there may be braces in the name.
    const own = MARK_PREFIX + this.#store.slotTag(name) + name;
    return { own, all: own, shared: { keys: [own], args: [] } };
  }

  /** What to mark a removal with. */
  next(): string {
    return randomUUID();
  }

  /** Removes a key and marks that; how many there were. */
  remove(key: string): Promise<number> {
    return this.#store.runScript(removeMarked, [this.#prefix + key, this.namesOf(key).own], [this.next()]);
  }

  /** Removes keys and marks that, by one script for each slot; how many there were. */
  async removeAll(keys: readonly string[]): Promise<number> {
    const scripts: Promise<number>[] = [];
    for (const part of bySlot(
      this.#store,
      keys.map((key) => this.#prefix + key),
    )) {
      for (let i = 0; i < part.length; i += BATCH) {
        const names = part.slice(i, i + BATCH);
        const marks = names.map((name) => this.namesOf(name.slice(this.#prefix.length)).own);
        scripts.push(this.#store.runScript(removeAllMarked, [...names, ...marks], [this.next()]));
      }
    }
    return (await Promise.all(scripts)).reduce((sum, count) => sum + count, 0);
  }

  /** Marks that all keys are being removed that match. */
  async removing(pattern: string): Promise<void> {
    if (this.#isCluster) return;
    const remembered = pattern.length > LONGEST_PATTERN ? '*' : pattern;
    const lines = [remembered, '*'].map((glob) => `${JSON.stringify([this.next(), glob])}\n`);
    await this.#store.runScript(addToMark, [this.#all], lines);
  }

  async read(key: string, timeoutMs: number | undefined): Promise<Marks> {
    const askedAt = performance.now();
    const names = this.namesOf(key);
    const [own = null, all = null] = await within(this.#store, timeoutMs).mGet([names.own, names.all]);
    return { own, all, askedAt };
  }
}

/**
 * The marks to compare with from now on, if no removal that concerns the key was marked since `before`; else `undefined`. It must not be
 * longer ago than a mark lasts: then one that is gone has expired, and nothing was marked since.
 */
export function unlessRemoved(key: string, before: Marks, now: Marks): Marks | undefined {
  if (now.own !== null && textOf(now.own) !== textOf(before.own)) return undefined;
  const [had, has] = [textOf(before.all), textOf(now.all)];
  if (has === '' || has === had) return now;
  // It began anew.
  if (!has.startsWith(had)) return undefined;
  const added = has.slice(had.length).trimEnd().split('\n');
  const patterns = added.map((line) => (JSON.parse(line) as [unique: string, pattern: string])[1]);
  return patterns.some((pattern) => globMatcher(pattern)(key)) ? undefined : now;
}

/** A mark as it is compared: empty if there is none. */
export function textOf(mark: Stored | null): string {
  return mark === null ? '' : mark.toString();
}
