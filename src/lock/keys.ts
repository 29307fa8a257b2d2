import type { RedisArgument } from 'redis';
import { InvalidArgumentError } from '../errors.js';
import { checkWellFormed } from '../well-formed.js';

/**
 * Checks the keys of a claim.
 *
 * @throws {InvalidArgumentError} if there is no key, or one is empty, not a string or Buffer, listed twice, or has half of a surrogate
 *   pair.
 */
export function checkKeys(keys: readonly RedisArgument[]): void {
  if (keys.length === 0) throw new InvalidArgumentError('A lock needs at least one key');
  for (const key of keys) {
    if (typeof key === 'string') checkWellFormed(key, 'key');
    if ((typeof key !== 'string' && !Buffer.isBuffer(key)) || key.length === 0) {
      throw new InvalidArgumentError(`A lock's key must be a non-empty string or Buffer, got ${JSON.stringify(key)}`);
    }
  }
  if (keys.length === 1) return;
  const names = keys.map(nameOf);
  const twice = names.findIndex((name, i) => names.indexOf(name) !== i);
  if (twice >= 0) throw new InvalidArgumentError(`The key ${JSON.stringify(String(keys[twice]))} stands there twice`);
}

/** A string that only this key has. */
export function nameOf(key: RedisArgument): string {
  return typeof key === 'string' ? Buffer.from(key).toString('latin1') : key.toString('latin1');
}
