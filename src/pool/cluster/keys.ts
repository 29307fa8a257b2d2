import type { RedisArgument } from 'redis';
import type { CommandKeys } from '../../config/types.js';
import { CrossSlotError } from '../../errors.js';
import { knownCommands } from '../known-commands.js';
import { slotOf } from './slot.js';

/** Where the keys of a command stand among its arguments, the name at 0: calls `visit` with the index of each, in order. */
type KeySpec = (args: readonly RedisArgument[], visit: (index: number) => void) => void;

const NO_KEYS: KeySpec = () => {};
const at =
  (...indexes: number[]): KeySpec =>
  (args, visit) => {
    for (const index of indexes) if (index < args.length) visit(index);
  };
/** From `first` on to the end, or to so many before it; every `step`th argument is a key. */
const from =
  (first: number, step = 1, beforeEnd = 0): KeySpec =>
  (args, visit) => {
    for (let i = first; i < args.length - beforeEnd; i += step) visit(i);
  };
/** From `first` to `last`. */
const upTo =
  (first: number, last: number, step: number): KeySpec =>
  (args, visit) => {
    for (let i = first; i <= last && i < args.length; i += step) visit(i);
  };
/** A number of keys at `count`, and the keys behind it; `others` are keys as well. */
const counted =
  (count: number, ...others: number[]): KeySpec =>
  (args, visit) => {
    for (const other of others) visit(other);
    const keys = Number(String(args[count]));
    for (let i = count + 1; i <= count + keys && i < args.length; i++) visit(i);
  };
/** XREAD and XREADGROUP: behind STREAMS come as many ids as keys. */
const STREAMS: KeySpec = (args, visit) => {
  const start = args.findIndex((arg) => String(arg).toUpperCase() === 'STREAMS') + 1;
  if (start > 0) for (let i = start; i < start + (args.length - start) / 2; i++) visit(i);
};
/** One key at 1, and those behind the words of STORE. */
const STORES: KeySpec = (args, visit) => {
  visit(1);
  for (let i = 2; i < args.length - 1; i++) if (/^STORE(DIST)?$/i.test(String(args[i]))) visit(i + 1);
};
/** MIGRATE host port key, or an empty one and the keys behind KEYS. */
const MIGRATE: KeySpec = (args, visit) => {
  if (String(args[3]) !== '') return visit(3);
  const keys = args.findIndex((arg) => String(arg).toUpperCase() === 'KEYS');
  if (keys > 0) for (let i = keys + 1; i < args.length; i++) visit(i);
};

const SPECS: readonly (readonly [spec: KeySpec, names: string])[] = [
  [
    from(1),
    'DEL UNLINK EXISTS TOUCH MGET WATCH SINTER SUNION SDIFF SINTERSTORE SUNIONSTORE SDIFFSTORE PFCOUNT PFMERGE',
  ],
  [from(1), 'SSUBSCRIBE SUNSUBSCRIBE'],
  [from(1, 2), 'MSET MSETNX'],
  [from(1, 1, 1), 'BLPOP BRPOP BZPOPMIN BZPOPMAX JSON.MGET'],
  [from(1, 3), 'JSON.MSET TS.MADD'],
  [from(2), 'BITOP'],
  [
    at(1, 2),
    'RENAME RENAMENX COPY SMOVE LMOVE BLMOVE LMOVEM BLMOVEM RPOPLPUSH BRPOPLPUSH GEOSEARCHSTORE ZRANGESTORE LCS',
  ],
  [at(1, 2), 'TS.CREATERULE TS.DELETERULE'],
  [at(2), 'OBJECT XINFO XGROUP MEMORY BF.DEBUG CF.DEBUG JSON.DEBUG'],
  [counted(1), 'ZUNION ZINTER ZDIFF ZINTERCARD SINTERCARD SUNIONCARD SDIFFCARD LMPOP ZMPOP'],
  [counted(2), 'EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO BLMPOP BZMPOP'],
  [counted(2, 1), 'ZUNIONSTORE ZINTERSTORE ZDIFFSTORE CMS.MERGE TDIGEST.MERGE'],
  [
    (args, visit) => {
      for (let i = 0; i < Number(String(args[1])); i++) visit(2 + 2 * i);
    },
    'MSETEX',
  ],
  [counted(1), 'TS.NRANGE TS.NREVRANGE'],
  [STREAMS, 'XREAD XREADGROUP'],
  [STORES, 'SORT SORT_RO GEORADIUS GEORADIUSBYMEMBER'],
  [MIGRATE, 'MIGRATE'],
];

/** The key at 1, as most commands have it. */
const FIRST = at(1);

let specs: ReadonlyMap<RedisArgument | undefined, KeySpec> | undefined;

// Which commands there are, and which of them have no key, node-redis knows.
function makeSpecs(): ReadonlyMap<RedisArgument | undefined, KeySpec> {
  const made = new Map<RedisArgument | undefined, KeySpec>();
  for (const [name, { isKeyless }] of knownCommands()) made.set(name, isKeyless ? NO_KEYS : FIRST);
  for (const [spec, names] of SPECS) for (const name of names.split(' ')) made.set(name, spec);
  return made;
}

/** Stands for a slot where a command has no key. */
export const NO_SLOT = -1;

/**
 * The hash slot of a command's keys, or {@link NO_SLOT}. A command that is not known has its key at 1.
 *
 * @throws {CrossSlotError} if its keys are of more than one slot.
 */
export function slotOfCommand(args: readonly RedisArgument[], declared?: ReadonlyMap<string, CommandKeys>): number {
  const spec = specOf(args, declared);
  if (spec === FIRST) return args.length > 1 ? slotOf(args[1] as RedisArgument) : NO_SLOT;
  let slot = NO_SLOT;
  let first: RedisArgument = '';
  spec(args, (index) => {
    const key = args[index] as RedisArgument;
    const own = slotOf(key);
    if (slot === NO_SLOT) {
      slot = own;
      first = key;
    } else if (own !== slot) throw new CrossSlotError(String(args[0]).toUpperCase(), first, key);
  });
  return slot;
}

/**
 * The hash slot that all of `keys` share, or {@link NO_SLOT} for none.
 *
 * @throws {CrossSlotError} if they are of more than one slot.
 */
export function sharedSlot(what: string, keys: readonly RedisArgument[]): number {
  let slot = NO_SLOT;
  for (const key of keys) {
    const own = slotOf(key);
    if (slot !== NO_SLOT && own !== slot) throw new CrossSlotError(what, keys[0] as RedisArgument, key);
    slot = own;
  }
  return slot;
}

/**
 * The hash slot that the keys of all `commands` share, or {@link NO_SLOT} if none has a key.
 *
 * @throws {CrossSlotError} if they are of more than one slot.
 */
export function slotOfCommands(
  what: string,
  commands: readonly (readonly RedisArgument[])[],
  declared?: ReadonlyMap<string, CommandKeys>,
): number {
  let first: readonly RedisArgument[] | undefined;
  let slot = NO_SLOT;
  for (const args of commands) {
    const own = slotOfCommand(args, declared);
    if (own === NO_SLOT) continue;
    if (slot === NO_SLOT) {
      slot = own;
      first = args;
    } else if (own !== slot) {
      throw new CrossSlotError(what, keysOf(first ?? args, declared)[0] ?? '', keysOf(args, declared)[0] ?? '');
    }
  }
  return slot;
}

/** The keys of a command, in their order. */
export function keysOf(args: readonly RedisArgument[], declared?: ReadonlyMap<string, CommandKeys>): RedisArgument[] {
  const keys: RedisArgument[] = [];
  specOf(args, declared)(args, (index) => keys.push(args[index] as RedisArgument));
  return keys;
}

// The names that node-redis writes are found at the first look; a caller's own may be in any letter case.
function specOf(args: readonly RedisArgument[], declared: ReadonlyMap<string, CommandKeys> | undefined): KeySpec {
  specs ??= makeSpecs();
  const found = specs.get(args[0]);
  if (found) return found;
  const name = String(args[0]).toUpperCase();
  return specs.get(name) ?? specOfDeclared(declared?.get(name));
}

/** The keys of a command that the configuration of a pool declares. */
function specOfDeclared(keys: CommandKeys | undefined): KeySpec {
  if (keys === undefined) return FIRST;
  if (keys === 'none') return NO_KEYS;
  if ('count' in keys) return counted(keys.count);
  const { first, last = first, step = 1 } = keys;
  // A negative one counts from the end, as in the server's COMMAND.
  return last < 0 ? from(first, step, -1 - last) : upTo(first, last, step);
}
