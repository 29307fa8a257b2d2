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

/** How a builder's commands are sent: one behind the other on one connection, or an error if nothing may be sent. */
export interface MultiTarget {
  readonly typeMapping?: TypeMapping | undefined;
  command(args: CommandArgs): PendingCommand;
  submitTogether(commands: readonly PendingCommand[]): LagoonError | undefined;
}

type GuardedMultiClass = new (target: MultiTarget, keyPrefix: string) => MultiBuilder;

let guarded: GuardedMultiClass | undefined;

/** A builder of node-redis with every command of it, guarded, that executes on `target`. */
export function createMulti(target: MultiTarget, keyPrefix: string): MultiBuilder {
  guarded ??= guardedMultiClass();
  return new guarded(target, keyPrefix);
}

function guardedMultiClass(): GuardedMultiClass {
  return class GuardedMulti extends multiClass() {
    constructor(target: MultiTarget, keyPrefix: string) {
      super(
        (commands) => executeMulti(target, commands),
        (commands) => executePipeline(target, commands),
        target.typeMapping,
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

async function executeMulti(target: MultiTarget, queued: readonly QueuedCommand[]): Promise<unknown[]> {
  if (queued.length === 0) return [];
  const commands = [['MULTI'], ...queued.map(({ args }) => args), ['EXEC']].map((args) => target.command(args));
  for (const command of commands) command.chain = commands[0];
  const replies = await sendAll(target, commands);
  const result = replies.at(-1) as unknown[] | null;
  if (result === null) throw new TransactionConflictError(1);
  return result;
}

async function executePipeline(target: MultiTarget, queued: readonly QueuedCommand[]): Promise<unknown[]> {
  const commands = queued.map(({ args }) => target.command(args));
  // An error reply stands among the replies as it would in those of EXEC; anything else ends the whole.
  const replyOrError = (error: unknown) => {
    if (error instanceof ReplyError && error.cause instanceof ErrorReply) return error.cause;
    throw error;
  };
  return sendAll(target, commands, (command) => command.promise.catch(replyOrError));
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
  const replies = error.replies.map((reply) =>
    reply instanceof Error ? new ReplyError(reply.message, { cause: reply }) : reply,
  );
  return new TransactionError(replies, error.errorIndexes, { cause: error });
}
