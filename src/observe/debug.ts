import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** What Lagoon says through the `debug` package, one namespace each: `DEBUG=lagoon:*`, `DEBUG=lagoon:pool,lagoon:lock`. */
export type LogSubject = 'pool' | 'connection' | 'command' | 'observe' | 'lock' | 'limit' | 'cache';

/**
 * Writes a line if its namespace is enabled. Only plain values are taken: an object, such as a configuration or an
 * error with its cause, could carry a secret that nobody thought of.
 */
export interface Log {
  (format: string, ...values: readonly (string | number | boolean | undefined)[]): void;
  /** Whether anybody listens; ask before building what is costly to build. */
  readonly enabled: boolean;
}

const made = new Map<LogSubject, Log>();

function logOf(subject: LogSubject): Log {
  let found = made.get(subject);
  if (!found) {
    // Loaded with the first thing to say: it would be part of what importing Lagoon costs.
    const createDebug = require('debug') as typeof import('debug');
    found = createDebug(`lagoon:${subject}`);
    made.set(subject, found);
  }
  return found;
}

/** The loggers of `lagoon:*`, each made when it is first asked for. What is logged must never hold a secret. */
export const log: { readonly [S in LogSubject]: Log } = {
  get pool() {
    return logOf('pool');
  },
  get connection() {
    return logOf('connection');
  },
  get command() {
    return logOf('command');
  },
  get observe() {
    return logOf('observe');
  },
  get lock() {
    return logOf('lock');
  },
  get limit() {
    return logOf('limit');
  },
  get cache() {
    return logOf('cache');
  },
};
