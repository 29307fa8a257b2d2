import { ErrorReply, type TypeMapping } from 'redis';
import { ConnectionError, InvalidArgumentError } from '../errors.js';
import type { Feature } from '../observe/query-event.js';
import type { CommandArgs, ReplyTransform } from './node-redis.js';
import { replyError } from './reply-error.js';

/** What a query log tells of a command, beside how it ended. */
interface Observed {
  readonly args: CommandArgs;
  readonly startedAt: number;
  readonly options: { readonly feature?: Feature; readonly expected?: string };
}

/** Who is told how a command ended. */
export interface CommandOwner {
  /** The connection owes no reply to `command` any more. */
  answered(command: PendingCommand, reply: unknown): void;
  /** The caller of `command` has its result or error. */
  settled(command: PendingCommand, error?: Error): void;
  /** Why the connection was lost, if it was. */
  readonly lost: Error | undefined;
}

/**
 * One command from the call to its reply. It has the shape of an element of node-redis's own command queue, so that one
 * promise serves both: the queue resolves or rejects it, and so can we (timeout, abort), while the queue still counts the
 * reply that is to come.
 */
export class PendingCommand {
  /** What node-redis's queue reads and writes; it clears `args` when it writes the command. */
  args: CommandArgs | undefined;
  readonly typeMapping: TypeMapping | undefined;
  chainId = undefined;
  abort = undefined;
  timeout = undefined;
  channelsCounter = undefined;
  slotNumber = undefined;
  /** Set on a command that must not be written any more; node-redis drops such commands when they are put back. */
  rejected = false;

  readonly promise: Promise<unknown>;
  /** The caller has its result or error. */
  done = false;
  /** No reply is owed any more. */
  replied = false;
  /** When the caller is to have an error, on the clock of `performance.now()`; `Infinity` for a command that may block for ever. */
  deadline = 0;
  timeoutMs = 0;
  /** The timeout that the caller knows, if `timeoutMs` is only what was left of it. */
  wholeTimeoutMs: number | undefined;
  /** Whether a reply can be the one to this command, where that can be told. */
  expects: ((reply: unknown) => boolean) | undefined;
  /** The first command of the transaction that this one belongs to. */
  chain: PendingCommand | undefined;
  /** What lanes are chosen by: bytes expected in the reply, and the family of commands that this was guessed from. */
  expectedBytes = 0;
  family = '';
  /** What a query log needs, kept only if someone listens. */
  observed: Observed | undefined;
  /** Whether it does not wait for a connection while its server is known to be away. */
  failFast = false;
  owner!: CommandOwner;

  readonly #transform: ReplyTransform | undefined;
  readonly #sent: CommandArgs;
  #settle!: (value: unknown) => void;
  #fail!: (error: Error) => void;

  constructor(args: CommandArgs, transform?: ReplyTransform, typeMapping?: TypeMapping) {
    this.args = args;
    this.#sent = args;
    this.typeMapping = typeMapping;
    this.#transform = transform;
    this.promise = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
    });
  }

  /** Whether it went to the socket, so that Redis may have executed it. */
  get written(): boolean {
    return this.args === undefined;
  }

  /** Called by node-redis with the reply. */
  resolve(reply: unknown): void {
    this.replied = true;
    this.owner.answered(this, reply);
    if (this.done) return;
    if (this.#transform === undefined) {
      this.#succeed(reply);
      return;
    }
    try {
      this.#succeed(this.#transform(reply, this.#sent.preserve, this.typeMapping));
    } catch (error) {
      this.fail(error as Error);
    }
  }

  /** Called by node-redis with an error reply, with the reason for which the arguments cannot be encoded, or when the connection is lost. */
  reject(error: Error): void {
    this.replied = true;
    this.owner.answered(this, undefined);
    if (!this.done) this.fail(this.#ownError(error));
  }

  /** Gives the caller an error now, whatever becomes of the reply. */
  fail(error: Error): void {
    if (this.done) return;
    this.done = true;
    this.owner.settled(this, error);
    this.#fail(error);
  }

  #succeed(value: unknown): void {
    this.done = true;
    this.owner.settled(this);
    this.#settle(value);
  }

  #ownError(error: Error): Error {
    if (error instanceof ErrorReply) return replyError(error, this.#sent);
    if (error instanceof TypeError && !this.written) return new InvalidArgumentError(error.message, { cause: error });
    return connectionLost(this, this.owner.lost ?? error);
  }
}

/** The error of a command whose connection was lost. */
export function connectionLost(command: PendingCommand, cause: Error): ConnectionError {
  const fate = command.written ? 'the command may have been executed' : 'the command was not sent';
  return new ConnectionError(`The connection was lost (${cause.message}); ${fate}`, command.written, { cause });
}
