import type { AsyncResource } from 'node:async_hooks';
import { createRequire } from 'node:module';
import type { Pool } from 'generic-pool';
import { startTimer } from '../async/timers.js';
import type { ResolvedPool } from '../config/types.js';
import { AcquireTimeoutError, ClosedError, ConnectionError, type LagoonError, PoolOverloadedError } from '../errors.js';
import { log } from '../observe/debug.js';
import { aborted, whenAborted } from './abort.js';
import type { Link } from './link.js';
import type { Topology } from './topology/topology.js';
import { TopologyError } from './topology/topology-error.js';

const require = createRequire(import.meta.url);

/** Lanes come before leases, so that callers with connections of their own can never starve everyone else. */
const PRIORITY = { lane: 0, lease: 1 } as const;

/** Told of every attempt to connect that failed; `definite` if the next one would fail for the same reason. */
export type ConnectFailed = (error: LagoonError, definite: boolean) => void;

/** Every connection of a named pool: a budget (generic-pool) over a topology, with deadlines and a back-off for connecting. */
export class Connections {
  /** What outlives its caller is made in it; see {@link Intake.background}. */
  readonly background: AsyncResource;
  readonly #config: ResolvedPool;
  readonly #topology: Topology;
  readonly #pool: Pool<Link>;
  /** Callers that wait for a connection. */
  readonly #waiters = new Set<(error: LagoonError) => void>();
  readonly #failureListeners = new Set<ConnectFailed>();
  readonly #attempts = new Set<AbortController>();
  readonly #open = new Set<Link>();
  #waitingLeases = 0;
  /** Those of them that wait for one attempt only. */
  readonly #hasty = new Set<(error: LagoonError) => void>();
  #failures = 0;
  /** Since when no attempt has succeeded; counts while there is a last error. */
  #downSince = 0;
  #nextAttemptAt = 0;
  #lastError: LagoonError | undefined;
  #opened = 0;
  #closed = false;
  #endedBy: LagoonError | undefined;

  constructor(config: ResolvedPool, topology: Topology, background: AsyncResource) {
    this.background = background;
    this.#config = config;
    this.#topology = topology;
    const { max, min, acquireTimeoutMs, idleTimeoutMs } = config.pool;
    // Loaded with the first pool: it would be part of what importing Lagoon costs.
    const { createPool } = require('generic-pool') as typeof import('generic-pool');
    this.#pool = createPool(
      {
        create: () => background.runInAsyncScope(() => this.#create()),
        destroy: async (link) => {
          link.destroy(new ClosedError('the connection was not needed any more'));
        },
        // Never rejects: generic-pool would lose the connection's place in the budget.
        validate: async (link) => this.#closed || link.lost === undefined,
      },
      {
        max,
        min,
        autostart: false,
        testOnBorrow: true,
        priorityRange: 2,
        acquireTimeoutMillis: acquireTimeoutMs,
        // The hard idle timeout ignores `min`, the soft one does not.
        idleTimeoutMillis: Number.MAX_SAFE_INTEGER,
        softIdleTimeoutMillis: idleTimeoutMs,
        evictionRunIntervalMillis: Math.min(Math.max(Math.ceil(idleTimeoutMs / 2), 50), 10_000),
        numTestsPerEvictionRun: max,
      },
    );
  }

  /** Numbers for `stats()` and `health()`. */
  get counts() {
    const open = this.#open.size;
    const { borrowed } = this.#pool;
    return {
      open,
      borrowed,
      idle: Math.max(0, open - borrowed),
      waiting: this.#waitingLeases,
      opened: this.#opened,
    };
  }

  /** The reason of the last attempt to connect, if it failed. */
  get lastError(): LagoonError | undefined {
    return this.#lastError;
  }

  /** For how long the server has been away, in ms; 0 if the last attempt to connect succeeded. */
  get downMs(): number {
    return this.#lastError ? performance.now() - this.#downSince : 0;
  }

  /** A connection is given up because the server has not answered on it: until one is made, it is taken to be away. */
  doubt(): void {
    const { code, commandTimeoutMs } = this.#config;
    this.#isDown(new ConnectionError(`Pool ${code}: the server has not answered for ${commandTimeoutMs} ms`, false));
  }

  /**
   * Takes a connection out of the pool; give it back with {@link release} or {@link destroy}.
   *
   * @param failFast whether to wait for one attempt to connect only.
   * @throws {AcquireTimeoutError} if none came free in time.
   * @throws {PoolOverloadedError} if too many wait already.
   * @throws {ConnectionError} if the server refuses for a reason that will not pass.
   */
  acquire(kind: keyof typeof PRIORITY, signal?: AbortSignal, failFast = false): Promise<Link> {
    const { maxWaiting, max } = this.#config.pool;
    if (this.#endedBy) return Promise.reject(this.#endedBy);
    if (signal?.aborted) return Promise.reject(aborted(signal));
    const isLease = kind === 'lease';
    if (isLease && this.#waitingLeases >= maxWaiting && this.#pool.borrowed >= max) {
      return Promise.reject(
        new PoolOverloadedError(
          `${maxWaiting} callers already wait for a connection of pool ${this.#config.code} (pool.maxWaiting)`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      let over = false;
      const end = () => {
        over = true;
        this.#waiters.delete(fail);
        if (failFast) this.#hasty.delete(fail);
        if (isLease) this.#waitingLeases--;
        stopWatching?.();
      };
      const fail = (error: Error) => {
        if (over) return;
        end();
        reject(error);
      };
      this.#waiters.add(fail);
      if (failFast) this.#hasty.add(fail);
      if (isLease) this.#waitingLeases++;
      const stopWatching = signal && whenAborted(signal, () => fail(aborted(signal)));
      // The first call starts the timers of generic-pool.
      const acquired = this.background.runInAsyncScope(() => this.#pool.acquire(PRIORITY[kind]));
      acquired.then(
        (link) => {
          // Nobody waits for it any more: it goes straight back.
          if (over) return this.release(link);
          end();
          resolve(link);
        },
        () => fail(this.#acquireTimeout()),
      );
    });
  }

  /** Gives a connection back for others to use. */
  release(link: Link): void {
    if (link.lost || this.#closed) this.destroy(link);
    else this.#settle(this.#pool.release(link));
  }

  /** Gives a connection back that nobody may use again. */
  destroy(link: Link): void {
    this.#settle(this.#pool.destroy(link));
  }

  /** Calls `listener` for every failed attempt to connect until the returned function is called. */
  onFailure(listener: ConnectFailed): () => void {
    this.#failureListeners.add(listener);
    return () => this.#failureListeners.delete(listener);
  }

  /** Where the connections lead at the moment, if that is known. */
  get address(): string | undefined {
    return this.#topology.address;
  }

  /** Whether a connection can come to lead to a replica, which takes no writes. */
  get demotes(): boolean {
    return this.#topology.demotes;
  }

  /** Ends every attempt, every wait and every connection. */
  async close(reason: LagoonError): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#endedBy = reason;
    for (const fail of [...this.#waiters]) fail(reason);
    for (const attempt of [...this.#attempts]) attempt.abort(reason);
    this.#topology.close();
    for (const link of [...this.#open]) {
      link.destroy(reason);
      if (this.#pool.isBorrowedResource(link)) this.destroy(link);
    }
    await this.#pool.drain();
    await this.#pool.clear();
  }

  async #create(): Promise<Link> {
    // What generic-pool still has waiting when the pool closes is served with a dead connection: its requests have no other end.
    if (this.#closed) return closedLink();
    const attempt = new AbortController();
    this.#attempts.add(attempt);
    try {
      await this.#backOff(attempt.signal);
      return await this.#connect(attempt);
    } finally {
      this.#attempts.delete(attempt);
    }
  }

  async #connect(attempt: AbortController): Promise<Link> {
    const { code, connectTimeoutMs } = this.#config;
    const timeout = startTimer(() => {
      attempt.abort(new ConnectionError(`no connection within ${connectTimeoutMs} ms`, false));
    }, connectTimeoutMs);
    try {
      const link = await this.#topology.open(attempt.signal);
      log.connection('%s: connected', code);
      this.#open.add(link);
      link.onClosed = () => this.#open.delete(link);
      this.#opened++;
      this.#failures = 0;
      this.#lastError = undefined;
      return link;
    } catch (error) {
      this.#failed(error as Error);
      throw error;
    } finally {
      clearTimeout(timeout);
    }
  }

  #failed(cause: Error): void {
    const { code, reconnect } = this.#config;
    const definite = cause instanceof TopologyError;
    const error = new ConnectionError(`Pool ${code} cannot connect: ${describe(cause)}`, false, { cause });
    const ceiling = Math.min(reconnect.maxDelayMs, reconnect.minDelayMs * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    this.#nextAttemptAt = performance.now() + ceiling * (0.5 + Math.random() / 2);
    this.#isDown(error);
    log.connection('%s: attempt %d failed: %s', code, this.#failures, cause.message);
    for (const fail of definite ? [...this.#waiters] : [...this.#hasty]) fail(error);
    for (const listener of [...this.#failureListeners]) listener(error, definite);
  }

  #isDown(error: LagoonError): void {
    if (!this.#lastError) this.#downSince = performance.now();
    this.#lastError = error;
  }

  /** Waits until the next attempt is due; without commands that wait, it does not keep the process alive. */
  #backOff(signal: AbortSignal): Promise<void> {
    const delay = this.#nextAttemptAt - performance.now();
    if (delay <= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = startTimer(resolve, delay).unref();
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    });
  }

  #acquireTimeout(): LagoonError {
    const { code, pool } = this.#config;
    const why = this.#lastError
      ? this.#lastError.message
      : `all ${pool.max} connections are in use; raise pool.max or hold them for less long`;
    return new AcquireTimeoutError(`No connection of pool ${code} within ${pool.acquireTimeoutMs} ms: ${why}`, {
      cause: this.#lastError,
    });
  }

  // generic-pool rejects only for what it does not hold on loan, which after a close is nothing to report.
  #settle(done: PromiseLike<void>): void {
    done.then(undefined, (error: Error) => log.connection('%s: %s', this.#config.code, error.message));
  }
}

// An AggregateError of several addresses has no message of its own.
function describe(error: Error): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(String).join('; ');
  return error.message;
}

function closedLink(): Link {
  return { lost: new ClosedError('the pool is closed'), destroy() {} } as unknown as Link;
}
