import { inspect } from 'node:util';
import { InvalidArgumentError } from '../errors.js';
import { checkWellFormed } from '../well-formed.js';

/** @throws {InvalidArgumentError} unless it can be a key of a cache. */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== 'string' || key === '') {
    throw new InvalidArgumentError(`key must be a non-empty string, got ${shown(key)}`);
  }
  checkWellFormed(key, 'key');
}

/** @throws {InvalidArgumentError} unless it is an array of keys. */
export function checkKeys(keys: unknown, call: string): asserts keys is readonly string[] {
  if (!Array.isArray(keys)) throw new InvalidArgumentError(`${call} takes an array of keys, got ${shown(keys)}`);
  for (const key of keys) checkKey(key);
}

/** @throws {InvalidArgumentError} unless it can be a pattern of keys. */
export function checkPattern(pattern: unknown): asserts pattern is string {
  if (typeof pattern !== 'string' || pattern === '') {
    throw new InvalidArgumentError(`pattern must be a non-empty string, got ${shown(pattern)}; '*' matches every key`);
  }
  checkWellFormed(pattern, 'pattern');
}

/** @throws {InvalidArgumentError} unless it can be a tag. */
export function checkTag(tag: unknown, what = 'tag'): asserts tag is string {
  if (typeof tag !== 'string' || tag === '') {
    throw new InvalidArgumentError(`${what} must be a non-empty string, got ${shown(tag)}`);
  }
  checkWellFormed(tag, 'tag');
}

/** @throws {InvalidArgumentError} for `undefined`. */
export function checkValue(value: unknown): void {
  if (value === undefined) {
    throw new InvalidArgumentError('undefined cannot be stored, as it means that there is no value; null can');
  }
}

/**
 * The entries of `putMany`.
 *
 * @throws {InvalidArgumentError} unless they are pairs of a key and a value.
 */
export function checkedEntries<V>(entries: Iterable<readonly [string, V]>): (readonly [string, V])[] {
  if (typeof entries !== 'object' || entries === null || typeof entries[Symbol.iterator] !== 'function') {
    throw new InvalidArgumentError(
      `putMany takes [key, value] pairs (an array, a Map, or Object.entries(object)), got ${shown(entries)}`,
    );
  }
  const all = [...entries];
  for (const entry of all) {
    if (!Array.isArray(entry)) {
      throw new InvalidArgumentError(`putMany takes [key, value] pairs, got ${shown(entry)} among them`);
    }
    checkKey(entry[0]);
    checkValue(entry[1]);
  }
  return all;
}

/** @throws {InvalidArgumentError} unless it is a function. */
export function checkLoader(loader: unknown): void {
  if (typeof loader !== 'function') throw new InvalidArgumentError('getOrSet needs a function that loads the value');
}

/** Says what it is; of objects not what they hold. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value === '' ? "''" : 'a string';
  return inspect(value, { depth: -1 });
}
