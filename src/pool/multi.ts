import { ErrorReply, MultiErrorReply, type RedisArgument, type TypeMapping } from 'redis';
import {
  CommandRefusedError,
  type LagoonError,
  ReplyError,
  TransactionConflictError,
  TransactionError,
} from '../errors.js';
import { assertCommand, refusal, ruleOfRaw } from './guard.js';
import {
  type CommandArgs,
  type MultiBuilder,
  multiClass,
  type QueuedCommand,
  type ReplyTransform,
} from './node-redis.js';
import type { PendingCommand } from './pending-command.js';
import { replyError } from './reply-error.js';

/** Executes what a builder has gathered: raw replies in the order of the commands. */
export interface MultiExecutor {
  readonly typeMapping?: TypeMapping | undefined;
  /** In one MULTI. @throws {TransactionConflictError} if a watched key has changed. */
  multi(commands: readonly CommandArgs[]): Promise<unknown[]>;
  /** One behind the other, without MULTI; an error reply stands among the replies. */
  pipeline(commands: readonly CommandArgs[]): Promise<unknown[]>;
}

/** How commands are sent over one connection: one behind the other, or an error if nothing may be sent. */
export interface MultiTarget {
  readonly typeMapping?: TypeMapping | undefined;
  command(args: CommandArgs): PendingCommand;
  submitTogether(commands: readonly PendingCommand[]): LagoonError | undefined;
}

type GuardedMultiClass = new (executor: MultiExecutor, keyPrefix: string) => MultiBuilder;

let guarded: GuardedMultiClass | undefined;

/** A builder of node-redis with every command of it, guarded, that executes by `executor`. */
export function createMulti(executor: MultiExecutor, keyPrefix: string): MultiBuilder {
  guarded ??= guardedMultiClass();
  return new guarded(executor, keyPrefix);
}

/** Executes over one connection. */
export function onConnection(target: MultiTarget): MultiExecutor {
  return {
    typeMapping: target.typeMapping,
    multi: (commands) => executeMulti(target, commands),
    pipeline: (commands) => executePipeline(target, commands),
  };
}

function guardedMultiClass(): GuardedMultiClass {
  return class GuardedMulti extends multiClass() {
    constructor(executor: MultiExecutor, keyPrefix: string) {
      super(
        async (commands) => (commands.length === 0 ? [] : executor.multi(commands.map(argsOf))),
        (commands) => executor.pipeline(commands.map(argsOf)),
        executor.typeMapping,
        keyPrefix,
      );
    }

    override addCommand(args: CommandArgs, transform?: ReplyTransform): this {
      guard(args);
      return super.addCommand(args, transform);
    }

    override sendCommand(args: readonly RedisArgument[]): this {
      guard(args);
      return super.sendCommand(args);
    }

    override async exec(execAsPipeline?: boolean): Promise<unknown> {
      try {
        return await super.exec(execAsPipeline);
      } catch (error) {
        throw ownError(error as Error);
      }
    }

    override async execAsPipeline(): Promise<unknown> {
      try {
        return await super.execAsPipeline();
      } catch (error) {
        throw ownError(error as Error);
      }
    }

    // The builder's own two names for it pass by addCommand; the other is made from this one.
    SELECT(): never {
      return guard(['SELECT']) as never;
    }
  };
}

// Inside MULTI blocking commands do not block, so only what changes the connection is kept out.
function guard(args: readonly RedisArgument[]): void {
  assertCommand(args);
  const rule = ruleOfRaw(args);
  if (rule?.kind === 'refused') throw refusal(args, rule);
  if (rule?.kind === 'isolated')
    throw new CommandRefusedError(String(args[0]).toUpperCase(), 'it cannot be part of a MULTI');
}

function argsOf({ args }: QueuedCommand): CommandArgs {
  return args;
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

async function executePipeline(target: MultiTarget, queued: readonly CommandArgs[]): Promise<unknown[]> {
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

function ownError(error: Error): Error {
  if (!(error instanceof MultiErrorReply)) return error;
  const replies = error.replies.map((reply) => (reply instanceof Error ? replyError(reply) : reply));
  return new TransactionError(replies, error.errorIndexes, { cause: error });
}
