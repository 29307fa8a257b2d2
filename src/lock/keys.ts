import type { RedisArgument } from 'redis';
import { InvalidArgumentError } from '../errors.js';

/**
 * Checks the keys of a claim.
 *
 * @throws {InvalidArgumentError} if there is no key, or one is empty, not a string or Buffer, listed twice, or has half of a surrogate
 *   pair.
 */
export function checkKeys(keys: readonly RedisArgument[]): void {
  if (keys.length === 0) throw new InvalidArgumentError('A lock needs at least one key');
  for (const key of keys) {
    if (typeof key === 'string') checkWellFormed(key, "A lock's key");
    if ((typeof key !== 'string' && !Buffer.isBuffer(key)) || key.length === 0) {
      throw new InvalidArgumentError(`A lock's key must be a non-empty string or Buffer, got ${JSON.stringify(key)}`);
    }
  }
  if (keys.length === 1) return;
  const names = keys.map(nameOf);
  const twice = names.findIndex((name, i) => names.indexOf(name) !== i);
  if (twice >= 0) throw new InvalidArgumentError(`The key ${JSON.stringify(String(keys[twice]))} stands there twice`);
}

/**
 * Refuses text that UTF-8 cannot hold: what is no character is sent as U+FFFD, so that different texts would be the same in Redis.
 *
 * @throws {InvalidArgumentError} if there is half of a surrogate pair in it.
 */
export function checkWellFormed(text: string, what: string): void {
  if (isWellFormed.call(text)) return;
  throw new InvalidArgumentError(
    `${what} must be well-formed text, and has half of a surrogate pair in it; use text.toWellFormed(), or a Buffer`,
  );
}

// Node has it since version 20, the types of the language that is compiled for do not.
const { isWellFormed } = String.prototype as unknown as { isWellFormed(this: string): boolean };

/** A string that only this key has. */
export function nameOf(key: RedisArgument): string {
  return typeof key === 'string' ? Buffer.from(key).toString('latin1') : key.toString('latin1');
}
