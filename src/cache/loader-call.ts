import { startTimer } from '../async/timers.js';
import { LoadTimeoutError } from './errors.js';
import type { Flight, Flights } from './flights.js';
import { enterLoader, leaveLoader } from './load-contexts.js';

/**
 * Calls the loader of a load, and waits for it no longer than `timeoutMs`, or than someone wants what it gives: then the load ends,
 * even if the loader does not listen to its signal. What the loader gives later is dropped.
 *
 * @param flights what the load is among.
 */
export function callLoader<T>(
  flight: Flight<T>,
  flights: Flights,
  loader: () => T | Promise<T>,
  timeoutMs: number | undefined,
): T | Promise<T> {
  flight.called = true;
  let value: T | Promise<T>;
  try {
    value = enterLoader(flight, loader);
  } catch (error) {
    leaveLoader(flight);
    throw error;
  }
  if (isPromise(value)) return inTime(flight, flights, value, timeoutMs);
  leaveLoader(flight);
  return value;
}

function inTime<T>(
  flight: Flight<T>,
  flights: Flights,
  loading: Promise<T>,
  timeoutMs: number | undefined,
): Promise<T> {
  const end = () => flights.end(flight, new LoadTimeoutError(timeoutMs as number));
  const timer = timeoutMs === undefined ? undefined : startTimer(end, timeoutMs).unref();
  return new Promise((resolve, reject) => {
    /** Whether an outcome counts: the first does. */
    const isFirst = () => {
      if (!flight.abandon) return false;
      flight.abandon = undefined;
      clearTimeout(timer);
      leaveLoader(flight);
      return true;
    };
    const fail = (error: Error) => {
      if (isFirst()) reject(error);
    };
    flight.abandon = fail;
    loading.then((value) => {
      if (isFirst()) resolve(value);
    }, fail);
  });
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>> | null | undefined)?.then === 'function';
}
