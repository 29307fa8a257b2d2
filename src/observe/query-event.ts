/** A feature that sends commands of its own. */
export type Feature = 'lock' | 'limit' | 'cache';

/** A command that has ended. It is frozen and the same object for every listener. */
export interface QueryEvent {
  /** Code of the pool. */
  readonly pool: string;
  /** The command in upper case, with the subcommand where it has one: `GET`, `CLIENT ID`. */
  readonly operation: string;
  /** The command line, its name included; values and credentials are `?`. */
  readonly args: readonly string[];
  /** What sent it, if it was none of your commands: a lock, a rate limit or a cache. */
  readonly feature?: Feature;
  /** From the call to the reply, in microseconds. */
  readonly durationUs: number;
  /** Why it failed, if it did; of a reply, what may quote a hidden argument is `?`, and of that of a script all but its code is left out. */
  readonly error?: Error;
}

/** Called after each command, synchronously: what takes long should go elsewhere. */
export type QueryHandler = (event: QueryEvent) => void;
