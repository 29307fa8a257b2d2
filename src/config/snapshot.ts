import type { ConfigIssue } from '../errors.js';
import { pointer } from './issues.js';

/** Plain data. Objects have no prototype, so that no name in them means anything but itself. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

/** A copy of what someone gave us, and what of it could not be copied. */
export interface Snapshot {
  readonly value: Json;
  readonly issues: readonly ConfigIssue[];
}

const MAX_DEPTH = 32;
const MAX_VALUES = 10_000;
const MAX_ISSUES = 100;

/**
 * Copies a value of unknown origin to plain data, reading each property once: what is checked is what is used, whatever
 * the caller does to its object afterwards. Never throws; what is not data becomes an issue, and `null` in the copy.
 */
export function snapshot(value: unknown, path: readonly (string | number)[] = []): Snapshot {
  const issues: ConfigIssue[] = [];
  const ancestors = new Set<object>();
  let values = 0;

  function copy(source: unknown, path: readonly (string | number)[]): Json {
    values++;
    if (values > MAX_VALUES)
      return values === MAX_VALUES + 1 ? refuse(path, 'is too large to be a configuration') : null;
    switch (typeof source) {
      case 'string':
      case 'number':
      case 'boolean':
        return source;
      case 'object':
        return source === null ? null : copyObject(source, path);
      default:
        return refuse(path, `must be plain data, got ${typeof source === 'undefined' ? '' : 'a '}${typeof source}`);
    }
  }

  function copyObject(source: object, path: readonly (string | number)[]): Json {
    if (ancestors.has(source)) return refuse(path, 'refers back to an object that contains it');
    if (ancestors.size >= MAX_DEPTH) return refuse(path, `is nested more than ${MAX_DEPTH} levels deep`);
    ancestors.add(source);
    try {
      if (Array.isArray(source)) return copyArray(source, path);
      if (Object.prototype.toString.call(source) !== '[object Object]') return refuse(path, 'must be a plain object');
      return copyProperties(source as Record<string, unknown>, path);
    } catch {
      // The error is the caller's own and may say anything: it is not repeated.
      return refuse(path, 'cannot be read: reading it throws an error');
    } finally {
      ancestors.delete(source);
    }
  }

  function copyArray(source: readonly unknown[], path: readonly (string | number)[]): Json {
    const target: Json[] = [];
    for (let index = 0; index < source.length && values <= MAX_VALUES; index++) {
      target.push(copy(source[index], [...path, index]));
    }
    return target;
  }

  function copyProperties(source: Record<string, unknown>, path: readonly (string | number)[]): Json {
    const target = emptyObject();
    for (const name of Object.keys(source)) {
      if (values > MAX_VALUES) break;
      if (name === '__proto__') {
        refuse([...path, name], 'cannot be used as a name');
        continue;
      }
      const property = source[name];
      // In JavaScript an option that is `undefined` is an option that was not given.
      if (property !== undefined) target[name] = copy(property, [...path, name]);
    }
    return target;
  }

  function refuse(path: readonly (string | number)[], message: string): null {
    if (issues.length < MAX_ISSUES) issues.push({ path: pointer(...path), message });
    return null;
  }

  return { value: copy(value, path), issues };
}

export function emptyObject(): JsonObject {
  return Object.create(null) as JsonObject;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
