import type { StreamClient } from './node-redis.js';
import type { PendingCommand } from './pending-command.js';

/** One connection of a pool, whatever it leads to; made by a topology. */
export interface Link {
  /** For what only node-redis's client itself can do: subscriptions and MONITOR. */
  readonly client: StreamClient;
  /** Why the connection is gone; `undefined` while it is there. */
  readonly lost: Error | undefined;
  /** Whether commands wait because the connection takes no more at the moment. */
  readonly congested: boolean;
  /** Told that it is gone, before the commands that were written are rejected: who sends over it at the moment. */
  onLost: ((error: Error) => void) | undefined;
  /** Told the same: who keeps count of the connections. */
  onClosed: (() => void) | undefined;

  /** Writes commands, behind those that wait because the connection takes no more at the moment. */
  write(commands: readonly PendingCommand[]): void;

  /** Takes back what was handed over and not written. */
  withdraw(): PendingCommand[];

  /** Drops what is marked as rejected and not written. */
  dropRejected(): void;

  /** Calls `handler` with what the server sends unasked (RESP3); it returns whether that was for it. */
  onPush(handler: (push: readonly unknown[]) => boolean): void;

  /** Closes the connection now; what was written is rejected with `reason`. */
  destroy(reason: Error): void;
}
