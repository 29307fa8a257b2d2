import { AsyncResource } from 'node:async_hooks';
import { types } from 'node:util';
import { log } from './debug.js';

type Callback<Args extends readonly unknown[]> = (...args: Args) => unknown;

/**
 * Makes a function that calls a callback of the user in the async context of now: that in which it is registered. It never
 * throws: the first failure of the callback is a process warning, `DEBUG=lagoon:observe` shows all.
 *
 * @param name opens the warning: "onDown of a rate limiter".
 * @param code of the warning; default `LAGOON_LISTENER`.
 */
export function bindUserCallback<const Args extends readonly unknown[]>(
  name: string,
  callback: Callback<Args>,
  code = 'LAGOON_LISTENER',
): (...args: Args) => void {
  const context = new AsyncResource('LAGOON_CALLBACK');
  let warned = false;
  const report = (error: unknown) => {
    log.observe('%s failed: %s', name, describe(error, 'stack'));
    if (warned) return;
    warned = true;
    const message = `${name} failed: ${describe(error, 'message')}. DEBUG=lagoon:observe shows further failures of it.`;
    process.emitWarning(message, { type: 'LagoonWarning', code });
  };
  return (...args) => context.runInAsyncScope(callUserCallback<Args>, undefined, callback, args, report);
}

/** Calls a callback of the user, and tells `report` what it throws or, if it is asynchronous, rejects with. */
export function callUserCallback<const Args extends readonly unknown[]>(
  callback: Callback<Args>,
  args: Args,
  report: (error: unknown) => void,
): void {
  try {
    const result = callback(...args);
    if (isThenable(result)) Promise.resolve(result).then(undefined, report);
  } catch (error) {
    report(error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isObject && typeof (value as { then?: unknown }).then === 'function';
}

// An error of the user can be anything, and reading it can throw.
function describe(error: unknown, detail: 'message' | 'stack'): string {
  try {
    // One of another realm, as in a test runner, is no instance of ours.
    if (!isError(error)) return typeof error === 'string' ? error : typeof error;
    return (detail === 'stack' && error.stack) || `${error.name}: ${error.message}`;
  } catch {
    return 'an error that cannot be read';
  }
}

function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}
