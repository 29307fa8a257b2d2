import { aborted, whenAborted } from '../pool/abort.js';

/** One call of a loader, and those who wait for it. */
export interface Flight<T> {
  readonly controller: AbortController;
  readonly tags: readonly string[];
  promise: Promise<T>;
  /** Who waits and could abort. */
  callers: number;
  /** Whether its key was written or removed meanwhile, so that what it loads is not stored. */
  voided: boolean;
  storing: Promise<void> | undefined;
  /** Whether the value was refreshed while this one read it. */
  refreshed: boolean;
}

/** What is being loaded in this process: one flight per key, which all who ask meanwhile share. */
export class Flights {
  readonly #flights = new Map<string, Flight<unknown>>();

  /** `T` is what the caller knows to be loaded for that key. */
  get<T>(key: string): Flight<T> | undefined {
    return this.#flights.get(key) as Flight<T> | undefined;
  }

  start<T>(key: string, tags: readonly string[], run: (flight: Flight<T>) => Promise<T>): Flight<T> {
    const flight: Flight<T> = {
      controller: new AbortController(),
      tags,
      promise: undefined as unknown as Promise<T>,
      callers: 0,
      voided: false,
      storing: undefined,
      refreshed: false,
    };
    this.#flights.set(key, flight);
    flight.promise = run(flight).finally(() => this.#forget(key, flight));
    // Everybody who waited may be gone.
    flight.promise.catch(() => undefined);
    return flight;
  }

  /** Waits for a flight, which aborts when the last who waits for it does. */
  join<T>(key: string, flight: Flight<T>, signal: AbortSignal | undefined): Promise<T> {
    flight.callers++;
    if (!signal) return flight.promise;
    return new Promise((resolve, reject) => {
      const stop = whenAborted(signal, () => {
        reject(aborted(signal));
        if (--flight.callers > 0) return;
        this.#forget(key, flight);
        flight.controller.abort(aborted(signal));
      });
      flight.promise.then(resolve, reject).finally(stop);
    });
  }

  /** What is being loaded for a key is not stored; resolves once nothing is being stored any more. */
  async void(key: string): Promise<void> {
    const flight = this.#flights.get(key);
    if (!flight) return;
    flight.voided = true;
    this.#flights.delete(key);
    await flight.storing?.catch(() => undefined);
  }

  /** The same for all keys, or loads, that match. */
  async voidAll(matches: (key: string, tags: readonly string[]) => boolean): Promise<void> {
    const matching = [...this.#flights].filter(([key, { tags }]) => matches(key, tags));
    await Promise.all(matching.map(([key]) => this.void(key)));
  }

  #forget(key: string, flight: Flight<unknown>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
