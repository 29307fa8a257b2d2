import type { RedisArgument } from 'redis';
import { CommandRefusedError, InvalidArgumentError } from '../errors.js';
import { assertWord, COMMAND_TABLE, FURTHER_COMMANDS, type Rule, UNTRUSTED } from './command-table.js';
import { knownCommands } from './known-commands.js';

/** A command that Lagoon knows; without a rule it is forwarded. */
interface Guarded {
  readonly rule: Rule | undefined;
  /** By their upper-case name, where the command has any. */
  subcommands: Map<RedisArgument | undefined, Rule | undefined> | undefined;
}

type Guards = ReadonlyMap<RedisArgument | undefined, Guarded>;

const RULES: ReadonlyMap<RedisArgument | undefined, Rule> = new Map(Object.entries(COMMAND_TABLE));
const CONTAINERS: ReadonlySet<RedisArgument | undefined> = new Set(
  Object.keys(COMMAND_TABLE).flatMap((name) => (name.includes(' ') ? [name.slice(0, name.indexOf(' '))] : [])),
);

let guards: Guards | undefined;

function makeGuards(): Guards {
  const made = new Map<string, Guarded>();
  const guardOf = (name: string) => {
    let guard = made.get(name);
    if (!guard) {
      guard = { rule: RULES.get(name), subcommands: undefined };
      made.set(name, guard);
    }
    return guard;
  };
  for (const name of [...knownCommands().keys(), ...FURTHER_COMMANDS, ...RULES.keys()]) {
    const [first = '', second] = String(name).split(' ');
    const guard = guardOf(first);
    if (second === undefined) continue;
    guard.subcommands ??= new Map();
    guard.subcommands.set(second, RULES.get(name));
  }
  return made;
}

/** Returns the rule of a command that a typed method encoded, whose name is therefore an upper-case string. */
export function ruleOfTyped(args: readonly RedisArgument[]): Rule | undefined {
  const name = args[0];
  return CONTAINERS.has(name) ? RULES.get(`${name} ${upper(args[1])}`) : RULES.get(name);
}

/**
 * Returns the rule of a command as a caller wrote it: in any letter case, as strings or Buffers. A command that no table knows
 * is untrusted, unless the pool's configuration declares it (`declared`, by upper-case names).
 *
 * @throws {InvalidArgumentError} if the name, the subcommand or an option that the rule depends on has characters that Redis
 *   may read otherwise.
 */
export function ruleOfRaw(args: readonly RedisArgument[], declared?: DeclaredCommands): Rule | undefined {
  guards ??= makeGuards();
  const guard = guards.get(args[0]) ?? guards.get(nameOf(args));
  if (guard === undefined) return declared?.has(upper(args[0])) ? undefined : UNTRUSTED;
  const { rule, subcommands } = guard;
  if (rule !== undefined) {
    if (rule.kind === 'blocking') rule.checkWords?.(args);
    return rule;
  }
  return subcommands === undefined || args.length < 2 ? undefined : ruleOfSubcommand(args, subcommands);
}

/** Commands that the configuration of a pool declares as safe to share, by their upper-case names. */
export type DeclaredCommands = Pick<ReadonlySet<string>, 'has'>;

/** Whether Lagoon knows a command of this upper-case name, so that a configuration has no say in it. */
export function isKnown(name: string): boolean {
  guards ??= makeGuards();
  return guards.has(name);
}

function ruleOfSubcommand(args: readonly RedisArgument[], subcommands: NonNullable<Guarded['subcommands']>) {
  const written = args[1];
  if (subcommands.has(written)) return subcommands.get(written);
  assertWord(args, 1, 'subcommand');
  const name = upper(written);
  return subcommands.has(name) ? subcommands.get(name) : UNTRUSTED;
}

function nameOf(args: readonly RedisArgument[]): string {
  assertWord(args, 0, 'command');
  return upper(args[0]);
}

/** Returns the command's name for messages: `GET`, `CLIENT REPLY`. */
export function commandName(args: readonly RedisArgument[]): string {
  const name = upper(args[0]);
  return CONTAINERS.has(name) && args.length > 1 ? `${name} ${upper(args[1])}` : name;
}

/** Returns the error for a command that its rule keeps from where it was tried. */
export function refusal(args: readonly RedisArgument[], rule: Extract<Rule, { why: string }>): CommandRefusedError {
  return new CommandRefusedError(commandName(args), rule.why);
}

/**
 * Throws unless `args` can be written as a command.
 *
 * @throws {InvalidArgumentError} if it is not an array of strings and Buffers with a name in front.
 */
export function assertCommand(args: readonly RedisArgument[]): void {
  if (!Array.isArray(args) || args.length === 0) {
    throw new InvalidArgumentError('A command must be a non-empty array of strings and Buffers');
  }
  const wrong = args.findIndex((arg) => typeof arg !== 'string' && !Buffer.isBuffer(arg));
  if (wrong >= 0) {
    throw new InvalidArgumentError(
      `Argument ${wrong} of ${commandName(args)} must be a string or a Buffer, got ${describe(args[wrong])}`,
    );
  }
}

function describe(value: unknown): string {
  return typeof value === 'object' ? (value === null ? 'null' : 'an object') : `${typeof value} ${String(value)}`;
}

function upper(word: RedisArgument | undefined): string {
  return String(word).toUpperCase();
}
