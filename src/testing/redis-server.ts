import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ReplyError } from '../errors.js';
import { TestingError } from './errors.js';
import { executable, findRedisServer } from './find-server.js';
import { freePort, isBindConflict } from './free-port.js';
import { checkOptions, type StartRedisOptions, throwIfAborted } from './options.js';
import { poll } from './process-state.js';
import { exchange, type RedisReply } from './resp.js';
import { makeDirectory, type ServerConfig, socketPathIn, writeConfig } from './server-config.js';
import { type ServerExit, ServerProcess } from './server-process.js';

/** How long a server may take to answer its first PING; a loaded machine, or a data set to read, takes its time. */
const READY_TIMEOUT_MS = 30_000;
/** How long a server may take to end by itself before it is killed. */
const STOP_TIMEOUT_MS = 5_000;
/** How long `cli()` waits for a reply. */
const CLI_TIMEOUT_MS = 5_000;
/** Ports tried before giving up; each is free when chosen, but another process may be quicker. */
const PORT_ATTEMPTS = 20;

/**
 * Starts a real Redis server in a temporary folder, on a free port of 127.0.0.1, without persistence, and resolves
 * once it answers.
 *
 * The server keeps this process alive until it is stopped, and is gone with it however it ends: normally, by Ctrl-C,
 * `process.exit()`, an uncaught exception or SIGKILL.
 *
 * ```ts
 * await using redis = await startRedis();
 * const registry = new Registry().registerRedis(redis.address);
 * ```
 *
 * @throws {TestingError} if there is no `redis-server`, the port is taken, or the server ends instead of answering.
 * @throws {AbortError} if `signal` aborts first.
 */
export async function startRedis(options: StartRedisOptions = {}): Promise<RedisServer> {
  const { signal } = options;
  checkOptions(options);
  throwIfAborted(signal);
  const binary = options.binary
    ? executable(options.binary, 'binary')
    : await findRedisServer({ install: options.install ?? false });
  const server = new RedisServer(await makeDirectory(), binary, options);
  try {
    throwIfAborted(signal);
    await server.restart();
    return server;
  } catch (error) {
    await server.stop();
    throwIfAborted(signal);
    throw error;
  }
}

/** A running throw-away server; made by {@link startRedis}. */
export class RedisServer implements AsyncDisposable {
  readonly host = '127.0.0.1';
  /** Path of the unix socket; there is always one. It speaks plain Redis, even where the port speaks TLS. */
  readonly socketPath: string;
  readonly #directory: string;
  readonly #binary: string;
  readonly #options: StartRedisOptions;
  #port: number;
  #process: ServerProcess | undefined;
  readonly #onAbort = () => void this.stop();
  /** What is being done to the process; the next thing waits for it, so that no two calls work against each other. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(directory: string, binary: string, options: StartRedisOptions) {
    this.#directory = directory;
    this.#binary = binary;
    this.#options = options;
    this.#port = options.unixSocket ? 0 : (options.port ?? 0);
    this.socketPath = socketPathIn(directory);
  }

  /** The TCP port, the same for the life of this object; 0 with `unixSocket`. */
  get port(): number {
    return this.#port;
  }

  /** `127.0.0.1:<port>`, or the path of the socket with `unixSocket`. */
  get address(): string {
    return this.#options.unixSocket ? this.socketPath : `${this.host}:${this.#port}`;
  }

  /** `redis://…`, `rediss://…` with `tls`, `unix://…` with `unixSocket`; the password is in it. */
  get url(): string {
    const scheme = this.#options.unixSocket ? 'unix' : this.#options.tls ? 'rediss' : 'redis';
    const { password } = this.#options;
    return `${scheme}://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}${this.address}`;
  }

  /** The process id of `redis-server`; another one after `restart()`. */
  get pid(): number {
    return this.#started().pid;
  }

  /** Whether the process runs (or is frozen). */
  get running(): boolean {
    return this.#process?.running ?? false;
  }

  /** Ends the server in its own good time (5 s at most) and removes its folder. Safe to call again. */
  stop(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    return this.#inTurn(async () => {
      await this.#process?.terminate(STOP_TIMEOUT_MS);
      await rm(this.#directory, { recursive: true, force: true, maxRetries: 5 });
      this.#process?.disown();
      this.#process = undefined;
    });
  }

  /** SIGKILL, as the kernel or an operator might; resolves once the process is gone. The data folder stays. */
  kill(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#process?.kill();
    });
  }

  /** SIGSTOP: connections stay open and nothing answers any more; resolves once the process is stopped. */
  freeze(): Promise<void> {
    return this.#inTurn(() => this.#started().freeze());
  }

  /** SIGCONT: the frozen server goes on with what has come in meanwhile. */
  thaw(): Promise<void> {
    return this.#inTurn(() => this.#started().thaw());
  }

  /**
   * Starts the server again on the same port and data folder, ending it first if it runs; resolves once it answers.
   * What it still knows depends on the persistence asked for in `args`; after `stop()` the folder is empty.
   */
  restart(): Promise<void> {
    return this.#inTurn(async () => {
      throwIfAborted(this.#options.signal);
      await this.#process?.terminate(STOP_TIMEOUT_MS);
      // A port of our own choosing may have been taken meanwhile; one that is known to others is never changed.
      const attempts = this.#port === 0 && !this.#options.unixSocket ? PORT_ATTEMPTS : 1;
      for (let attempt = 1; ; attempt++) {
        const port = attempts > 1 ? await freePort() : this.#port;
        try {
          await this.#launch(port);
          this.#port = port;
          this.#options.signal?.addEventListener('abort', this.#onAbort);
          return;
        } catch (error) {
          const taken = error instanceof TestingError && error.code === 'LAGOON_TESTING_PORT_IN_USE';
          if (!taken || attempt === attempts) throw error;
        }
      }
    });
  }

  /**
   * Sends one command, such as `cli('CONFIG', 'SET', 'maxclients', '5')`, on a connection of its own (through the unix
   * socket, after AUTH if there is a password) and gives its RESP 2 reply.
   *
   * @throws {ReplyError} if the server answers with an error.
   * @throws {TestingError} if it does not run, or has not answered after 5 s.
   */
  async cli(...command: [name: string, ...args: string[]]): Promise<RedisReply> {
    if (!this.running) throw notRunning();
    const { password } = this.#options;
    const login = password === undefined ? [] : [['AUTH', password]];
    return exchange(this.socketPath, [...login, command], CLI_TIMEOUT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #launch(port: number): Promise<void> {
    const { databases = 16, password, tls, args = [], signal } = this.#options;
    const config: ServerConfig = { directory: this.#directory, port, databases, password, tls };
    if (!existsSync(this.#directory)) await mkdir(this.#directory, { mode: 0o700 });
    await rm(this.socketPath, { force: true }); // a killed server leaves it behind
    const logFile = join(this.#directory, 'server.log');
    const logStart = (await readFile(logFile).catch(() => Buffer.alloc(0))).length;
    const configFile = await writeConfig(config);
    this.#process?.disown();
    const started = new ServerProcess({
      binary: this.#binary,
      args: [configFile, ...args],
      directory: this.#directory,
      logFile,
    });
    this.#process = started;
    const settled = async () => !started.running || signal?.aborted === true || (await this.#ping());
    if (!(await poll(settled, READY_TIMEOUT_MS)) || signal?.aborted) await started.kill();
    throwIfAborted(signal);
    if (started.running) return;
    const log = (await readFile(logFile)).subarray(logStart).toString();
    throw startError(this.#binary, port, await started.exited, log);
  }

  /** Whether the server answers; through its own socket, so that no other server can be taken for it. */
  async #ping(): Promise<boolean> {
    try {
      await this.cli('PING');
      return true;
    } catch (error) {
      // It still reads its data set: not ready. Any other refusal (an ACL in `args`, say) is an answer.
      return error instanceof ReplyError && error.replyCode !== 'LOADING';
    }
  }

  #started(): ServerProcess {
    if (this.#process) return this.#process;
    throw notRunning();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}

function notRunning(): TestingError {
  return new TestingError('LAGOON_TESTING_NOT_RUNNING', 'The Redis server does not run; restart() starts it again');
}

function startError(binary: string, port: number, exit: ServerExit, log: string): TestingError {
  if (isBindConflict(log)) {
    return new TestingError(
      'LAGOON_TESTING_PORT_IN_USE',
      `Port ${port} of 127.0.0.1 is taken by another process; leave \`port\` out to get one that is free`,
    );
  }
  const how = exit.signal ? `was ended by ${exit.signal}` : `ended with code ${exit.code}`;
  const tail = log.trimEnd().split('\n').slice(-15).join('\n  ');
  return new TestingError(
    'LAGOON_TESTING_START',
    `${binary} ${how} before it answered. The end of its log:\n  ${tail}`,
  );
}
