import { randomBytes } from 'node:crypto';
import { isUnavailable, ReplyError } from '../errors.js';
import { type CommandOwner, PendingCommand } from './pending-command.js';

/** What a check needs of the pipeline that it is sent on. */
interface Checked {
  readonly lost: Error | undefined;
  /** Ends the connection, on which `command` was answered with what cannot be its reply. */
  outOfStep(command: PendingCommand): void;
}

/**
 * Finds out whether the replies of a connection still belong to its commands. RESP counts: where a command gets no reply, or
 * two, every later one gets that of another, and nothing else shows it. So a PING asks for a text that was never used before,
 * which no other command can be answered with, and which the PING must be answered with.
 */
export class ReplyCheck {
  readonly #answered: () => void;
  #command: PendingCommand | undefined;
  #nonce = '';
  #refused = false;

  /** @param answered called when the check needs no reply any more. */
  constructor(answered: () => void) {
    this.#answered = answered;
  }

  /** Whether a check awaits its reply, or is not to be sent because the user may not use PING. */
  get isUnderWay(): boolean {
    return this.#refused || (this.#command !== undefined && !this.#command.replied);
  }

  /** Returns the command to send. */
  begin(pipeline: Checked): PendingCommand {
    const nonce = randomBytes(16).toString('hex');
    this.#nonce = nonce;
    const command = new PendingCommand(['PING', nonce]);
    command.owner = this.#owner(pipeline, nonce);
    command.promise.catch((error) => {
      this.#refused = error instanceof ReplyError && !isUnavailable(error);
    });
    this.#command = command;
    return command;
  }

  /** Whether a reply to another command has the text of the check in it. */
  isMeantBy(reply: unknown): boolean {
    return Array.isArray(reply) ? reply.some((part) => this.#isNonce(part)) : this.#isNonce(reply);
  }

  #isNonce(reply: unknown): boolean {
    return (typeof reply === 'string' || Buffer.isBuffer(reply)) && this.#nonce === String(reply);
  }

  #owner(pipeline: Checked, nonce: string): CommandOwner {
    return {
      answered: (command, reply) => {
        this.#answered();
        if (reply !== undefined && reply !== nonce) pipeline.outOfStep(command);
      },
      settled() {},
      get lost() {
        return pipeline.lost;
      },
    };
  }
}
