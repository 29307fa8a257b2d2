import { ErrorReply, type RedisArgument, type RedisClientType, type TypeMapping } from 'redis';
import { ClosedError, type LagoonError } from '../errors.js';
import { bindUserCallback } from '../observe/user-callback.js';
import type { OptionTable } from '../options.js';
import { blockingTimeout, blockOn } from './blocking.js';
import type { Effect, Rule } from './command-table.js';
import type { DefaultTypeMapping, IsolatedCommands, MultiCommands } from './command-types.js';
import { attachCommands, CommandSender } from './commands.js';
import { abortWith, type CommandOptions, type PoolCore } from './core.js';
import { type DeclaredCommands, refusal } from './guard.js';
import type { Lease } from './lease.js';
import { createMulti, executeMulti, executePipeline, type MultiExecutor } from './multi.js';
import type { CommandArgs, Encoder, ReplyTransform } from './node-redis.js';
import type { PendingCommand } from './pending-command.js';
import { cleanReply } from './reply-error.js';
import {
  callAlone,
  checkCall,
  type Script,
  type ScriptArgument,
  type ScriptTarget,
  type SharedPart,
} from './script.js';

type Client = RedisClientType;

/** A connection of one's own inside `isolated(fn)` and `transaction(fn)`: every command of a pool, and those that need a connection to themselves. */
export type IsolatedRedis<TM extends TypeMapping = DefaultTypeMapping> = IsolatedConnection<TM> & IsolatedCommands<TM>;

/** Options of `isolated`. */
export interface IsolatedOptions {
  /** In a cluster, and only there: a key on the server that the connection is to lead to. */
  key?: RedisArgument;
}

export const ISOLATED: OptionTable<IsolatedOptions> = { key: ['routingKey'] };

/** What {@link IsolatedRedis} has beside the commands. */
export class IsolatedConnection<TM extends TypeMapping = DefaultTypeMapping> extends CommandSender {
  /** @internal */
  readonly encoder: Encoder;
  /** @internal */
  readonly declared: DeclaredCommands;
  readonly #core: PoolCore;
  readonly #lease: Lease;
  readonly #options: CommandOptions;
  /** Listeners as the client got them, by how they were given: `unsubscribe` takes the same again. */
  readonly #listeners = new WeakMap<object, unknown>();
  #watching = false;
  #inMulti = false;
  /** What was sent since MULTI. */
  #queued: CommandArgs[] = [];
  #spoiled = false;
  #over = false;

  /** @internal */
  constructor(core: PoolCore, lease: Lease, encoder: Encoder, options: CommandOptions) {
    super();
    this.#core = core;
    this.#lease = lease;
    this.encoder = encoder;
    this.declared = core.config.commands;
    this.#options = options;
  }

  /** Watches keys until the next EXEC, DISCARD or UNWATCH. */
  async watch(key: string | Buffer | readonly (string | Buffer)[]): Promise<'OK'> {
    const keys = Array.isArray(key) ? key : [key];
    const encoded = (this.encoder.del as (keys: unknown) => CommandArgs)(keys).slice(1);
    return this.sendCommand(['WATCH', ...encoded]);
  }

  /** Watches nothing any more. */
  unwatch(): Promise<'OK'> {
    return this.sendCommand(['UNWATCH']);
  }

  /** A transaction on this connection; `exec()` rejects with `TransactionConflictError` if a watched key has changed. */
  multi(): MultiCommands<TM> {
    const target = {
      typeMapping: this.#options.typeMapping,
      command: (args: CommandArgs) => this.#core.command(args, undefined, this.#options),
      submitTogether: (commands: readonly PendingCommand[]) => this.#submitTogether(commands),
    };
    const executor: MultiExecutor = {
      typeMapping: target.typeMapping,
      multi: (commands, untrusted) => {
        if (untrusted) this.#spoiled = true;
        return executeMulti(target, commands);
      },
      pipeline: (commands) => executePipeline(target, commands),
      single: (args, rule) => this.send(args, undefined, rule),
    };
    return createMulti(executor, this.encoder, this.declared) as unknown as MultiCommands<TM>;
  }

  /** As `runScript` of the pool, on this connection, and never together with another call. Not inside a raw MULTI. */
  runScript<Reply>(
    script: Script<Reply>,
    keys: readonly RedisArgument[],
    args: readonly ScriptArgument[] = [],
    shared?: SharedPart,
  ): Promise<Reply> {
    try {
      checkCall(script, keys, args);
      const { config } = this.#core;
      const submit: ScriptTarget['submit'] = (command, transform, options) =>
        this.send(command, transform, undefined, options.expected);
      return callAlone({ config, submit }, script, keys, args, shared, {});
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Shows every command that the server executes; the connection is closed when the callback of `isolated` ends. */
  monitor(...args: Parameters<Client['monitor']>): ReturnType<Client['monitor']> {
    return this.#client().monitor(...this.#bound(args));
  }

  readonly subscribe = ((...args: Parameters<Client['subscribe']>) =>
    this.#client().subscribe(...this.#bound(args))) as Client['subscribe'];
  readonly unsubscribe = ((...args: Parameters<Client['unsubscribe']>) =>
    this.#client().unsubscribe(...this.#bound(args))) as Client['unsubscribe'];
  readonly pSubscribe = ((...args: Parameters<Client['pSubscribe']>) =>
    this.#client().pSubscribe(...this.#bound(args))) as Client['pSubscribe'];
  readonly pUnsubscribe = ((...args: Parameters<Client['pUnsubscribe']>) =>
    this.#client().pUnsubscribe(...this.#bound(args))) as Client['pUnsubscribe'];
  readonly sSubscribe = ((...args: Parameters<Client['sSubscribe']>) =>
    this.#client().sSubscribe(...this.#bound(args))) as Client['sSubscribe'];
  readonly sUnsubscribe = ((...args: Parameters<Client['sUnsubscribe']>) =>
    this.#client().sUnsubscribe(...this.#bound(args))) as Client['sUnsubscribe'];

  /** @internal */
  async send(
    args: CommandArgs,
    transform: ReplyTransform | undefined,
    rule: Rule | undefined,
    expected?: string,
  ): Promise<unknown> {
    this.#assertOpen();
    if (rule?.kind === 'refused') throw refusal(args, rule);
    if (rule?.kind === 'isolated' && rule.method) {
      throw refusal(args, { ...rule, why: `call the method ${rule.method}() of the isolated connection instead` });
    }
    // Inside a MULTI the reply is QUEUED, which no transform expects.
    const options = expected === undefined ? this.#options : { ...this.#options, expected };
    const command = this.#core.command(args, this.#inMulti ? undefined : transform, options);
    const blockMs = rule?.kind === 'blocking' && !this.#inMulti ? rule.blockMs(args) : undefined;
    if (blockMs !== undefined) return blockOn(this.#core, this.#lease, command, this.#options, blockMs);
    this.#submit(command, this.#timeout(args, rule));
    if (this.#inMulti) this.#queued.push(args);
    if (rule?.kind === 'untrusted') this.#distrust();
    if (rule?.kind !== 'isolated' || !rule.effect) return command.promise;
    const executes = this.#inMulti && rule.effect === 'ends-multi';
    this.#apply(rule.effect, command);
    return executes ? this.#withCleanErrors(command.promise) : command.promise;
  }

  /** @internal Cleans the connection and gives it back; what was not awaited is finished first. */
  async end(): Promise<void> {
    this.#over = true;
    const cleanUp = this.#inMulti ? 'DISCARD' : this.#watching ? 'UNWATCH' : 'PING';
    if (this.#spoiled) this.#lease.discard();
    else if (cleanUp !== 'PING' || this.#lease.size > 0) {
      const command = this.#core.command([cleanUp]);
      this.#lease.submit(command);
      await command.promise.catch(() => this.#lease.discard());
    }
    this.#lease.giveBack();
  }

  #submitTogether(commands: readonly PendingCommand[]): LagoonError | undefined {
    if (this.#over) return overError();
    const { signal, timeoutMs } = this.#options;
    this.#lease.submitTogether(commands, timeoutMs);
    if (signal) abortWith(signal, commands, this.#lease);
    const [first] = commands;
    // A pipeline has no chain, and leaves what is watched as it is.
    if (first?.chain) {
      this.#apply('opens-multi', first);
      this.#apply('ends-multi', commands.at(-1) as PendingCommand);
    }
    return undefined;
  }

  #submit(command: PendingCommand, timeoutMs: number | undefined): void {
    this.#lease.submit(command, timeoutMs);
    if (this.#options.signal) abortWith(this.#options.signal, [command], this.#lease);
  }

  /** The connection is closed at the end, and at once if the command got no reply or more than one. */
  #distrust(): void {
    this.#spoiled = true;
    // Inside a MULTI its reply would be QUEUED.
    if (!this.#inMulti) this.#lease.checkReplies();
  }

  #timeout(args: CommandArgs, rule: Rule | undefined): number | undefined {
    const blockMs = rule?.kind === 'isolated' || rule?.kind === 'blocking' ? rule.blockMs?.(args) : undefined;
    return blockMs === undefined ? this.#options.timeoutMs : blockingTimeout(this.#core, this.#options, blockMs);
  }

  /** The replies of EXEC, in which an error shows no more of its command than that of a command by itself. */
  async #withCleanErrors(replies: Promise<unknown>): Promise<unknown> {
    const queued = this.#queued;
    this.#queued = [];
    const given = await replies;
    if (!Array.isArray(given)) return given;
    return given.map((reply, i) => (reply instanceof ErrorReply ? cleanReply(reply, queued[i] ?? []) : reply));
  }

  #apply(effect: Effect, command: PendingCommand): void {
    // Without a MULTI, EXEC and DISCARD are errors that end nothing.
    const ends = effect === 'ends-multi' && this.#inMulti;
    if (effect === 'watches') this.#watching = true;
    if (effect === 'opens-multi') {
      this.#inMulti = true;
      this.#queued = [];
    }
    if (effect === 'unwatches' || ends) this.#watching = false;
    if (ends) this.#inMulti = false;
    if (effect === 'spoils') this.#spoiled = true;
    // What was never sent (aborted, say) had no effect: nobody knows any more what the connection is like.
    command.promise.catch(() => {
      if (!command.written) this.#spoiled = true;
    });
  }

  // Node-redis calls listeners in the context of the connection, and one that throws would break its reading of the stream.
  #bound<Args extends unknown[]>(args: Args): Args {
    return args.map((argument) => {
      if (typeof argument !== 'function') return argument;
      const listener = argument as (...args: unknown[]) => unknown;
      const bound = this.#listeners.get(listener) ?? bindUserCallback('A listener of an isolated connection', listener);
      this.#listeners.set(listener, bound);
      return bound;
    }) as Args;
  }

  #client() {
    this.#assertOpen();
    this.#spoiled = true;
    return this.#lease.link.client;
  }

  #assertOpen(): void {
    if (this.#over) throw overError();
  }
}

let attached = false;

/** Runs `fn` with a connection of its own, which goes back clean or not at all. */
export async function runIsolated<T, TM extends TypeMapping>(
  core: PoolCore,
  encoder: Encoder,
  options: CommandOptions,
  fn: (redis: IsolatedRedis<TM>) => T | Promise<T>,
): Promise<T> {
  if (!attached) {
    attached = true;
    attachCommands(IsolatedConnection.prototype);
  }
  const error = core.enter(options.signal);
  if (error) throw error;
  try {
    const refusal = core.refuse(options);
    if (refusal) throw refusal;
    const lease = await core.lease(options.signal, undefined, core.failsFast(options));
    const connection = new IsolatedConnection(core, lease, encoder, options);
    try {
      return await fn(connection as unknown as IsolatedRedis<TM>);
    } finally {
      await connection.end();
    }
  } finally {
    core.leave();
  }
}

function overError(): ClosedError {
  return new ClosedError('The callback that this connection was lent to has ended; use the connection only inside it');
}
