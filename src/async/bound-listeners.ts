import { bindUserCallback } from '../observe/user-callback.js';

type Add = EventTarget['addEventListener'];
type Remove = EventTarget['removeEventListener'];
type Listener = NonNullable<Parameters<Add>[1]>;

const NAME = Symbol('name');
const LISTENERS = Symbol('listeners');

interface BoundSignal extends AbortSignal {
  /** Opens the warning about a listener that fails. */
  readonly [NAME]: string;
  /** Listeners as the signal got them, by how they were given. */
  [LISTENERS]?: WeakMap<Listener, Listener>;
}

/** A prototype for all signals of a name: their own methods would cost as much as the signal. */
const prototypes = new Map<string, object>();

/**
 * Makes each listener of a signal that is given to users run in the async context in which it is added, and not in that of
 * the caller who aborts. A listener that throws or rejects is a warning.
 *
 * @param name opens that warning: "A listener of a lock's signal".
 */
export function bindListeners(signal: AbortSignal, name: string): AbortSignal {
  let prototype = prototypes.get(name);
  if (!prototype) {
    // A handler that is set as `onabort` comes through `addEventListener` too.
    prototype = Object.create(AbortSignal.prototype, {
      [NAME]: { value: name },
      addEventListener: { value: addBound, configurable: true, writable: true },
      removeEventListener: { value: removeBound, configurable: true, writable: true },
    }) as object;
    prototypes.set(name, prototype);
  }
  return Object.setPrototypeOf(signal, prototype) as AbortSignal;
}

function addBound(this: BoundSignal, ...[type, listener, options]: Parameters<Add>): void {
  EventTarget.prototype.addEventListener.call(this, type, listener && boundListener(this, listener), options);
}

function removeBound(this: BoundSignal, ...[type, listener, options]: Parameters<Remove>): void {
  const bound = listener && this[LISTENERS]?.get(listener);
  EventTarget.prototype.removeEventListener.call(this, type, bound ?? listener, options);
}

function boundListener(signal: BoundSignal, listener: Listener): Listener {
  signal[LISTENERS] ??= new WeakMap();
  const known = signal[LISTENERS].get(listener);
  if (known) return known;
  const call = (event: Event) =>
    typeof listener === 'function' ? listener.call(signal, event) : listener.handleEvent(event);
  const bound = bindUserCallback(signal[NAME], call);
  signal[LISTENERS].set(listener, bound);
  return bound;
}
