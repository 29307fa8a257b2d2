import { safeName } from './config/issues.js';
import { nearestName } from './config/nearest.js';
import { InvalidArgumentError } from './errors.js';

/** The option names of all members of a union; `keyof` has only those that the members have in common. */
type NameOf<Options> = Options extends unknown ? keyof Options & string : never;

/** What is known of the options of a type: `true`, or other names under which people look for the option. */
type Names = Readonly<Record<string, true | readonly string[]>>;

/**
 * The table of an options type: each of its options, and nothing else, which the compiler checks. An option stands with `true`, or with
 * the names that other libraries have for it, so that an error can point from those to the right one.
 */
export type OptionTable<Options> = Readonly<Record<NameOf<Options>, true | readonly string[]>>;

/** A name longer than this is cut where it is shown. */
const MOST_SHOWN = 40;

/**
 * Checks the names of a call's options. The values are checked by the call. Costs some 20 ns.
 *
 * @param call what takes the options, as its user writes it: `getCache`, or `local of getCache` for options inside of options.
 * @param options what the user gave, after a default for `undefined`.
 * @param known the table of the options type.
 * @throws {InvalidArgumentError} if `options` cannot hold options (null, a string, an array, a Date, an AbortSignal …), or has a name
 *   that is not in the table. The message shows the nearest name, and never a value.
 */
export function checkOptions(call: string, options: unknown, known: Names): asserts options is object {
  if (!holdsOptions(options)) {
    const names = Object.keys(known).join(', ');
    throw new InvalidArgumentError(`${call} takes an object with options (${names}), got ${kindOf(options)}`);
  }
  // Inherited names too: an option that a class or Object.create hands down is read like any other.
  for (const name in options) if (!Object.hasOwn(known, name)) refuse(call, options, name, known);
}

function holdsOptions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  // An instance of the user's class, or an object of another realm. What the language or Node made has a tag of its own.
  return Object.prototype.toString.call(value) === '[object Object]';
}

function refuse(call: string, options: object, name: string, known: Names): void {
  // A polyfill may have put it on all objects.
  if (name in Object.prototype && !Object.hasOwn(options, name)) return;
  const names = Object.keys(known);
  const meant = otherwiseCalled(name, known) ?? nearestName(name, names);
  const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`;
  const shown = name.length > MOST_SHOWN ? `${name.slice(0, MOST_SHOWN)}…` : name;
  throw new InvalidArgumentError(
    `${JSON.stringify(safeName(shown))} is not an option of ${call}${hint} (allowed: ${names.join(', ')})`,
  );
}

function otherwiseCalled(name: string, known: Names): string | undefined {
  const lower = name.toLowerCase();
  for (const [option, others] of Object.entries(known)) {
    if (others !== true && others.some((other) => other.toLowerCase() === lower)) return option;
  }
  return undefined;
}

/** Says what a value is, without what it holds. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== 'object' && typeof value !== 'function') return `a ${typeof value}`;
  // Its class for what the language and Node make: Array, Date, AbortSignal, Function.
  return `a value of type ${Object.prototype.toString.call(value).slice('[object '.length, -1)}`;
}
