import { wrongCall } from './call-errors.js';
import { type Parameter, parseCalls, type Shape, type Signature } from './call-shape.js';
import { CALLS } from './call-table.js';

/** What a typed command takes, as node-redis's types say. */
export class CallSignature implements Signature {
  readonly name: string;
  /** A call with no more arguments than this need not be checked: what is wrong with it, Redis or the encoder says. */
  readonly free: number;
  readonly #text: string;
  #calls: readonly (readonly Parameter[])[] | undefined;

  constructor(name: string, row: string) {
    const space = row.indexOf(' ');
    this.name = name;
    this.free = Number(row.slice(0, space));
    this.#text = row.slice(space + 1);
  }

  get calls(): readonly (readonly Parameter[])[] {
    // Read when first needed: there are hundreds of commands, and a process calls few.
    this.#calls ??= parseCalls(this.#text);
    return this.#calls;
  }

  /**
   * Refuses what node-redis would take no notice of: arguments too many, options by an unknown name, another kind of value.
   *
   * @throws {InvalidArgumentError} that says which, and shows the right call.
   */
  check(...args: readonly unknown[]): void {
    const { calls } = this;
    if (calls.length === 1) {
      if (accepts(calls[0] as readonly Parameter[], args, this.free, false)) return;
    } else {
      // What one of several calls takes in a place is what another must not be given there.
      for (let i = 0; i < calls.length; i++) if (accepts(calls[i] as readonly Parameter[], args, 0, true)) return;
    }
    throw wrongCall(this, args);
  }
}

const ANYTHING = 'Infinity ...args:*';

/** The signature of a typed command; one that the table does not have takes anything. */
export function signatureOf(name: string): CallSignature {
  return new CallSignature(name, CALLS[name] ?? ANYTHING);
}

/** Whether a call takes the arguments from `start` on; `all` of them, or those alone that would be misunderstood. */
function accepts(call: readonly Parameter[], args: readonly unknown[], start: number, all: boolean): boolean {
  const last = call[call.length - 1];
  for (let i = start; i < args.length; i++) {
    const parameter = call[i] ?? (last?.rest ? last : undefined);
    const value = args[i];
    if (parameter === undefined) {
      if (value !== undefined) return false;
    } else if ((all || parameter.checked) && !understood(parameter, value, parameter.optional)) return false;
  }
  return true;
}

/** Whether node-redis makes of `value` what its caller means, or an error. */
function understood(shape: Shape, value: unknown, optional: boolean): boolean {
  switch (typeof value) {
    case 'undefined':
      return optional;
    case 'string':
      return shape.string;
    case 'number':
      return shape.number;
    case 'boolean':
      return shape.boolean;
    case 'object':
      return value === null ? shape.null : objectUnderstood(shape, value);
    default:
      return false;
  }
}

function objectUnderstood(shape: Shape, value: object): boolean {
  if (Array.isArray(value)) return shape.array !== undefined && elementsUnderstood(shape.array, value);
  const { options, record } = shape;
  // What an unchecked record holds is for the encoder to look at.
  if (options === undefined && !record?.checked) {
    return (record !== undefined && (isPlain(value) || hasNames(value))) || isKnown(shape, value);
  }
  let names = 0;
  for (const name in value) {
    names++;
    const option = options?.get(name) ?? record;
    // The names of a Buffer are its indexes.
    if (option === undefined) return isKnown(shape, value);
    if (option.checked && !understood(option, (value as Record<string, unknown>)[name], option.optional)) return false;
  }
  // A Map, a Date, a Promise have no names, and are no options for that.
  return names > 0 || isPlain(value) || isKnown(shape, value);
}

function isKnown(shape: Shape, value: object): boolean {
  if (value instanceof Uint8Array) return shape.buffer;
  if (value instanceof Map) return shape.map;
  return shape.date && value instanceof Date;
}

/** Whether it is `{…}`, also one of another realm, such as a test runner's. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether it is an object of a class with fields. */
function hasNames(value: object): boolean {
  return !(value instanceof Uint8Array) && Object.keys(value).length > 0;
}

// Where every name must be there, a wrong one leaves another out, of which the encoder complains: long lists cost nothing.
function elementsUnderstood(shape: Shape, elements: readonly unknown[]): boolean {
  if (!shape.checked || (shape.options !== undefined && isComplete(shape.options))) return true;
  return elements.every((element) => understood(shape, element, false));
}

function isComplete(options: ReadonlyMap<string, Shape>): boolean {
  for (const { optional, checked } of options.values()) if (optional || checked) return false;
  return true;
}
