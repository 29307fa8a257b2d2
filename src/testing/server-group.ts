import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TestingError } from './errors.js';
import { serverBinary } from './find-server.js';
import { type GroupOptions, type StartRedisOptions, throwIfAborted } from './options.js';
import { isStopped, poll } from './process-state.js';
import { RedisServer } from './redis-server.js';
import { makeDirectory } from './server-config.js';
import type { ServerRole } from './server-role.js';

/** How long servers may take to agree; a loaded machine takes its time. */
const SETTLE_TIMEOUT_MS = 20_000;
/** Between two looks; each is a connection and some commands to every server. */
const SETTLE_INTERVAL_MS = 20;

/** Servers that belong together, in one temporary folder: started one by one, ended as one. */
export class ServerGroup {
  readonly #folder: string;
  readonly #binary: string;
  readonly #options: GroupOptions;
  readonly #members: RedisServer[] = [];
  /** Ends what is being started, and forbids a restart, once the folder is to go. */
  readonly #ended = new AbortController();
  readonly #onAbort = () => void this.stop();
  #stopping: Promise<void> | undefined;

  /**
   * Makes a group, and with `build` what it is there for. Nothing of it is left if that fails.
   *
   * @throws {TestingError} if there is no `redis-server`.
   * @throws {AbortError} if the signal of the options aborts first.
   */
  static async start<T>(options: GroupOptions, build: (group: ServerGroup) => Promise<T>): Promise<T> {
    const { signal } = options;
    throwIfAborted(signal);
    const binary = await serverBinary(options);
    const group = new ServerGroup(await makeDirectory(), binary, options);
    signal?.addEventListener('abort', group.#onAbort);
    try {
      throwIfAborted(signal);
      const built = await build(group);
      throwIfAborted(signal);
      return built;
    } catch (error) {
      await group.stop();
      throwIfAborted(signal);
      throw error;
    }
  }

  private constructor(folder: string, binary: string, options: GroupOptions) {
    this.#folder = folder;
    this.#binary = binary;
    this.#options = options;
  }

  /** Starts one more server; `own` are the options that it does not share with the others. */
  async launch(role: ServerRole, own: Pick<StartRedisOptions, 'port' | 'password' | 'args'>): Promise<RedisServer> {
    const directory = join(this.#folder, String(this.#members.length));
    const { tls } = this.#options;
    const options = { ...own, ...(tls && { tls }), signal: this.#ended.signal };
    const server = new RedisServer({ directory, tempFolder: this.#folder }, this.#binary, options, role);
    this.#members.push(server);
    await server.restart();
    return server;
  }

  /**
   * Waits until `lacking` has nothing more to name.
   *
   * @throws {TestingError} after 20 s, with what it named last.
   */
  async settle(lacking: () => Promise<string | undefined>): Promise<void> {
    let missing: string | undefined;
    const look = async () => {
      if (this.#ended.signal.aborted) throw stopped();
      // A server that ends or freezes while it is being asked has no answer, which is no answer either.
      missing = await lacking().catch((error: unknown) => String(error));
      return missing === undefined;
    };
    if (await poll(look, SETTLE_TIMEOUT_MS, SETTLE_INTERVAL_MS)) return;
    throw new TestingError('LAGOON_TESTING_TIMEOUT', `Not settled after ${SETTLE_TIMEOUT_MS} ms: ${missing}`);
  }

  /** Ends all servers and removes the folder. Safe to call again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    // Killed, as nothing is kept that they could say goodbye to: a master would wait for its replicas.
    const killed = this.#members.map((server) => server.kill());
    this.#ended.abort(stopped());
    await Promise.all(killed);
    await Promise.all(this.#members.map((server) => server.stop()));
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Those of `servers` that run and are not frozen. */
export async function awake(servers: readonly RedisServer[]): Promise<RedisServer[]> {
  const asleep = await Promise.all(servers.map(async (server) => !server.running || (await isStopped(server.pid))));
  return servers.filter((_, index) => !asleep[index]);
}

function stopped(): TestingError {
  return new TestingError('LAGOON_TESTING_NOT_RUNNING', 'The servers of this group are stopped; start another group');
}
