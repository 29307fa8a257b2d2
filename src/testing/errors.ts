import { LagoonError } from '../errors.js';

/** What went wrong with a throw-away server. */
export type TestingErrorCode =
  /** No `redis-server` was found, or none could be installed. */
  | 'LAGOON_TESTING_NO_BINARY'
  /** The server ended, or did not answer, before it was ready; the message carries the end of its log. */
  | 'LAGOON_TESTING_START'
  /** Another process has the port that was asked for. */
  | 'LAGOON_TESTING_PORT_IN_USE'
  /** The server is not running, so that what was asked of it cannot be done. */
  | 'LAGOON_TESTING_NOT_RUNNING'
  /** The server did not do in time what it was asked. */
  | 'LAGOON_TESTING_TIMEOUT';

/** A throw-away server could not be found, started or used; the message says what to do. */
export class TestingError extends LagoonError {
  declare readonly code: TestingErrorCode;

  // Narrows the first parameter: a code that is not in the list above is a compile error.
  constructor(code: TestingErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
