/*
 * Bytes that V8 needs, on 64 bits and without pointer compression, as Node is built. Rather too many than too few: what is
 * estimated must not be exceeded by what is kept.
 */
const POINTER = 8;
const OBJECT = 24;
/** An object literal without properties gets room for four. */
const EMPTY_OBJECT = OBJECT + 4 * POINTER;
const ARRAY = 48;
const BOXED_NUMBER = 16;
const STRING = 24;
/** A Buffer with its ArrayBuffer, and what the allocator adds. */
const BUFFER = 200;
/** Objects with more properties are hash tables. */
const MOST_FAST_PROPERTIES = 120;
const TABLE_ENTRY = 72;
/** Properties in the order of which objects are alike have one shape for all of these objects. */
const SHAPE = 200;
const SHAPE_PROPERTY = 140;
const MOST_SHAPES = 1_000;
/** A shape with longer names is counted each time. */
const LONGEST_SHAPE = 1_000;

/** A string's bytes: one for a character, or two for each if any of them needs two. */
export function stringBytes(text: string): number {
  const { length } = text;
  if (length === 0) return 0;
  // Letters such as é are counted for two although they may need one: to be sure costs a look at each of them.
  return STRING + (Buffer.byteLength(text) === length ? length : 2 * length);
}

/** A Buffer's bytes, if its memory is all its own. */
export function bufferBytes(data: Buffer): number {
  return BUFFER + data.length;
}

/** Estimates how much memory values take that JSON.parse made, and freezes them. */
export class FrozenJson {
  /** What objects that were measured have been alike in. */
  readonly #shapes = new Set<string>();

  /**
   * Freezes a value all through.
   *
   * @param source the text that the value was made of.
   * @returns how many bytes the value takes.
   */
  freeze(value: unknown, source: string): number {
    if (typeof value === 'string') return stringBytes(value);
    // Without such characters and escapes, every string in it has one byte for a character.
    const isNarrow = Buffer.byteLength(source) === source.length && !source.includes('\\u');
    const bytesOf = (text: string) => (isNarrow ? STRING + text.length : stringBytes(text));
    // No recursion: JSON can be nested deeper than the stack goes.
    const open: object[] = [];
    let bytes = 0;
    const add = (part: unknown) => {
      if (typeof part === 'string') bytes += bytesOf(part);
      else if (typeof part === 'number') bytes += (part | 0) === part ? 0 : BOXED_NUMBER;
      else if (typeof part === 'object' && part !== null) open.push(part);
    };
    add(value);
    let before: readonly string[] = [];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      Object.freeze(next);
      if (Array.isArray(next)) {
        bytes += ARRAY + POINTER * next.length;
        for (const part of next) add(part);
        continue;
      }
      const names = Object.keys(next);
      bytes += names.length === 0 ? EMPTY_OBJECT : OBJECT + POINTER * names.length;
      if (!sameNames(names, before)) bytes += this.#shapeBytes(names, bytesOf);
      before = names;
      for (const name of names) add((next as Record<string, unknown>)[name]);
    }
    return bytes;
  }

  /** What the names of an object's properties take, if they were not counted yet. */
  #shapeBytes(names: readonly string[], bytesOf: (text: string) => number): number {
    let bytes = names.reduce((sum, name) => sum + bytesOf(name), 0);
    if (names.length > MOST_FAST_PROPERTIES) return bytes + names.length * TABLE_ENTRY;
    if (bytes <= LONGEST_SHAPE) {
      const shape = JSON.stringify(names);
      if (this.#shapes.has(shape)) return 0;
      if (this.#shapes.size >= MOST_SHAPES) this.#shapes.clear();
      this.#shapes.add(shape);
    }
    bytes += SHAPE + names.length * SHAPE_PROPERTY;
    return bytes;
  }
}

function sameNames(names: readonly string[], others: readonly string[]): boolean {
  // A table has its names to itself.
  if (names.length !== others.length || names.length > MOST_FAST_PROPERTIES) return false;
  for (let i = 0; i < names.length; i++) if (names[i] !== others[i]) return false;
  return true;
}
