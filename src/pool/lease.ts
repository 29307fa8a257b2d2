import { ClosedError, ConnectionError } from '../errors.js';
import type { Connections } from './connections.js';
import { closeIfDemoted } from './demotion.js';
import type { Link } from './link.js';
import type { PendingCommand } from './pending-command.js';
import { Pipeline } from './pipeline.js';

/** What a lease tells of its commands and of its connection. */
export interface LeaseEvents {
  settled(command: PendingCommand, error?: Error): void;
  lost?: ((error: Error) => void) | undefined;
}

/** A connection checked out for one caller. */
export class Lease {
  readonly link: Link;
  readonly #connections: Connections;
  readonly #pipeline: Pipeline;
  #over = false;

  constructor(link: Link, connections: Connections, commandTimeoutMs: number, events: LeaseEvents) {
    this.link = link;
    this.#connections = connections;
    this.#pipeline = new Pipeline(commandTimeoutMs, {
      settled: connections.demotes
        ? (command, error) => {
            closeIfDemoted(link, error);
            events.settled(command, error);
          }
        : events.settled,
      lost: (error) => {
        this.#failUnsent(error);
        events.lost?.(error);
      },
    });
    this.#pipeline.attach(link);
  }

  /** Commands that are owed a reply. */
  get size(): number {
    return this.#pipeline.size;
  }

  submit(command: PendingCommand, timeoutMs?: number): void {
    this.#pipeline.submit(command, timeoutMs);
    if (this.link.lost) this.#failUnsent(this.link.lost);
  }

  /** As {@link submit}, of commands that are to go out together. */
  submitTogether(commands: readonly PendingCommand[], timeoutMs?: number): void {
    this.#pipeline.submitTogether(commands, timeoutMs);
    if (this.link.lost) this.#failUnsent(this.link.lost);
  }

  /** See {@link Pipeline.checkReplies}. */
  checkReplies(): void {
    this.#pipeline.checkReplies();
  }

  abandon(command: PendingCommand, error: Error): void {
    this.#pipeline.abandon(command, error);
  }

  /** Gives the connection back, for use by others only if nothing is owed on it. */
  giveBack(): void {
    if (this.size > 0) this.discard();
    else if (!this.#over) {
      this.#over = true;
      this.#connections.release(this.link);
    }
  }

  // A lease has one connection in its life: there is no other that a command could wait for.
  #failUnsent(cause: Error): void {
    const message = `The connection was lost (${cause.message}); the command was not sent`;
    this.#pipeline.failBacklog(new ConnectionError(message, false, { cause }));
  }

  /** Gives the connection back for good: it is closed. */
  discard(): void {
    if (this.#over) return;
    this.#over = true;
    this.#pipeline.destroy(new ClosedError('the connection was given up'));
    this.#connections.destroy(this.link);
  }
}
