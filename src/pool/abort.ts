import { startTimer } from '../async/timers.js';
import { AbortError } from '../errors.js';

const callbacksOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `callback` when `signal` aborts, until the returned function is called. However many callbacks there are, the signal
 * has one listener: a thousand commands under one signal are no leak that Node should warn of.
 */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = callbacksOf.get(signal) ?? listenTo(signal);
  callbacks.add(callback);
  return () => callbacks.delete(callback);
}

// A function of its own: inside of the other, the listener would keep the first callback for as long as the signal lives.
function listenTo(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  const listener = () => {
    for (const call of [...callbacks]) call();
  };
  // Not the signal's own method: it may bind what it is given to the async context of now, which would be kept.
  EventTarget.prototype.addEventListener.call(signal, 'abort', listener, { once: true });
  callbacksOf.set(signal, callbacks);
  return callbacks;
}

/** What becomes of `work`, or the abort if that comes first; how `work` ends is nobody's concern then. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = whenAborted(signal, () => reject(aborted(signal)));
    if (signal.aborted) reject(aborted(signal));
    work.then(resolve, reject).finally(stop);
  });
}

/**
 * Runs `work` with a signal that aborts as soon as one of `sources` does. They are listened to until `work` is over, and no
 * longer: `AbortSignal.any()` leaves 2 KB at a source that lives on, at every call.
 */
export async function withEither<T>(
  sources: readonly AbortSignal[],
  work: (either: AbortSignal) => Promise<T>,
): Promise<T> {
  const either = new AbortController();
  const stops = sources.map((source) => whenAborted(source, () => either.abort(source.reason)));
  const over = sources.find(({ aborted }) => aborted);
  if (over) either.abort(over.reason);
  try {
    return await work(either.signal);
  } finally {
    for (const stop of stops) stop();
  }
}

/** Resolves after some ms, or when `signal` aborts; keeps no process alive. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = startTimer(end, ms).unref();
    const stop = whenAborted(signal, end);
  });
}

/** The error of an operation that its caller's signal ended; `mayHaveBeenExecuted`: of a command that was written. */
export function aborted(signal: AbortSignal, mayHaveBeenExecuted = false): AbortError {
  const fate = mayHaveBeenExecuted ? '; the command may have been executed' : '';
  const message = `The operation was aborted by its signal${fate}`;
  return new AbortError(message, { cause: signal.reason, mayHaveBeenExecuted });
}
