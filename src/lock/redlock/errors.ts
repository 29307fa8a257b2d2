import { LagoonError } from '../../errors.js';

/** One pool of a Redlock that could not be asked. */
export interface RedlockFailure {
  readonly pool: string;
  readonly error: Error;
}

/** Too few of a Redlock's pools answered, or not in time: not the same as held by another. `failures` says why, per pool. */
export class RedlockError extends LagoonError {
  readonly failures: readonly RedlockFailure[];

  constructor(message: string, failures: readonly RedlockFailure[]) {
    const lines = failures.map(({ pool, error }) => `\n  ${pool}: ${error.message}`);
    super('LAGOON_REDLOCK', `${message}${lines.length > 0 ? ':' : ''}${lines.join('')}`, { cause: failures[0]?.error });
    this.failures = failures;
  }
}
