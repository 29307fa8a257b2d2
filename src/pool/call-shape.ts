import { SHARED_OPTIONS } from './call-table.js';

/** The kinds of value that an argument, an option or an element may be. */
export interface Shape {
  readonly any: boolean;
  readonly string: boolean;
  readonly number: boolean;
  readonly boolean: boolean;
  readonly buffer: boolean;
  readonly date: boolean;
  readonly map: boolean;
  readonly null: boolean;
  /** What the elements of an array are. */
  readonly array: Shape | undefined;
  /** What the values of an object with any names are. */
  readonly record: Shape | undefined;
  /** What an object with certain names has under each. */
  readonly options: ReadonlyMap<string, Shape> | undefined;
  /** Whether it may be left out. */
  readonly optional: boolean;
  /** Whether node-redis would take no notice of a value of another kind, or of a name that it does not know. */
  readonly checked: boolean;
}

/** One parameter of a typed call. */
export interface Parameter extends Shape {
  readonly name: string;
  /** Whether it stands for any number of arguments. */
  readonly rest: boolean;
}

/** What a typed command takes. */
export interface Signature {
  /** As in `redis.set`, or `json.set` as in `redis.json.set`. */
  readonly name: string;
  /** The calls that it can be: more than one where arguments depend on each other. */
  readonly calls: readonly (readonly Parameter[])[];
}

/** Reads the calls of a row of the table. */
export function parseCalls(text: string): Parameter[][] {
  return text.split(' | ').map((call) => (call === '' ? [] : call.split(' ').map(parseParameter)));
}

function parseParameter(text: string): Parameter {
  const [, rest, name, optional, shape] = /^(\.\.\.)?(\w+)(\?)?:(.*)$/.exec(text) as RegExpExecArray;
  const parsed = new ShapeReader(shape as string).shape(optional !== undefined);
  return { ...parsed, name: name as string, rest: rest !== undefined };
}

/** Reads one shape; what the letters and brackets mean is said in scripts/call-table.mjs, which writes them. */
class ShapeReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  shape(optional: boolean): Shape {
    const letters = this.#take(/[snbBDM0*]*/y);
    const array = this.#skip('[') ? this.#closed(']') : undefined;
    const record = this.#skip('<') ? this.#closed('>') : undefined;
    const shared = this.#take(/(?:#\d+)?/y);
    const options = shared === '' ? this.#options() : sharedOptions(Number(shared.slice(1)));
    const string = letters.includes('s');
    return {
      any: letters.includes('*'),
      string,
      number: letters.includes('n'),
      boolean: letters.includes('b'),
      buffer: letters.includes('B'),
      date: letters.includes('D'),
      map: letters.includes('M'),
      null: letters.includes('0'),
      array,
      record,
      options,
      optional,
      checked: options !== undefined || record !== undefined || (array !== undefined && !string),
    };
  }

  #closed(end: string): Shape {
    const shape = this.shape(false);
    this.#skip(end);
    return shape;
  }

  #options(): ReadonlyMap<string, Shape> | undefined {
    if (!this.#skip('{')) return undefined;
    const options = new Map<string, Shape>();
    while (!this.#skip('}')) {
      const name = this.#take(/[^:?]+/y);
      const optional = this.#skip('?');
      this.#skip(':');
      options.set(name, this.shape(optional));
      this.#skip(',');
    }
    return options;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [text = ''] = pattern.exec(this.#text) ?? [];
    this.#at += text.length;
    return text;
  }

  #skip(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }
}

const shared: (ReadonlyMap<string, Shape> | undefined)[] = [];

function sharedOptions(number: number): ReadonlyMap<string, Shape> | undefined {
  shared[number] ??= new ShapeReader(SHARED_OPTIONS[number] as string).shape(false).options;
  return shared[number];
}
