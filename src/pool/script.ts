import { createHash } from 'node:crypto';
import type { RedisArgument } from 'redis';
import { InvalidArgumentError, ReplyError } from '../errors.js';
import type { CommandOptions, PoolCore } from './core.js';
import { onlyReply } from './script-replies.js';

/** What {@link defineScript} takes. */
export interface ScriptDefinition<Reply> {
  /** The source. */
  readonly lua: string;
  /** How many keys one call has; default: any number. Needed with `batch`. */
  readonly keys?: number;
  /** How many arguments one call has; default: any number. Needed with `batch`. */
  readonly args?: number;
  /** Makes the reply of one call; default: the reply as node-redis decodes it. */
  readonly transform?: (reply: unknown) => Reply;
  /**
   * Lets calls of one turn of the event loop share one script call, this many at most; default: every call by itself.
   * The script then serves any number of calls: their keys and arguments stand one behind the other in KEYS and ARGV, and
   * it returns an array with one reply per call, where an error (`redis.error_reply`) is the error of that call alone. To a
   * call that is alone it may return the reply itself, unless that is an array: an array costs Redis as much as a command.
   * Where calls have come one at a time for a while, the first of a turn goes ahead of the others.
   */
  readonly batch?: number;
  /** @internal What is under way needs its calls to end: they are let through while the pool closes. */
  readonly whileClosing?: boolean;
  /** The arguments of most calls, if there are such: where all that share a script call have this very array, ARGV has none of it. */
  readonly usual?: readonly ScriptArgument[];
}

/** A script that `runScript` runs; made by {@link defineScript}. */
export interface Script<Reply = unknown> extends ScriptDefinition<Reply> {
  /** Its SHA-1, by which Redis knows it. */
  readonly sha: string;
}

/** An argument of a script; a number is sent in decimal. */
export type ScriptArgument = RedisArgument | number;

/** Who made a call of a script, and is told how it ended. */
export interface ScriptCall<Reply = unknown> {
  settle(reply: Reply): void;
  fail(error: Error): void;
}

/** Keys and arguments that all calls of a batched script have in common: they stand once, in front of those of the calls. */
export interface SharedPart {
  readonly keys: readonly RedisArgument[];
  readonly args: readonly ScriptArgument[];
}

/** What runs scripts, as a pool does. */
export interface RunsScripts {
  runScript<Reply>(
    script: Script<Reply>,
    keys: readonly RedisArgument[],
    args?: readonly ScriptArgument[],
    shared?: SharedPart,
  ): Promise<Reply>;
  /** As `runScript`, for who is told without a promise how it ended. */
  callScript<Reply>(
    script: Script<Reply>,
    keys: readonly RedisArgument[],
    args: readonly ScriptArgument[],
    call: ScriptCall<Reply>,
    shared?: SharedPart,
  ): void;
}

/**
 * Defines a Lua script once, for any number of calls of `runScript`.
 *
 * @throws {InvalidArgumentError} if the source is empty, a count is not a whole number, `batch` stands without counts, or
 *   `usual` is not as many arguments as one call has.
 */
export function defineScript<Reply = unknown>(definition: ScriptDefinition<Reply>): Script<Reply> {
  const { lua, keys, args, batch, usual } = definition;
  if (typeof lua !== 'string' || lua.trim() === '')
    throw new InvalidArgumentError('lua must be the source of a script');
  for (const [name, count, least] of [
    ['keys', keys, 0],
    ['args', args, 0],
    ['batch', batch, 1],
  ] as const) {
    if (count !== undefined && !(Number.isSafeInteger(count) && count >= least)) {
      throw new InvalidArgumentError(`${name} must be a whole number of ${least} or more, got ${String(count)}`);
    }
  }
  if (batch !== undefined && (keys === undefined || keys === 0 || args === undefined)) {
    throw new InvalidArgumentError('A script with batch needs the number of keys (1 or more) and args of one call');
  }
  if (usual !== undefined && encodeArguments(usual, []).length !== args) {
    throw new InvalidArgumentError(`usual must be the arguments of one call: args says how many, got ${usual.length}`);
  }
  let sha: string | undefined;
  return Object.freeze({
    ...definition,
    // When it is first needed: a module defines many that a process never runs.
    get sha() {
      sha ??= createHash('sha1').update(lua).digest('hex');
      return sha;
    },
  });
}

/** Checks one call's keys and arguments against the definition. */
export function checkCall(script: Script, keys: readonly RedisArgument[], args: readonly ScriptArgument[]): void {
  if (!Array.isArray(keys) || !Array.isArray(args)) {
    throw new InvalidArgumentError('runScript takes an array of keys and an array of arguments');
  }
  if (script.keys !== undefined && keys.length !== script.keys) throw wrongCount('keys', script.keys, keys.length);
  if (script.args !== undefined && args.length !== script.args) throw wrongCount('args', script.args, args.length);
}

/** Adds the keys to `target` as they are sent. */
export function encodeKeys(
  keys: readonly RedisArgument[],
  keyPrefix: string,
  target: RedisArgument[],
): RedisArgument[] {
  const { length } = target;
  try {
    for (const key of keys) target.push(prefixed(keyPrefix, key));
    return target;
  } catch (error) {
    target.length = length;
    throw error;
  }
}

/** Adds the arguments to `target` as they are sent. */
export function encodeArguments(args: readonly ScriptArgument[], target: RedisArgument[]): RedisArgument[] {
  const { length } = target;
  try {
    for (const arg of args) target.push(encodeArgument(arg));
    return target;
  } catch (error) {
    target.length = length;
    throw error;
  }
}

/** The keys of one call as they are sent, those that it shares with others in front. */
export function encodeAllKeys(
  keys: readonly RedisArgument[],
  shared: SharedPart | undefined,
  keyPrefix: string,
): RedisArgument[] {
  return encodeKeys(keys, keyPrefix, shared ? encodeKeys(shared.keys, keyPrefix, []) : []);
}

/** What a script is sent to: one server, or all that a pool leads to. */
export type ScriptTarget = Pick<PoolCore, 'config' | 'submit'>;

/** What a server says that does not know a script. */
const NOT_KNOWN = 'NOSCRIPT';

/** The options of a command that calls a script. */
export function scriptOptions(
  { whileClosing }: Pick<Script, 'whileClosing'>,
  { replicas: _, ...options }: CommandOptions,
): CommandOptions {
  return { ...options, expected: NOT_KNOWN, ...(whileClosing && { whileClosing }) };
}

/** The command that calls a script, with keys and arguments as they are sent. */
export function evalsha(
  script: Script,
  keys: readonly RedisArgument[],
  args: readonly RedisArgument[],
): RedisArgument[] {
  return ['EVALSHA', script.sha, String(keys.length), ...keys, ...args];
}

/**
 * Sends what {@link evalsha} makes, and EVAL for this call if the server does not know the script. Resolves with what `use` makes
 * of the reply, or `fail` of the error; default: it rejects with it.
 *
 * @param options made by {@link scriptOptions}, so that what is put right here is no failure in the query log.
 */
export function evaluate<T>(
  core: ScriptTarget,
  script: Script,
  command: readonly RedisArgument[],
  options: CommandOptions,
  use: (reply: unknown) => T,
  fail: (error: Error) => T = rethrow,
): Promise<T> {
  return core.submit(command, undefined, options).then(use, (error) => {
    if (error instanceof ReplyError && error.replyCode === NOT_KNOWN) {
      return core.submit(['EVAL', script.lua, ...command.slice(2)], undefined, options).then(use, fail);
    }
    return fail(error);
  });
}

function rethrow(error: Error): never {
  throw error;
}

/**
 * One call that has a script call to itself, with the reply as the script makes it.
 *
 * @throws {InvalidArgumentError} if a key or an argument cannot be sent.
 */
export async function callAlone<Reply>(
  core: ScriptTarget,
  script: Script<Reply>,
  keys: readonly RedisArgument[],
  args: readonly ScriptArgument[],
  shared: SharedPart | undefined,
  options: CommandOptions,
): Promise<Reply> {
  const allKeys = encodeAllKeys(keys, shared, core.config.keyPrefix);
  const allArgs = encodeArguments(args, shared ? encodeArguments(shared.args, []) : []);
  const { batch, transform = (own: unknown) => own as Reply } = script;
  const command = evalsha(script, allKeys, allArgs);
  return evaluate(core, script, command, scriptOptions(script, options), (reply) =>
    transform(batch === undefined ? reply : onlyReply(reply, command)),
  );
}

function prefixed(prefix: string, key: RedisArgument): RedisArgument {
  if (typeof key === 'string') return prefix + key;
  if (Buffer.isBuffer(key)) return prefix === '' ? key : Buffer.concat([Buffer.from(prefix), key]);
  throw new InvalidArgumentError(`A script's key must be a string or a Buffer, got ${typeof key}`);
}

function encodeArgument(argument: ScriptArgument): RedisArgument {
  if (typeof argument === 'string' || Buffer.isBuffer(argument)) return argument;
  if (typeof argument === 'number' && Number.isFinite(argument)) return String(argument);
  throw new InvalidArgumentError(
    `A script's argument must be a string, a Buffer or a finite number, got ${shown(argument)}`,
  );
}

/** A number is named, as it is no secret which of those that are not finite it is; of anything else only its type. */
function shown(argument: unknown): string {
  return typeof argument === 'number' ? String(argument) : argument === null ? 'null' : typeof argument;
}

function wrongCount(what: string, expected: number, got: number): InvalidArgumentError {
  return new InvalidArgumentError(`The script takes ${expected} ${what}, got ${got}`);
}
