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
    // Where there are several, what one of them takes in a place is what the next must not be given there.
    const all = calls.length > 1;
    for (let i = 0; i < calls.length; i++) if (accepts(calls[i] as readonly Parameter[], args, all)) return;
    throw wrongCall(this, args);
  }
}

const ANYTHING = 'Infinity ...args:*';

/** The signature of a typed command; one that the table does not have takes anything. */
export function signatureOf(name: string): CallSignature {
  return new CallSignature(name, CALLS[name] ?? ANYTHING);
}

/** Whether a call takes the arguments; of `all` of them, or of those alone that would be misunderstood. */
function accepts(call: readonly Parameter[], args: readonly unknown[], all: boolean): boolean {
  const last = call[call.length - 1];
  for (let i = 0; i < args.length; i++) {
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
  const isPlain = Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain) {
    if (Array.isArray(value)) return shape.array !== undefined && elementsUnderstood(shape.array, value);
    if (value instanceof Uint8Array) return shape.buffer;
    if (value instanceof Map) return shape.map;
    if (value instanceof Date) return shape.date;
  }
  const { options, record } = shape;
  if (options === undefined && record === undefined) return false;
  let names = 0;
  for (const name in value) {
    names++;
    const option = options?.get(name) ?? record;
    if (option === undefined) return false;
    if (option.checked && !understood(option, (value as Record<string, unknown>)[name], option.optional)) return false;
  }
  // A Set, a RegExp, a Promise have no names, and are no options either.
  return names > 0 || isPlain || Object.getPrototypeOf(value) === null;
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
