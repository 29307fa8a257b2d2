import type { TypeMapping } from 'redis';
import type { ResolvedPool } from '../config/types.js';
import { ClosedError, type LagoonError, PoolOverloadedError } from '../errors.js';
import type { QueryLog } from '../observe/query-log.js';
import { aborted, whenAborted } from './abort.js';
import { Connections } from './connections.js';
import { Lanes } from './lanes.js';
import { Lease } from './lease.js';
import type { CommandArgs, ReplyTransform } from './node-redis.js';
import { PendingCommand } from './pending-command.js';
import { createTopology } from './topology/topology.js';

/** What a view of a pool adds to each of its commands. */
export interface CommandOptions {
  readonly typeMapping?: TypeMapping;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** The part of a lane or a lease that ends one command early. */
interface Sender {
  abandon(command: PendingCommand, error: Error): void;
}

/** What all faces of one named pool share: its lanes, its leases, and the count of what is pending. */
export class PoolCore {
  readonly config: ResolvedPool;
  readonly connections: Connections;
  readonly lanes: Lanes;
  readonly queryLog: QueryLog;
  /** Aborts when the pool begins to close, for what would otherwise wait without end. */
  readonly closing = new AbortController();
  #pending = 0;
  #onIdle: (() => void) | undefined;

  constructor(config: ResolvedPool, queryLog: QueryLog) {
    this.config = config;
    this.queryLog = queryLog;
    this.connections = new Connections(config, createTopology(config));
    this.lanes = new Lanes(config.pool.lanes, config.commandTimeoutMs, this.connections, (command, error) => {
      if (command.observed) this.#record(command.observed, error);
      this.leave();
    });
  }

  /** Commands and callbacks under way. */
  get pending(): number {
    return this.#pending;
  }

  /** Sends a command on a lane. */
  submit(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown> {
    const { signal } = options;
    const error = this.enter(signal);
    if (error) return Promise.reject(error);
    const command = this.command(args, transform, options.typeMapping);
    const lane = this.lanes.submit(command, args, options.timeoutMs);
    if (signal) abortWith(signal, [command], lane);
    return command.promise;
  }

  /** Sends several commands one behind the other on one lane, with nothing in between. */
  submitTogether(
    commands: readonly PendingCommand[],
    options: CommandOptions,
    whileClosing = false,
  ): LagoonError | undefined {
    const { signal } = options;
    const error = this.enter(signal, commands.length, whileClosing);
    if (error) return error;
    const lane = this.lanes.submitTogether(commands, options.timeoutMs);
    if (signal) abortWith(signal, commands, lane);
    return undefined;
  }

  /** A command, with what the query log needs if someone listens. */
  command(args: CommandArgs, transform?: ReplyTransform, typeMapping?: TypeMapping): PendingCommand {
    const command = new PendingCommand(args, transform, typeMapping);
    if (this.queryLog.active) command.observed = { args, startedAt: performance.now() };
    return command;
  }

  /** Takes a connection for one caller. */
  async lease(signal?: AbortSignal, lost?: (error: Error) => void): Promise<Lease> {
    // Lanes first, so that they have their places in the budget before the first lease asks for one.
    if (this.lanes.connected < this.config.pool.lanes) void this.lanes.connect();
    const link = await this.connections.acquire('lease', signal);
    return new Lease(link, this.connections, this.config.commandTimeoutMs, {
      settled: (command, error) => {
        if (command.observed) this.#record(command.observed, error);
      },
      lost,
    });
  }

  /** Counts `count` pieces of work as pending; returns why not, if the pool is closed, full, or the signal is aborted. */
  enter(signal?: AbortSignal, count = 1, whileClosing = false): LagoonError | undefined {
    if (this.closing.signal.aborted && !whileClosing) return new ClosedError(`Pool ${this.config.code} is closed`);
    if (signal?.aborted) return aborted(signal);
    if (this.#pending + count > this.config.maxPending) {
      return new PoolOverloadedError(
        `Pool ${this.config.code} already has ${this.#pending} commands pending (maxPending ${this.config.maxPending})`,
      );
    }
    this.#pending += count;
    return undefined;
  }

  /** Ends one piece of work that {@link enter} counted. */
  leave(): void {
    this.#pending--;
    if (this.#pending === 0) this.#onIdle?.();
  }

  /** Stops intake, waits at most `timeoutMs` for what is pending, then ends everything. */
  async close(timeoutMs: number): Promise<void> {
    const reason = new ClosedError(`Pool ${this.config.code} is closed`);
    this.closing.abort(reason);
    await this.#idle(timeoutMs);
    this.lanes.close(reason);
    await this.connections.close();
  }

  #idle(timeoutMs: number): Promise<void> {
    if (this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #record(observed: NonNullable<PendingCommand['observed']>, error?: Error): void {
    this.queryLog.record(this.config.code, observed.args, (performance.now() - observed.startedAt) * 1000, error);
  }
}

/** Ends `commands` for their caller when `signal` aborts. */
export function abortWith(signal: AbortSignal, commands: readonly PendingCommand[], sender: Sender): void {
  const stop = whenAborted(signal, () => {
    for (const command of commands) sender.abandon(command, aborted(signal));
  });
  commands.at(-1)?.promise.then(stop, stop);
}
