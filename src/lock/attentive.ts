import { AsyncResource } from 'node:async_hooks';
import { bindListeners } from '../async/bound-listeners.js';

/**
 * A controller whose signal calls `notice` before it says whether it has aborted, so that it can still be told to. Listeners run
 * in the async context in which they are added; those of signals that depend on it, in that of now.
 */
export function attentive(notice: () => void): Pick<AbortController, 'abort' | 'signal'> {
  const controller = new AbortController();
  // AsyncResource.bind() takes some hundred times as long.
  const context = new AsyncResource('LAGOON_LOCK');
  const signal = bindListeners(controller.signal, "A listener of a lock's signal");
  const aborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get as () => boolean;
  Object.defineProperty(signal, 'aborted', {
    configurable: true,
    get() {
      notice();
      return aborted.call(signal);
    },
  });
  Object.defineProperty(signal, 'throwIfAborted', {
    configurable: true,
    value: () => {
      if (signal.aborted) throw signal.reason;
    },
  });
  return { signal, abort: (reason) => context.runInAsyncScope(() => controller.abort(reason)) };
}
