import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ReplyError } from '../errors.js';
import { TestingError } from './errors.js';
import { serverBinary } from './find-server.js';
import { checkOptions, type StartRedisOptions, throwIfAborted } from './options.js';
import { poll } from './process-state.js';
import { type Command, type ExchangeOptions, exchange, type RedisReply } from './resp.js';
import { configFileIn, makeDirectory, socketPathIn, writeConfig } from './server-config.js';
import { ServerProcess } from './server-process.js';
import { type ServerHome, type ServerRole, STANDALONE } from './server-role.js';
import { notRunning, startError } from './start-error.js';

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
  checkOptions(options);
  const { signal } = options;
  throwIfAborted(signal);
  const binary = await serverBinary(options);
  const directory = await makeDirectory();
  const server = new RedisServer({ directory, tempFolder: directory }, binary, options, STANDALONE);
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

/** A running throw-away server; made by {@link startRedis}, or a part of what `startSentinel` or `startCluster` made. */
export class RedisServer implements AsyncDisposable {
  readonly host = '127.0.0.1';
  /** Path of the unix socket; there is always one. It speaks plain Redis, even where the port speaks TLS. */
  readonly socketPath: string;
  readonly #home: ServerHome;
  readonly #binary: string;
  readonly #options: StartRedisOptions;
  readonly #role: ServerRole;
  #port: number;
  #process: ServerProcess | undefined;
  readonly #onAbort = () => void this.stop();
  /** What is being done to the process; the next thing waits for it, so that no two calls work against each other. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(home: ServerHome, binary: string, options: StartRedisOptions, role: ServerRole) {
    this.#home = home;
    this.#binary = binary;
    this.#options = options;
    this.#role = role;
    this.#port = options.unixSocket ? 0 : (options.port ?? 0);
    this.socketPath = socketPathIn(home.directory);
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
      await this.#removeFolder();
      this.#process?.disown();
      this.#process = undefined;
      if (this.#options.port === undefined) await this.#role.giveUpPort(this.#port);
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
        const port = attempts > 1 ? await this.#role.freePort() : this.#port;
        try {
          await this.#launch(port);
          this.#port = port;
          this.#options.signal?.addEventListener('abort', this.#onAbort);
          return;
        } catch (error) {
          if (attempts > 1) await this.#role.giveUpPort(port);
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
    const [reply = null] = await this.exchange([command]);
    return reply;
  }

  /**
   * As `cli()`, for several commands on one connection, and their replies.
   *
   * @internal
   */
  async exchange(commands: readonly Command[], encoding: ExchangeOptions['encoding'] = 'utf8'): Promise<RedisReply[]> {
    if (!this.running) throw notRunning();
    if (commands.length === 0) return [];
    const { password } = this.#options;
    const login = password === undefined ? [] : [['AUTH', password]];
    const options = { timeoutMs: CLI_TIMEOUT_MS, encoding };
    return (await exchange(this.socketPath, [...login, ...commands], options)).slice(login.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #launch(port: number): Promise<void> {
    const { args = [], signal } = this.#options;
    const { directory, tempFolder } = this.#home;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await rm(this.socketPath, { force: true }); // a killed server leaves it behind
    const logFile = join(directory, 'server.log');
    const logStart = (await readFile(logFile).catch(() => Buffer.alloc(0))).length;
    await this.#configure(port);
    this.#process?.disown();
    const started = new ServerProcess({
      binary: this.#binary,
      args: [configFileIn(directory), ...this.#role.flags, ...args],
      directory,
      tempFolder,
      logFile,
    });
    this.#process = started;
    const settled = async () => !started.running || signal?.aborted === true || (await this.#ping());
    if (!(await poll(settled, READY_TIMEOUT_MS)) || signal?.aborted) await started.kill();
    throwIfAborted(signal);
    if (started.running) {
      await this.exchange(this.#role.greeting);
      return;
    }
    const log = (await readFile(logFile)).subarray(logStart).toString();
    throw startError(this.#binary, await started.exited, log);
  }

  async #removeFolder(): Promise<void> {
    const { directory, tempFolder } = this.#home;
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    // The last one out; for any other it is not empty.
    if (tempFolder !== directory) await rmdir(tempFolder).catch(() => {});
  }

  async #configure(port: number): Promise<void> {
    const { databases = 16, password, tls } = this.#options;
    const { directory } = this.#home;
    const { settings, rewritesConfig } = this.#role;
    const startedBefore = port === this.#port && existsSync(configFileIn(directory));
    if (rewritesConfig && startedBefore) return;
    await writeConfig({ directory, port, databases, password, tls, settings });
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
