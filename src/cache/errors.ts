import { LagoonError } from '../errors.js';

/** A loader took longer than its `loadTimeout`. Its signal has aborted; what it may give later is dropped. */
export class LoadTimeoutError extends LagoonError {
  /** The time that passed, in ms. */
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super('LAGOON_LOAD_TIMEOUT', `The loader gave no value within its loadTimeout of ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/**
 * A loader asked `getOrSet`, itself or through other loaders, for the key that it loads, and would wait for itself for ever. Ask for
 * another key, or call what loads the value directly.
 */
export class RecursiveLoadError extends LagoonError {
  constructor() {
    super(
      'LAGOON_RECURSIVE_LOAD',
      'getOrSet was asked for a key by the loader of that very key, itself or through other loaders, which would wait for itself for ' +
        'ever. Use another key inside of the loader, or call the function that makes the value instead of getOrSet',
    );
  }
}
