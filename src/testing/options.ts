import { AbortError, InvalidArgumentError } from '../errors.js';
import type { TlsServerOptions } from './server-config.js';

/** How the throw-away server is set up; everything has a default. */
export interface StartRedisOptions {
  /** TCP port on 127.0.0.1; default: one that is free. */
  port?: number;
  /** Listen on the unix socket only; `port` is then 0, and `address` and `url` name the socket. Default `false`. */
  unixSocket?: boolean;
  /** Password of the `default` user; default: none. */
  password?: string;
  /** Speak TLS, and nothing else, on the port; needs a `redis-server` built with TLS. Default: plain. */
  tls?: TlsServerOptions;
  /** Number of databases; default 16. */
  databases?: number;
  /** Further arguments of `redis-server`, such as `['--appendonly', 'yes']`; they win over every default. */
  args?: readonly string[];
  /** Path of the executable; default: what {@link findRedisServer} finds. */
  binary?: string;
  /** Install `redis-server` if there is none, as {@link findRedisServer} says; default `false`. */
  install?: boolean;
  /** Ends the start or, later, the running server, as `stop()` does. */
  signal?: AbortSignal;
}

/** @throws {InvalidArgumentError} for what no server could be started with. */
export function checkOptions({ port, password }: StartRedisOptions): void {
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
    throw new InvalidArgumentError(
      `port must be a whole number from 1 to 65535, got ${port}; leave it out for a free one`,
    );
  }
  if (password === '') throw new InvalidArgumentError('password must not be empty; leave it out for none');
}

/** @throws {AbortError} if `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError('The Redis server was not started: aborted', { cause: signal.reason });
}
