import type { ResolvedPool } from './config/types.js';
import { type Duration, nonNegativeMs, positiveMs } from './duration.js';
import { ClosedError, ConnectError, InvalidArgumentError, PoolNotRegisteredError } from './errors.js';
import type { RedlockOptions } from './lock/redlock/options.js';
import { Redlock } from './lock/redlock/redlock.js';
import { type QueryFilter, type QueryHandler, QueryLog } from './observe/query-log.js';
import { checkOptions, type OptionTable } from './options.js';
import type { Deployment } from './pool/deployment.js';
import { createRedisPool, type RedisPool } from './pool/redis-pool.js';
import { PoolRuntime } from './pool/runtime.js';
import type { NodeHealth, PoolStats } from './pool/stats.js';

/** Options of {@link Engine.connect}. */
export interface ConnectOptions {
  /** How long to try again while a server cannot be reached; default: one attempt, bounded by the pool's `connectTimeout`. */
  timeout?: Duration;
  signal?: AbortSignal;
}

/** Options of {@link Engine.health}. */
export interface HealthOptions {
  /** How long a server has to answer; default: the pool's `commandTimeout`. */
  timeout?: Duration;
  /** Whether pools that were not used yet are connected for the question; default `false`: they are `idle`. */
  connect?: boolean;
}

/** Options of {@link Engine.close}. */
export interface CloseOptions {
  /** How long to wait for what is in flight; default 5 s, 0 ends it at once. */
  timeout?: Duration;
}

/** How one pool is doing. */
export interface PoolHealth extends PoolStats {
  /**
   * `up`: it answered a PING; `down`: it did not; `idle`: it was not used yet, and was not connected for the question. A
   * cluster is `up` if every master is; replicas do not count.
   */
  readonly status: 'up' | 'down' | 'idle';
  /** Round trip of the PING in ms, if it answered; of a cluster, the longest. */
  readonly latencyMs?: number;
  /** Why it is down. */
  readonly error?: Error;
  /** The servers that take its writes: one, or the masters of a cluster; then the replicas that it reads from. */
  readonly nodes: readonly NodeHealth[];
}

interface Registered {
  readonly runtime: PoolRuntime;
  readonly pool: RedisPool;
}

const CONNECT: OptionTable<ConnectOptions> = { timeout: ['connectTimeout', 'ms'], signal: true };
const CLOSE: OptionTable<CloseOptions> = { timeout: ['ms'] };
const HEALTH: OptionTable<HealthOptions> = { timeout: true, connect: ['ping', 'wake'] };

const DEFAULT_CLOSE_TIMEOUT_MS = 5_000;

/** The registered pools, validated: fetch them by name, connect them, watch them, close them. Made by `Registry.validate()`. */
export class Engine<Names extends string = string> implements AsyncDisposable {
  readonly #pools = new Map<string, Registered>();
  readonly #queryLog = new QueryLog();
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(pools: readonly ResolvedPool[]) {
    for (const config of pools) {
      const runtime = new PoolRuntime(config, this.#queryLog);
      this.#pools.set(config.code, { runtime, pool: createRedisPool(runtime) });
    }
  }

  /**
   * The codes of the registered pools, in the order of their registration. They are plain strings to the compiler, so that an
   * engine with more pools can be handed to what needs some of them: `Engine<'a' | 'b'>` is an `Engine<'a'>`.
   */
  get codes(): readonly string[] {
    return [...this.#pools.keys()];
  }

  /**
   * The pool registered under `code`; default: `'default'`. Always the same object; it connects at its first command.
   *
   * @throws {PoolNotRegisteredError} if there is none of that name.
   */
  getRedis(...[code = 'default' as Names]: 'default' extends Names ? [code?: Names] : [code: Names]): RedisPool {
    return this.#pool(code);
  }

  /**
   * Locks over several pools, each a server of its own: a lock holds if more than half of them give it. Every call makes a new
   * object, which knows the locks that were obtained through it; make one and keep it.
   *
   * @param codes the codes of the pools; an odd number of them is best.
   * @throws {PoolNotRegisteredError} if there is no pool of such a name.
   * @throws {InvalidArgumentError} if there is no code or one stands there twice, or an option cannot be right.
   */
  getRedlock<const Codes extends Names>(codes: readonly Codes[], options: RedlockOptions = {}): Redlock<Codes> {
    if (!Array.isArray(codes)) throw new InvalidArgumentError('getRedlock takes an array of the codes of pools');
    const twice = codes.find((code, i) => codes.indexOf(code) !== i);
    if (twice !== undefined) {
      throw new InvalidArgumentError(`The pool ${JSON.stringify(twice)} stands there twice; it can vote only once`);
    }
    return new Redlock<Codes>(
      codes.map((code) => this.#pool(code)),
      options,
    );
  }

  /**
   * Connects every pool now instead of at its first command.
   *
   * @throws {ConnectError} listing every pool that failed, and why.
   * @throws {InvalidArgumentError} if the timeout is not positive.
   */
  async connect(options: ConnectOptions = {}): Promise<void> {
    checkOptions('connect', options, CONNECT);
    const { timeout, signal } = options;
    const timeoutMs = timeout === undefined ? undefined : positiveMs(timeout, 'connect timeout');
    if (this.#closing) throw new ClosedError('The engine is closed');
    const pools = [...this.#pools];
    const outcomes = await Promise.allSettled(
      pools.map(([, { runtime }]) => runtime.deployment.connect(timeoutMs, signal)),
    );
    const failures = outcomes.flatMap((outcome, i) =>
      outcome.status === 'rejected' ? [{ pool: pools[i]?.[0] ?? '', error: outcome.reason as Error }] : [],
    );
    if (failures.length > 0) throw new ConnectError(failures);
  }

  /**
   * Asks every pool that is in use for a PING, and reports what each is doing. That a server is away is no error of it.
   *
   * @throws {InvalidArgumentError} for an option that cannot be right.
   */
  async health(options: HealthOptions = {}): Promise<Record<Names, PoolHealth>> {
    checkOptions('health', options, HEALTH);
    const { timeout, connect = false } = options;
    const timeoutMs = timeout === undefined ? undefined : positiveMs(timeout, 'health timeout');
    if (typeof connect !== 'boolean') {
      throw new InvalidArgumentError(`connect must be true or false, got ${typeof connect}`);
    }
    const entries = [...this.#pools].map(async ([code, { runtime }]) => [
      code,
      await poolHealth(runtime.deployment, timeoutMs, connect),
    ]);
    return Object.fromEntries(await Promise.all(entries));
  }

  /**
   * Calls `handler` after every command of every pool that `filter` lets through; values are redacted.
   *
   * @returns a function that unregisters the handler.
   * @throws {InvalidArgumentError} if the handler is not a function or the filter cannot be right.
   */
  registerQueryLogger(handler: QueryHandler, filter?: QueryFilter): () => void {
    return this.#queryLog.register(handler, filter);
  }

  /**
   * Takes no more commands, lets what is in flight finish, then disconnects; blocked commands and subscriptions end at once.
   * In flight are callbacks too, of `isolated`, `transaction`, `locker.run` and `getOrSet`: what the last two need to end is let
   * through, which is to renew and release their locks and to store the value. Other commands in them are refused.
   * Afterwards nothing keeps the process alive. Further calls wait for the first.
   *
   * @throws {InvalidArgumentError} if the timeout is negative or not a duration.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    checkOptions('close', options, CLOSE);
    const { timeout = DEFAULT_CLOSE_TIMEOUT_MS } = options;
    const timeoutMs = nonNegativeMs(timeout, 'close timeout');
    this.#closing ??= Promise.all(
      [...this.#pools.values()].map(({ runtime }) => runtime.deployment.close(timeoutMs)),
    ).then(() => {});
    await this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #pool(code: string): RedisPool {
    const registered = this.#pools.get(code);
    if (!registered) throw new PoolNotRegisteredError(code, this.codes);
    return registered.pool;
  }
}

async function poolHealth(
  deployment: Deployment,
  timeoutMs: number | undefined,
  connect: boolean,
): Promise<PoolHealth> {
  if (!deployment.used && !connect) return { status: 'idle', nodes: [], ...deployment.stats() };
  const nodes = await deployment.health(timeoutMs);
  const masters = nodes.filter(({ role }) => role === 'master');
  const slowest = Math.max(...masters.map(({ latencyMs = 0 }) => latencyMs));
  const down = masters.find(({ status }) => status === 'down');
  const outcome = down
    ? { status: 'down' as const, error: down.error as Error }
    : { status: 'up' as const, latencyMs: slowest };
  return { ...outcome, nodes, ...deployment.stats() };
}
