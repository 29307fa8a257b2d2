import { aborted, whenAborted } from '../pool/abort.js';

/** One call of a loader, and those who wait for it. */
export interface Flight<T> {
  /** What it loads, and for which cache. */
  readonly owner: object;
  readonly key: string;
  /** What the lock is called under which it loads, if there is one. */
  readonly lock: string | undefined;
  /** Whether it began without anyone who waits for it, while an older value served. */
  readonly background: boolean;
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
  /** Ends the wait for its loader, which need not listen to its signal. */
  abandon: ((reason: Error) => void) | undefined;
  /** The load whose loader asked for it. */
  readonly parent: Flight<unknown> | undefined;
  /** The loads that its loader asked for, or that it waits for itself. */
  waitsFor: Set<Flight<unknown>> | undefined;
  /** Whether its loader was called. */
  called: boolean;
  /** Whether its loader has been called and is waited for. */
  loading: boolean;
}

/** What is known of a load before it begins. */
export type FlightPlan = Pick<Flight<unknown>, 'owner' | 'key' | 'lock' | 'background' | 'tags' | 'parent'>;

/** What is being loaded in this process: one flight per key, which all who ask meanwhile share. */
export class Flights {
  readonly #flights = new Map<string, Flight<unknown>>();
  #keyLength = 0;

  get size(): number {
    return this.#flights.size;
  }

  /** Characters of all keys. */
  get keyLength(): number {
    return this.#keyLength;
  }

  /** `T` is what the caller knows to be loaded for that key. */
  get<T>(key: string): Flight<T> | undefined {
    return this.#flights.get(key) as Flight<T> | undefined;
  }

  start<T>(plan: FlightPlan, run: (flight: Flight<T>) => Promise<T>): Flight<T> {
    const { owner, key, lock, background, tags, parent } = plan;
    // Each by its name, as an object that is spread costs much more.
    const flight: Flight<T> = {
      owner,
      key,
      lock,
      background,
      controller: new AbortController(),
      tags,
      promise: undefined as unknown as Promise<T>,
      callers: 0,
      voided: false,
      storing: undefined,
      refreshed: false,
      abandon: undefined,
      parent,
      waitsFor: undefined,
      called: false,
      loading: false,
    };
    this.#flights.set(key, flight);
    this.#keyLength += key.length;
    flight.promise = run(flight).finally(() => this.#forget(flight));
    // Everybody who waited may be gone.
    flight.promise.catch(() => undefined);
    return flight;
  }

  /**
   * Waits for a flight, which aborts when the last who waits for it does.
   *
   * @param waiter the load that waits for it, if it is one.
   */
  join<T>(flight: Flight<T>, signal: AbortSignal | undefined, waiter: Flight<unknown> | undefined): Promise<T> {
    flight.callers++;
    if (!signal && !waiter) return flight.promise;
    if (waiter) {
      waiter.waitsFor ??= new Set();
      waiter.waitsFor.add(flight);
    }
    return new Promise((resolve, reject) => {
      const stop =
        signal &&
        whenAborted(signal, () => {
          waiter?.waitsFor?.delete(flight);
          reject(aborted(signal));
          if (--flight.callers === 0) this.end(flight, aborted(signal));
        });
      const over = () => {
        stop?.();
        waiter?.waitsFor?.delete(flight);
      };
      flight.promise.then(resolve, reject).finally(over);
    });
  }

  /** Ends a load that is wanted no longer: its signal aborts, and the next who asks starts another. */
  end(flight: Flight<unknown>, reason: Error): void {
    this.#forget(flight);
    flight.controller.abort(reason);
    flight.abandon?.(reason);
  }

  /** What is being loaded for a key is not stored; what is being stored, if anything is. */
  void(key: string): Promise<unknown> | undefined {
    const flight = this.#flights.get(key);
    if (!flight) return undefined;
    flight.voided = true;
    this.#forget(flight);
    return flight.storing?.catch(() => undefined);
  }

  /** The same for all keys, or loads, that match. */
  voidAll(matches: (key: string, tags: readonly string[]) => boolean): (Promise<unknown> | undefined)[] {
    const matching = [...this.#flights].filter(([key, { tags }]) => matches(key, tags));
    return matching.map(([key]) => this.void(key));
  }

  #forget(flight: Flight<unknown>): void {
    if (this.#flights.get(flight.key) !== flight) return;
    this.#flights.delete(flight.key);
    this.#keyLength -= flight.key.length;
  }
}
