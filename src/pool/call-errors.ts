import type { RedisArgument } from 'redis';
import { nearestName } from '../config/nearest.js';
import { InvalidArgumentError, LagoonError } from '../errors.js';
import type { Parameter, Shape, Signature } from './call-shape.js';

/** The right call where others than the types' names show it best: what callers of other clients most often mean. */
const EXAMPLES: Readonly<Record<string, string>> = {
  set: 'set(key, value, { EX: 30 })',
  setEx: 'setEx(key, seconds, value)',
  incr: 'incr(key), or incrBy(key, 5)',
  decr: 'decr(key), or decrBy(key, 5)',
  mSet: 'mSet({ key: value })',
  mSetNX: 'mSetNX({ key: value })',
  hSet: 'hSet(key, field, value), or hSet(key, { field: value })',
  lPop: 'lPop(key), or lPopCount(key, 5)',
  rPop: 'rPop(key), or rPopCount(key, 5)',
  sPop: 'sPop(key), or sPopCount(key, 5)',
  sRandMember: 'sRandMember(key), or sRandMemberCount(key, 5)',
  hRandField: 'hRandField(key), or hRandFieldCount(key, 5)',
  zPopMin: 'zPopMin(key), or zPopMinCount(key, 5)',
  zPopMax: 'zPopMax(key), or zPopMaxCount(key, 5)',
  zAdd: "zAdd(key, { score: 1, value: 'member' })",
  zRange: 'zRange(key, 0, -1, { REV: true }), or zRangeWithScores(key, 0, -1)',
  zRangeByScore:
    'zRangeByScore(key, min, max, { LIMIT: { offset: 0, count: 10 } }), or zRangeByScoreWithScores(key, min, max)',
  geoAdd: "geoAdd(key, { longitude: 13.4, latitude: 52.5, member: 'Berlin' })",
  xAdd: "xAdd(key, '*', { field: 'value' })",
  xRead: "xRead({ key, id: '0' }, { COUNT: 10 })",
  eval: "eval(script, { keys: ['key'], arguments: ['value'] })",
  evalSha: "evalSha(sha1, { keys: ['key'], arguments: ['value'] })",
  scan: "scan('0', { MATCH: 'user:*', COUNT: 100 })",
  scanIterator: "scanIterator({ MATCH: 'user:*', COUNT: 100 })",
};

/** The error for a call whose arguments are not what the command takes; `cause` is what the encoder said, if it was asked. */
export function wrongCall(signature: Signature, args: readonly unknown[], cause?: Error): InvalidArgumentError {
  const what = problemOf(signature, args) ?? `The arguments of ${signature.name} cannot be encoded: ${cause?.message}`;
  return new InvalidArgumentError(`${what}. Call it as ${usageOf(signature)}`, cause && { cause });
}

/** What the caller of a typed command is told about an error of its call. */
export function callError(signature: Signature, error: Error, ...args: readonly unknown[]): Error {
  return error instanceof LagoonError ? error : wrongCall(signature, args, error);
}

/**
 * Throws unless all of a command that was encoded can be sent.
 *
 * @throws {TypeError} if something is neither a string nor a Buffer.
 */
export function assertSendable(encoded: readonly RedisArgument[]): void {
  for (let i = 1; i < encoded.length; i++) {
    if (typeof encoded[i] !== 'string' && !Buffer.isBuffer(encoded[i])) {
      throw new TypeError(`argument ${i} of ${String(encoded[0])} would be ${kindOf(encoded[i])}`);
    }
  }
}

function problemOf({ name, calls }: Signature, args: readonly unknown[]): string | undefined {
  // Of several calls the one that has as many arguments is meant, or the last.
  const call = calls.find((each) => each.length === args.length) ?? (calls.at(-1) as readonly Parameter[]);
  const most = Math.max(...calls.map((each) => (each.at(-1)?.rest ? Number.POSITIVE_INFINITY : each.length)));
  if (args.length > most) return `${name} takes ${count(most)} at most, got ${args.length}`;
  const least = call.filter(({ optional, rest }) => !optional && !rest).length;
  if (args.length < least) return `${name} takes ${count(least)}, got ${args.length}`;
  for (const [i, value] of args.entries()) {
    const parameter = call[i] ?? call.at(-1);
    const problem = parameter && mismatch(parameter, value, parameter.name);
    if (problem) return `${name}: ${problem}`;
  }
  return undefined;
}

/** What is wrong with a value. It never shows the value, which may be a secret. */
function mismatch(shape: Shape, value: unknown, path: string): string | undefined {
  if (shape.any || (value === undefined && shape.optional)) return undefined;
  if (Array.isArray(value) && shape.array) {
    const { array } = shape;
    return first(value.entries(), ([i, element]) => mismatch(array, element, `${path}[${i}]`));
  }
  if (isNamed(value) && (shape.options || shape.record)) return mismatchOf(shape, value, path);
  if (takes(shape, value)) return undefined;
  return `${path} must be ${expectationOf(shape)}, got ${kindOf(value)}${adviceFor(shape, value)}`;
}

function mismatchOf(shape: Shape, value: object, path: string): string | undefined {
  const { options, record } = shape;
  return first(Object.entries(value), ([name, of]) => {
    const option = options?.get(name) ?? record;
    // The names of a record are the caller's data.
    if (option) return mismatch(option, of, options ? `${path}.${name}` : `a value of ${path}`);
    const known = [...(options as ReadonlyMap<string, Shape>).keys()];
    const nearest = nearestName(name, known);
    const remedy = nearest ? `did you mean ${nearest}?` : `it can have ${known.join(', ')}`;
    return `${path} has no ${JSON.stringify(name.slice(0, 64))}; ${remedy}`;
  });
}

function takes(shape: Shape, value: unknown): boolean {
  switch (typeof value) {
    case 'string':
      // What the types have as a number is sent as text anyway.
      return shape.string || (shape.number && value.trim() !== '' && Number.isFinite(Number(value)));
    case 'number':
    case 'bigint':
      return shape.number;
    case 'boolean':
      return shape.boolean;
    default:
      if (value === null) return shape.null;
      if (value instanceof Uint8Array) return shape.buffer;
      if (value instanceof Date) return shape.date;
      return value instanceof Map && shape.map;
  }
}

function first<T>(values: Iterable<T>, problem: (value: T) => string | undefined): string | undefined {
  for (const value of values) {
    const found = problem(value);
    if (found) return found;
  }
  return undefined;
}

function isNamed(value: unknown): value is object {
  return typeof value === 'object' && kindOf(value) === 'an object';
}

function adviceFor(shape: Shape, value: unknown): string {
  if (!shape.string && !shape.buffer) return '';
  if (isNamed(value) || Array.isArray(value)) return '; store objects with JSON.stringify(value), or use getCache()';
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return '; write String(value)';
  return '';
}

function expectationOf(shape: Shape): string {
  const { options } = shape;
  const kinds = [
    shape.string && 'a string',
    shape.number && 'a number',
    shape.boolean && 'true or false',
    shape.buffer && 'a Buffer',
    shape.date && 'a Date',
    shape.map && 'a Map',
    shape.array && 'an array',
    shape.record && 'an object',
    options && `an object with ${[...options.keys()].join(', ')}`,
  ].filter((kind) => typeof kind === 'string');
  return kinds.length > 1 ? `${kinds.slice(0, -1).join(', ')} or ${kinds.at(-1)}` : (kinds[0] ?? 'left out');
}

/** What kind of value it is, for messages. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Uint8Array) return 'a Buffer';
  for (const kind of [Date, Map, Set, Promise]) if (value instanceof kind) return `a ${kind.name}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function count(parameters: number): string {
  return parameters === 1 ? '1 argument' : `${parameters} arguments`;
}

function usageOf({ name, calls }: Signature): string {
  return EXAMPLES[name] ?? calls.map((call) => `${name}(${call.map(exampleOf).join(', ')})`).join(', or ');
}

/** A parameter as it is shown in a call: `key`, `['a', 'b']` for several, `{ NX, XX }` for options that may be left out. */
function exampleOf({ name, optional, rest, array, record, options }: Parameter): string {
  if (rest) return `...${name}`;
  const shown = options ? `{ ${[...options.keys()].slice(0, 4).join(', ')} }` : record ? '{ name: value }' : name;
  const value = array && !options ? "['a', 'b']" : array ? `[${shown}]` : shown;
  return optional && !options ? `${value}?` : value;
}
