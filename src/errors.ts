/**
 * Every error that Lagoon makes: one class per thing a caller can act on, each with a stable `code`.
 * A `message` may change between versions, a `code` may not.
 */
export class LagoonError extends Error {
  /** Stable identifier of the kind of failure. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }

  /** What `JSON.stringify` shows: `name`, `code`, `message`, what else the error tells, and the same of its `cause`. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, cause } = this;
    return { ...(this as object), name, code, message, ...(cause instanceof Error && { cause: asJson(cause) }) };
  }
}

/** A foreign error in JSON would be `{}`. */
function asJson(error: Error): Record<string, unknown> {
  if (error instanceof LagoonError) return error.toJSON();
  const { name, message, code } = error as NodeJS.ErrnoException;
  return { name, message, ...(code !== undefined && { code }) };
}

/** An argument that can never be right; nothing was sent. */
export class InvalidArgumentError extends LagoonError {
  constructor(message: string, options?: ErrorOptions) {
    super('LAGOON_INVALID_ARGUMENT', message, options);
  }
}

/** One thing that is wrong with a configuration. */
export interface ConfigIssue {
  /** Where: a JSON pointer into the configuration, such as `/pools/default/database`. */
  readonly path: string;
  /** What is wrong there, what is allowed, and a hint where a name looks misspelt. Never a secret. */
  readonly message: string;
}

/** The configuration cannot be used; `issues` lists every problem found. */
export class ConfigError extends LagoonError {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[], options?: ErrorOptions) {
    const lines = issues.map(({ path, message }) => (path ? `  ${path}: ${message}` : `  ${message}`));
    super('LAGOON_CONFIG', `The configuration has ${issues.length} problem(s):\n${lines.join('\n')}`, options);
    this.issues = issues;
  }
}

/** No pool of that name was registered. */
export class PoolNotRegisteredError extends LagoonError {
  constructor(pool: string, registered: readonly string[]) {
    super(
      'LAGOON_POOL_NOT_REGISTERED',
      `No Redis pool is registered as ${JSON.stringify(pool)}; registered: ${registered.map((name) => JSON.stringify(name)).join(', ')}`,
    );
  }
}

/** The command is never sent, here or anywhere; the message says why and what to use instead. */
export class CommandRefusedError extends LagoonError {
  readonly command: string;

  constructor(command: string, why: string) {
    super('LAGOON_COMMAND_REFUSED', `${command} is refused: ${why}`);
    this.command = command;
  }
}

/** The keys of one command, script or transaction belong to different slots of a cluster; nothing was sent. */
export class CrossSlotError extends LagoonError {
  constructor(what: string, key: string | Uint8Array, other: string | Uint8Array) {
    super(
      'LAGOON_CROSS_SLOT',
      `${what} has keys of different slots (${JSON.stringify(String(key))} and ${JSON.stringify(String(other))}), which a cluster may keep on ` +
        'different servers. Keys share a slot if the part of them in braces is the same: {user:1}:cart and {user:1}:orders',
    );
  }
}

/** Redis answered with an error. */
export class ReplyError extends LagoonError {
  /** The first word of the reply: `WRONGTYPE`, `NOSCRIPT`, `OOM`, `ERR` … */
  readonly replyCode: string;

  constructor(message: string, options?: ErrorOptions) {
    super('LAGOON_REPLY', message, options);
    this.replyCode = /^[A-Z][A-Z0-9_]*(?= |$)/.exec(message)?.[0] ?? 'ERR';
  }
}

/** The connection could not be made or was lost. */
export class ConnectionError extends LagoonError {
  /** `true` if the command had been written when the connection was lost, so that Redis may have executed it. */
  readonly mayHaveBeenExecuted: boolean;

  constructor(message: string, mayHaveBeenExecuted: boolean, options?: ErrorOptions) {
    super('LAGOON_CONNECTION', message, options);
    this.mayHaveBeenExecuted = mayHaveBeenExecuted;
  }
}

/** No reply within the command's timeout. */
export class CommandTimeoutError extends LagoonError {
  /** The timeout that passed, in ms. */
  readonly timeoutMs: number;
  /** `true` if the command had been written, so that Redis may have executed it or may yet do so. */
  readonly mayHaveBeenExecuted: boolean;

  constructor(message: string, timeoutMs: number, mayHaveBeenExecuted: boolean, options?: ErrorOptions) {
    super('LAGOON_COMMAND_TIMEOUT', message, options);
    this.timeoutMs = timeoutMs;
    this.mayHaveBeenExecuted = mayHaveBeenExecuted;
  }
}

/** No connection of the pool came free in time. */
export class AcquireTimeoutError extends LagoonError {
  constructor(message: string, options?: ErrorOptions) {
    super('LAGOON_ACQUIRE_TIMEOUT', message, options);
  }
}

/** The pool already has as much pending as it was told to take; nothing was sent. */
export class PoolOverloadedError extends LagoonError {
  constructor(message: string, options?: ErrorOptions) {
    super('LAGOON_POOL_OVERLOADED', message, options);
  }
}

/** The engine, or the connection handed to a callback, is closed. */
export class ClosedError extends LagoonError {
  constructor(message: string, options?: ErrorOptions) {
    super('LAGOON_CLOSED', message, options);
  }
}

/** The caller's `AbortSignal` ended the operation; `cause` is the signal's reason. */
export class AbortError extends LagoonError {
  /** `true` if a command had been written, so that Redis may have executed it or may yet do so. What a lock was granted is given back. */
  readonly mayHaveBeenExecuted: boolean;

  constructor(message: string, options?: ErrorOptions & { mayHaveBeenExecuted?: boolean }) {
    super('ABORT_ERR', message, options);
    this.mayHaveBeenExecuted = options?.mayHaveBeenExecuted ?? false;
  }
}

/** A watched key changed under every attempt of a transaction. */
export class TransactionConflictError extends LagoonError {
  constructor(attempts: number, options?: ErrorOptions) {
    super('LAGOON_TRANSACTION_CONFLICT', `The watched keys changed during each of ${attempts} attempt(s)`, options);
  }
}

/** Some commands of an executed MULTI or pipeline answered with an error; the others took effect. */
export class TransactionError extends LagoonError {
  /** One per command, in order; a {@link ReplyError} where the command failed. Neither logged nor in JSON: they are data. */
  declare readonly replies: readonly unknown[];
  /** Which of the commands failed. */
  readonly errorIndexes: readonly number[];

  constructor(replies: readonly unknown[], errorIndexes: readonly number[], options?: ErrorOptions) {
    const first = replies[errorIndexes[0] ?? 0];
    const why = first instanceof Error ? `: ${first.message}` : '';
    super('LAGOON_TRANSACTION', `${errorIndexes.length} of ${replies.length} commands failed${why}`, options);
    Object.defineProperty(this, 'replies', { value: replies });
    this.errorIndexes = errorIndexes;
  }
}

/** One pool that `engine.connect()` could not reach. */
export interface ConnectFailure {
  readonly pool: string;
  readonly error: Error;
}

/** `engine.connect()` could not reach every pool; `failures` lists those it could not. */
export class ConnectError extends LagoonError {
  readonly failures: readonly ConnectFailure[];

  constructor(failures: readonly ConnectFailure[]) {
    const lines = failures.map(({ pool, error }) => `  ${pool}: ${error.message}`);
    super('LAGOON_CONNECT', `${failures.length} Redis pool(s) cannot be reached:\n${lines.join('\n')}`, {
      cause: failures[0]?.error,
    });
    this.failures = failures;
  }
}

/** What a server says that has just started, is busy, or is about to get another master or to be one no more. */
const SOON_BACK: ReadonlySet<string> = new Set([
  'LOADING',
  'BUSY',
  'TRYAGAIN',
  'CLUSTERDOWN',
  'MASTERDOWN',
  'READONLY',
]);

/** Whether an error means that Redis cannot be asked at the moment, and not that it refused. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof ReplyError) return SOON_BACK.has(error.replyCode);
  if (error instanceof ConnectionError && lacksRight(error)) return false;
  return (
    error instanceof ConnectionError ||
    error instanceof CommandTimeoutError ||
    error instanceof AcquireTimeoutError ||
    error instanceof PoolOverloadedError
  );
}

/** Whether Redis may have executed what ended with this error, or may yet do so. */
export function mayHaveBeenExecuted(error: unknown): boolean {
  const says = [ConnectionError, CommandTimeoutError, AbortError].some((type) => error instanceof type);
  return says && (error as AbortError).mayHaveBeenExecuted;
}

/** Whether the server took the password of a user who may not do what connecting needs: that is a refusal, and no outage. */
function lacksRight(error: Error): boolean {
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (cause.message.startsWith('NOPERM')) return true;
  }
  return false;
}
