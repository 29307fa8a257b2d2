import { ErrorReply, MultiErrorReply, type RedisArgument, type TypeMapping } from 'redis';
import {
  CommandRefusedError,
  type LagoonError,
  ReplyError,
  TransactionConflictError,
  TransactionError,
} from '../errors.js';
import { attachToBuilder } from './builder-methods.js';
import type { Rule } from './command-table.js';
import { assertCommand, type DeclaredCommands, refusal, ruleOfRaw } from './guard.js';
import {
  type CommandArgs,
  type Encoder,
  type MultiBuilder,
  multiClass,
  type QueuedCommand,
  type ReplyTransform,
} from './node-redis.js';
import type { PendingCommand } from './pending-command.js';
import { cleanReply, replyError } from './reply-error.js';

/** Executes what a builder has gathered: raw replies in the order of the commands. */
export interface MultiExecutor {
  readonly typeMapping?: TypeMapping | undefined;
  /**
   * Executes in one MULTI.
   *
   * @param untrusted whether one of the commands is, so that all go over a connection that is closed afterwards.
   * @throws {TransactionConflictError} if a watched key has changed.
   */
  multi(commands: readonly CommandArgs[], untrusted: boolean): Promise<unknown[]>;
  /** Executes one behind the other, without MULTI; an error reply stands among the replies. */
  pipeline(commands: readonly CommandArgs[]): Promise<unknown[]>;
  /** Executes one command that may block or is untrusted, as if it were sent by itself. */
  single(args: CommandArgs, rule: Rule): Promise<unknown>;
}

/** How commands are sent over one connection: one behind the other, or an error if nothing may be sent. */
export interface MultiTarget {
  readonly typeMapping?: TypeMapping | undefined;
  command(args: CommandArgs): PendingCommand;
  submitTogether(commands: readonly PendingCommand[]): LagoonError | undefined;
}

type GuardedMultiClass = new (executor: MultiExecutor, encoder: Encoder, declared: DeclaredCommands) => MultiBuilder;

let guarded: GuardedMultiClass | undefined;

/** Returns a builder of node-redis with every command of it, guarded, that executes by `executor`. */
export function createMulti(executor: MultiExecutor, encoder: Encoder, declared: DeclaredCommands): MultiBuilder {
  guarded ??= guardedMultiClass();
  return new guarded(executor, encoder, declared);
}

function guardedMultiClass(): GuardedMultiClass {
  class GuardedMulti extends multiClass() {
    readonly encoder: Encoder;
    readonly #declared: DeclaredCommands;
    readonly #sent: Sent;
    /** Whether one of the commands may block or is untrusted. */
    #special = false;
    /** Why nothing is sent: the first command that cannot be. */
    #problem: Error | undefined;

    constructor(executor: MultiExecutor, encoder: Encoder, declared: DeclaredCommands) {
      const sent: Sent = { commands: [] };
      const rules = (commands: readonly CommandArgs[]) =>
        this.#special ? commands.map((args) => ruleOfRaw(args, declared)) : [];
      super(
        async (queued) => {
          const commands = sentAs(sent, queued);
          const untrusted = rules(commands).some((rule) => rule?.kind === 'untrusted');
          return commands.length === 0 ? [] : executor.multi(commands, untrusted);
        },
        (queued) => {
          const commands = sentAs(sent, queued);
          return executeRuns(executor, commands, rules(commands));
        },
        executor.typeMapping,
      );
      this.encoder = encoder;
      this.#declared = declared;
      this.#sent = sent;
    }

    override addCommand(args: CommandArgs, transform?: ReplyTransform): this {
      return this.#passes(args) ? super.addCommand(args, transform) : this;
    }

    override sendCommand(args: readonly RedisArgument[]): this {
      return this.#passes(args) ? super.sendCommand(args) : this;
    }

    /** Keeps an error for `exec()`: a call in a chain has nobody to reject for. */
    failWith(error: unknown): this {
      this.#problem ??= error as Error;
      return this;
    }

    override async exec(execAsPipeline?: boolean): Promise<unknown> {
      if (this.#problem) throw this.#problem;
      try {
        return await super.exec(execAsPipeline);
      } catch (error) {
        throw ownError(error as Error, this.#sent.commands);
      }
    }

    override async execAsPipeline(): Promise<unknown> {
      if (this.#problem) throw this.#problem;
      try {
        return await super.execAsPipeline();
      } catch (error) {
        throw ownError(error as Error, this.#sent.commands);
      }
    }

    // The builder's own two names for it pass by addCommand; the other is made from this one.
    SELECT(): this {
      return this.addCommand(['SELECT']);
    }

    #passes(args: readonly RedisArgument[]): boolean {
      try {
        this.#guard(args);
        return true;
      } catch (error) {
        this.failWith(error);
        return false;
      }
    }

    // Inside MULTI blocking commands do not block, so only what changes the connection is kept out.
    #guard(args: readonly RedisArgument[]): void {
      assertCommand(args);
      const rule = ruleOfRaw(args, this.#declared);
      if (rule === undefined) return;
      if (rule.kind === 'refused') throw refusal(args, rule);
      if (rule.kind === 'isolated') {
        throw new CommandRefusedError(String(args[0]).toUpperCase(), 'it cannot be part of a MULTI');
      }
      this.#special = true;
    }
  }
  attachToBuilder(GuardedMulti.prototype);
  return GuardedMulti;
}

/** Executes a pipeline: what may block or is untrusted by itself, in its turn, and all between two such commands together. */
async function executeRuns(
  executor: MultiExecutor,
  commands: readonly CommandArgs[],
  rules: readonly (Rule | undefined)[],
): Promise<unknown[]> {
  const replies: unknown[] = [];
  for (let start = 0; start < commands.length; ) {
    const special = rules.findIndex((rule, i) => i >= start && isSpecial(rule, commands[i] as CommandArgs));
    const end = special < 0 ? commands.length : special;
    if (end > start) replies.push(...(await executor.pipeline(commands.slice(start, end))));
    if (special >= 0) {
      replies.push(await replyOrError(executor.single(commands[special] as CommandArgs, rules[special] as Rule)));
    }
    start = end + 1;
  }
  return replies;
}

function isSpecial(rule: Rule | undefined, args: CommandArgs): boolean {
  return rule?.kind === 'untrusted' || (rule?.kind === 'blocking' && rule.blockMs(args) !== undefined);
}

/** What a builder has sent, for the errors among the replies. */
interface Sent {
  commands: readonly CommandArgs[];
}

function sentAs(sent: Sent, queued: readonly QueuedCommand[]): readonly CommandArgs[] {
  sent.commands = queued.map(({ args }) => args);
  return sent.commands;
}

/** Sends a transaction over one connection; `before` goes in front of its MULTI. */
export async function executeMulti(
  target: MultiTarget,
  queued: readonly CommandArgs[],
  before: readonly CommandArgs[] = [],
): Promise<unknown[]> {
  const commands = [...before, ['MULTI'], ...queued, ['EXEC']].map((args) => target.command(args));
  for (const [i, command] of commands.entries()) {
    command.chain = commands[0];
    command.expects = i <= before.length ? isOk : isQueued;
  }
  const exec = commands.at(-1) as PendingCommand;
  exec.expects = (reply) => reply === null || (Array.isArray(reply) && reply.length === queued.length);
  const replies = await sendAll(target, commands);
  const result = replies.at(-1) as unknown[] | null;
  if (result === null) throw new TransactionConflictError(1);
  return result;
}

const isOk = (reply: unknown) => String(reply) === 'OK';
const isQueued = (reply: unknown) => String(reply) === 'QUEUED';

/** Sends a pipeline over one connection. */
export async function executePipeline(target: MultiTarget, queued: readonly CommandArgs[]): Promise<unknown[]> {
  const commands = queued.map((args) => target.command(args));
  return sendAll(target, commands, (command) => replyOrError(command.promise));
}

/** An error reply stands among the replies as it would in those of EXEC; anything else ends the whole. */
export function replyOrError(reply: Promise<unknown>): Promise<unknown> {
  return reply.catch((error) => {
    if (error instanceof ReplyError && error.cause instanceof ErrorReply) return error.cause;
    throw error;
  });
}

// The first error is the cause; those that follow from it, such as EXECABORT, must not become unhandled rejections.
function sendAll(
  target: MultiTarget,
  commands: readonly PendingCommand[],
  reply: (command: PendingCommand) => Promise<unknown> = (command) => command.promise,
): Promise<unknown[]> {
  const error = target.submitTogether(commands);
  if (error) return Promise.reject(error);
  return Promise.all(commands.map(reply));
}

function ownError(error: Error, commands: readonly CommandArgs[]): Error {
  if (!(error instanceof MultiErrorReply)) return error;
  const { errorIndexes } = error;
  const clean = error.replies.map((reply, i) =>
    reply instanceof ErrorReply ? cleanReply(reply, commands[i] ?? []) : reply,
  );
  const replies = clean.map((reply, i) => (reply instanceof ErrorReply ? replyError(reply, commands[i] ?? []) : reply));
  const cause = new MultiErrorReply(clean as never, errorIndexes);
  // What other commands of it replied is data, which a log of the error must not have.
  Object.defineProperty(cause, 'replies', { enumerable: false });
  return new TransactionError(replies, errorIndexes, { cause });
}
