import { LagoonError } from '../errors.js';
import type { RateLimitResult } from './result.js';

/** `wait` could not get what it waited for in time; `result` says when it could. */
export class RateLimitedError extends LagoonError {
  readonly result: RateLimitResult;

  constructor(key: string, result: RateLimitResult) {
    const when = result.retryAfter < 0 ? 'never: it costs more than there ever is' : `in ${result.retryAfter} ms`;
    super('LAGOON_RATE_LIMITED', `The limit ${result.rule} of ${JSON.stringify(key)} has room again ${when}`);
    this.result = result;
  }
}
