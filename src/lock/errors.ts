import { LagoonError } from '../errors.js';

/** The lock is held by another, and the time to wait for it is over. */
export class LockNotObtainedError extends LagoonError {
  constructor(keys: readonly (string | Buffer)[]) {
    super('LAGOON_LOCK_NOT_OBTAINED', `The lock on ${names(keys)} is held by another`);
  }
}

/** The lock is not held any more, or it is not known whether it is: what it guarded must stop. */
export class LockLostError extends LagoonError {
  constructor(keys: readonly (string | Buffer)[], why: string, options?: ErrorOptions) {
    super('LAGOON_LOCK_LOST', `The lock on ${names(keys)} is lost: ${why}`, options);
  }
}

function names(keys: readonly (string | Buffer)[]): string {
  return keys.map((key) => JSON.stringify(String(key))).join(', ');
}
