import { AbortError, InvalidArgumentError } from '../errors.js';
import { checkOptions as checkNames, type OptionTable } from '../options.js';
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

/** What several servers that belong together are set up with, each of them the same; everything has a default. */
export interface GroupOptions extends Pick<StartRedisOptions, 'password' | 'args' | 'binary' | 'install' | 'signal'> {
  /** Speak TLS, and nothing else, on every port and among themselves; `ca` must have signed `cert`. Default: plain. */
  tls?: TlsServerOptions & { ca: string };
}

const GROUP: OptionTable<GroupOptions> = {
  password: ['requirepass', 'auth'],
  args: ['arguments', 'extraArgs'],
  binary: ['path', 'executable'],
  install: true,
  signal: true,
  tls: true,
};
const START_REDIS: OptionTable<StartRedisOptions> = {
  ...GROUP,
  port: true,
  unixSocket: ['socket'],
  databases: ['dbs'],
};
const TLS: OptionTable<TlsServerOptions> = { cert: true, key: true, ca: true, requireClientCertificate: true };

/** @throws {InvalidArgumentError} for what no server could be started with. */
export function checkOptions(options: StartRedisOptions): void {
  checkNames('startRedis', options, START_REDIS);
  checkTls('startRedis', options.tls);
  const { port, password } = options;
  checkPorts('port', port, 1);
  checkPassword('password', password);
}

/** @throws {InvalidArgumentError} for what no group could be started with, and for options that are not those of `table`. */
export function checkGroupOptions<Options extends GroupOptions>(
  call: string,
  options: Options,
  table: Omit<OptionTable<Options>, keyof GroupOptions>,
): void {
  checkNames(call, options, { ...GROUP, ...table });
  checkTls(call, options.tls);
  const { password, tls } = options;
  checkPassword('password', password);
  if (tls && !tls.ca) {
    throw new InvalidArgumentError('tls needs ca: the servers check one another by the authority that signed cert');
  }
}

function checkTls(call: string, tls: TlsServerOptions | undefined): void {
  if (tls !== undefined) checkNames(`tls of ${call}`, tls, TLS);
}

/** @throws {InvalidArgumentError} unless `first` and the `count - 1` ports after it can be ports, or it is left out. */
export function checkPorts(name: string, first: number | undefined, count: number, highest = 65_535): void {
  const last = highest - (count - 1);
  if (first === undefined || (Number.isInteger(first) && first >= 1 && first <= last)) return;
  const why = count === 1 ? '' : ` (${count} ports are taken from there on)`;
  throw new InvalidArgumentError(
    `${name} must be a whole number from 1 to ${last}${why}, got ${first}; leave it out for ${count === 1 ? 'a free one' : 'free ones'}`,
  );
}

/** @throws {InvalidArgumentError} unless `count` is a whole number and at least `least`. */
export function checkCount(name: string, count: number, least: number): void {
  if (Number.isSafeInteger(count) && count >= least) return;
  throw new InvalidArgumentError(`${name} must be a whole number and at least ${least}, got ${count}`);
}

/** @throws {InvalidArgumentError} for one that is empty. */
export function checkPassword(name: string, password: string | undefined): void {
  if (password === '') throw new InvalidArgumentError(`${name} must not be empty; leave it out for none`);
}

/** @throws {AbortError} if `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError('The Redis server was not started: aborted', { cause: signal.reason });
}
