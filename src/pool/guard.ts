import type { RedisArgument } from 'redis';
import { CommandRefusedError, InvalidArgumentError } from '../errors.js';
import { COMMAND_TABLE, type Rule } from './command-table.js';

const RULES: ReadonlyMap<RedisArgument | undefined, Rule> = new Map(Object.entries(COMMAND_TABLE));
const CONTAINERS: ReadonlySet<RedisArgument | undefined> = new Set(
  Object.keys(COMMAND_TABLE).flatMap((name) => (name.includes(' ') ? [name.slice(0, name.indexOf(' '))] : [])),
);

/** The rule of a command that a typed method encoded, whose name is therefore an upper-case string. */
export function ruleOfTyped(args: readonly RedisArgument[]): Rule | undefined {
  const name = args[0];
  return CONTAINERS.has(name) ? RULES.get(`${name} ${upper(args[1])}`) : RULES.get(name);
}

/** The rule of a command as a caller wrote it: in any letter case, as strings or Buffers. */
export function ruleOfRaw(args: readonly RedisArgument[]): Rule | undefined {
  const name = upper(args[0]);
  return RULES.get(CONTAINERS.has(name) ? `${name} ${upper(args[1])}` : name);
}

/** The command's name for messages: `GET`, `CLIENT REPLY`. */
export function commandName(args: readonly RedisArgument[]): string {
  const name = upper(args[0]);
  return CONTAINERS.has(name) && args.length > 1 ? `${name} ${upper(args[1])}` : name;
}

/** The error for a command that its rule keeps from where it was tried. */
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
