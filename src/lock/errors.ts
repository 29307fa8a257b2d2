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

/** Too few replicas have confirmed that the lock reached them, and it was given back. Try again, or ask for fewer replicas. */
export class LockNotReplicatedError extends LagoonError {
  /** How many have confirmed it; if there were too few from the start, how many are connected to the master. */
  readonly acknowledged: number;

  /** @param timeoutMs how long they were waited for; `undefined` if there were too few from the start. */
  constructor(
    keys: readonly (string | Buffer)[],
    replicas: number,
    acknowledged: number,
    timeoutMs: number | undefined,
  ) {
    const why =
      timeoutMs === undefined
        ? `needs ${replicas} replica(s), and the master is connected to ${acknowledged}`
        : `was confirmed by ${acknowledged} of ${replicas} replica(s) within ${timeoutMs} ms`;
    super(
      'LAGOON_LOCK_NOT_REPLICATED',
      `The lock on ${names(keys)} ${why}; it was given back. Try again, ask for fewer \`replicas\`, or see in INFO replication what keeps them`,
    );
    this.acknowledged = acknowledged;
  }
}

function names(keys: readonly (string | Buffer)[]): string {
  return keys.map((key) => JSON.stringify(String(key))).join(', ');
}
