import { formatEndpoint } from '../../config/address.js';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import { CommandTimeoutError, ConnectionError, ReplyError } from '../../errors.js';
import { log } from '../../observe/debug.js';
import type { QueryLog } from '../../observe/query-log.js';
import { PoolCore } from '../core.js';
import type { Intake } from '../intake.js';
import { PendingCommand } from '../pending-command.js';
import { askHealth, type NodeHealth, serverStats } from '../stats.js';
import { problemOf, replicaTopology } from './replica-topology.js';

/** How often a replica is asked whether it is still one; one that has not answered by then is not read from until it does. */
export const LOOK_MS = 1_000;

/** One replica that is read from, as long as it is in order. */
export class Replica {
  readonly address: string;
  readonly core: PoolCore;
  readonly #code: string;
  #problem: Error | undefined;
  #looking = false;

  constructor(config: ResolvedPool, endpoint: Endpoint, queryLog: QueryLog, intake: Intake) {
    this.address = formatEndpoint(endpoint);
    this.#code = config.code;
    this.core = new PoolCore(readerOf(config), queryLog, replicaTopology(config, endpoint), intake);
  }

  /** Whether it can be read from now. */
  get usable(): boolean {
    return this.#problem === undefined && this.#connected;
  }

  /** Resolves when it is connected, or refuses for good. */
  connect(): Promise<void> {
    return this.core.lanes.connect();
  }

  /** Does not read from it until it has said that it is in order. */
  doubt(error: Error): void {
    this.#judge(error);
  }

  /** Asks whether it is in order. `signal` ends that. */
  async look(signal: AbortSignal): Promise<void> {
    if (this.#looking) return;
    // Each new connection looks for itself.
    if (!this.#connected) return void this.connect();
    const timeoutMs = Math.min(LOOK_MS, this.core.config.commandTimeoutMs);
    // Not made by the core: nobody wants to read of it in the query log.
    const role = new PendingCommand(['ROLE']);
    if (this.core.submitTogether([role], { signal, timeoutMs })) return;
    this.#looking = true;
    try {
      const problem = await problemOf(role.promise);
      this.#judge(problem === undefined ? undefined : new ConnectionError(`${this.address} ${problem}`, false));
    } catch (error) {
      if (error instanceof CommandTimeoutError || error instanceof ReplyError) this.#judge(error);
    } finally {
      this.#looking = false;
    }
  }

  /** Asks for a PING if it is in order. Never rejects. */
  async health(timeoutMs?: number): Promise<NodeHealth> {
    if (this.usable) return askHealth(this.core, this.address, timeoutMs, 'replica');
    const { lanes, leases } = serverStats(this.core);
    const error =
      this.#problem ??
      this.core.connections.lastError ??
      new ConnectionError(`Pool ${this.#code} is not connected to ${this.address} yet`, false);
    return { address: this.address, role: 'replica', status: 'down', error, lanes, leases };
  }

  get #connected(): boolean {
    const { lanes, config } = this.core;
    return lanes.connected === config.pool.lanes;
  }

  #judge(problem: Error | undefined): void {
    if ((problem === undefined) !== (this.#problem === undefined)) {
      log.connection('%s: replica %s: %s', this.#code, this.address, problem?.message ?? 'is in order again');
    }
    this.#problem = problem;
  }
}

/**
 * The configuration for a replica: lanes and nothing else, and half of the time, so that the master can answer in the other
 * half. It is the pool's own behind it, whose secrets stay hidden.
 */
function readerOf(config: ResolvedPool): ResolvedPool {
  const { lanes } = config.pool;
  return Object.create(config, {
    commandTimeoutMs: { value: halfOf(config.commandTimeoutMs) },
    pool: { value: { ...config.pool, min: 0, max: lanes } },
  });
}

export function halfOf(ms: number): number {
  return Math.ceil(ms / 2);
}
