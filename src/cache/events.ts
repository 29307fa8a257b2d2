import { log } from '../observe/debug.js';
import { bindUserCallback } from '../observe/user-callback.js';

/** What happens in a cache besides the results of calls. */
export type CacheEvent =
  /** What is stored is none of the codec's, or no longer fits its schema: it counted as a miss. */
  | { readonly type: 'undecodable'; readonly key: string; readonly error: Error }
  /** A loader failed while a stale or ageing value served. */
  | { readonly type: 'refresh-failed'; readonly key: string; readonly error: Error }
  /** Redis was away, so that the loader was called (`whenDown: 'load'`), or what it gave was not stored. */
  | { readonly type: 'redis-down'; readonly key: string; readonly error: Error }
  /** Changes are told again, so that values stay in this process. */
  | { readonly type: 'local-up' }
  /** Changes may be missed, so that nothing is served from this process. */
  | { readonly type: 'local-down' }
  /** Redis refuses to tell of changes, for want of a right: nothing stays in this process until it does. */
  | { readonly type: 'local-refused'; readonly error: Error };

/** Tells the listener of a cache what happens, in the async context in which the cache was made. */
export class Events {
  readonly #listener: ((event: CacheEvent) => void) | undefined;

  constructor(listener: ((event: CacheEvent) => void) | undefined) {
    this.#listener = listener && bindUserCallback('onEvent of a cache', listener);
  }

  emit(event: CacheEvent): void {
    // Without the error: what a codec says of a value may show the value.
    log.cache('%s', event.type);
    this.#listener?.(event);
  }
}
