import { AsyncLocalStorage } from 'node:async_hooks';
import { RecursiveLoadError } from './errors.js';
import type { Flight } from './flights.js';

/** One for all caches of the process, as the loaders of one can ask another. */
let contexts: AsyncLocalStorage<Flight<unknown>> | undefined;
/** Loaders that are being called. */
let loading = 0;
let endsSoon = false;

/**
 * The load by whose loader this is called, in its async context, while that loader runs. What a loader leaves behind (a timer, a
 * connection's listener) has its context too, but is not waited for once the loader is over.
 */
export function currentLoad(): Flight<unknown> | undefined {
  if (loading === 0) return undefined;
  const flight = contexts?.getStore();
  return flight?.loading ? flight : undefined;
}

/** Calls a load's loader, in an async context that leads back to the load. {@link leaveLoader} must follow. */
export function enterLoader<R>(flight: Flight<unknown>, loader: () => R): R {
  contexts ??= new AsyncLocalStorage();
  loading++;
  flight.loading = true;
  return contexts.run(flight, loader);
}

/** To be called once when the loader is over, or nobody waits for it any more. */
export function leaveLoader(flight: Flight<unknown>): void {
  flight.loading = false;
  if (--loading > 0 || endsSoon) return;
  endsSoon = true;
  // Before Node 24 every promise of the process costs more while contexts are followed; to begin and end that costs some µs, so not
  // for each of the loaders of one turn of the event loop.
  setImmediate(() => {
    endsSoon = false;
    if (loading === 0) contexts?.disable();
  });
}

/**
 * Refuses what would wait for itself. `asking` is the load whose loader asks, `joined` the one that it is about to wait for, if the key
 * is being loaded already.
 *
 * @throws {RecursiveLoadError}
 */
export function refuseRecursion(
  asking: Flight<unknown>,
  { owner, key, lock }: Pick<Flight<unknown>, 'owner' | 'key' | 'lock'>,
  joined: Flight<unknown> | undefined,
): void {
  for (let load: Flight<unknown> | undefined = asking; load; load = waitingParent(load)) {
    if (load.owner === owner && load.key === key) throw new RecursiveLoadError();
    // Another cache of the same keys: it waits for the lock that this load holds.
    if (lock !== undefined && load.lock === lock) throw new RecursiveLoadError();
  }
  if (joined && leadsTo(joined, asking)) throw new RecursiveLoadError();
}

/** The load whose loader waits for this one. That loader may be over, or have ended its wait. */
function waitingParent(load: Flight<unknown>): Flight<unknown> | undefined {
  const { parent } = load;
  return parent?.loading && parent.waitsFor?.has(load) ? parent : undefined;
}

/** Whether a load waits for another, directly or through more of them. Two loaders that ask for each other's keys do. */
export function leadsTo(from: Flight<unknown>, to: Flight<unknown>): boolean {
  const seen = new Set<Flight<unknown>>();
  const open = [from];
  for (let load = open.pop(); load; load = open.pop()) {
    if (load === to) return true;
    if (seen.has(load)) continue;
    seen.add(load);
    if (load.waitsFor) open.push(...load.waitsFor);
  }
  return false;
}
