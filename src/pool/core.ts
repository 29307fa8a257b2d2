import type { AsyncResource } from 'node:async_hooks';
import type { TypeMapping } from 'redis';
import type { ReplicaReads, ResolvedPool } from '../config/types.js';
import { ConnectionError, type LagoonError, ReplyError } from '../errors.js';
import type { Feature } from '../observe/query-event.js';
import type { QueryLog } from '../observe/query-log.js';
import { aborted, whenAborted } from './abort.js';
import { Connections } from './connections.js';
import { Intake } from './intake.js';
import { Lanes } from './lanes.js';
import { Lease } from './lease.js';
import type { MultiTarget } from './multi.js';
import type { CommandArgs, ReplyTransform } from './node-redis.js';
import { PendingCommand } from './pending-command.js';
import { createTopology, type Topology } from './topology/topology.js';

/** What a view of a pool adds to each of its commands. */
export interface CommandOptions {
  readonly typeMapping?: TypeMapping;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** What an error says instead of `timeoutMs`, where that is only what is left of the caller's time. */
  readonly wholeTimeoutMs?: number | undefined;
  /** What is under way needs the command to end: it is let through while the pool closes. */
  readonly whileClosing?: boolean;
  /** Counts only where the configuration of the pool prefers replicas. */
  readonly replicas?: ReplicaReads;
  /** Whether a command is refused while its server is known to be away; default: as the pool is configured. */
  readonly failFast?: boolean;
  /** What sends the command, for the query log. */
  readonly feature?: Feature;
  /** The code of an error reply after which the sender asks in another way: the query log shows no failure. */
  readonly expected?: string;
}

const NO_OPTIONS: CommandOptions = {};

/** The part of a lane or a lease that ends one command early. */
interface Sender {
  abandon(command: PendingCommand, error: Error): void;
}

/** What leads to one server: its lanes, its leases, and the count of what is pending. */
export class PoolCore {
  readonly config: ResolvedPool;
  readonly connections: Connections;
  readonly lanes: Lanes;
  readonly queryLog: QueryLog;
  readonly #intake: Intake;
  #settled = 0;

  /**
   * @param topology where the connections lead; default: what the configuration says.
   * @param intake what counts the work; default: one of its own. The servers of a cluster share that of their pool.
   */
  constructor(
    config: ResolvedPool,
    queryLog: QueryLog,
    topology: Topology = createTopology(config),
    intake: Intake = new Intake(config.code, config.maxPending),
  ) {
    this.config = config;
    this.queryLog = queryLog;
    this.#intake = intake;
    this.connections = new Connections(config, topology, intake.background);
    this.lanes = new Lanes(config.pool.lanes, config.commandTimeoutMs, this.connections, (command, error) => {
      this.#settled++;
      if (command.observed) this.#record(command.observed, error);
      this.leave();
    });
    this.connections.onFailure((error) => this.lanes.failWaiting(error, this.connections.downMs));
  }

  /** Aborts when the pool begins to close, for what would otherwise wait without end. */
  get closing(): AbortController {
    return this.#intake.closing;
  }

  /** See {@link Intake.background}. */
  get background(): AsyncResource {
    return this.#intake.background;
  }

  /** Commands and callbacks under way. */
  get pending(): number {
    return this.#intake.pending;
  }

  /** Commands that ended on the lanes, ever: what stands still while commands are in flight shows a server that does not answer. */
  get settled(): number {
    return this.#settled;
  }

  /** Sends a command on a lane. */
  submit(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown> {
    const { signal } = options;
    const error = this.enter(signal, 1, options.whileClosing);
    if (error) return Promise.reject(error);
    const refusal = this.refuse(options);
    if (refusal) {
      this.leave();
      return Promise.reject(refusal);
    }
    const command = this.command(args, transform, options);
    command.wholeTimeoutMs = options.wholeTimeoutMs;
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
    const refusal = this.refuse(options);
    if (refusal) {
      for (const _ of commands) this.leave();
      return refusal;
    }
    for (const command of commands) command.wholeTimeoutMs = options.wholeTimeoutMs;
    const lane = this.lanes.submitTogether(commands, options.timeoutMs);
    if (signal) abortWith(signal, commands, lane);
    return undefined;
  }

  /** Why not to send anything now, if it is to fail fast and the server is known to be away. */
  refuse(options: CommandOptions): LagoonError | undefined {
    return this.failsFast(options) ? this.#away() : undefined;
  }

  /** Whether a command with these options does not wait for a server that is known to be away. */
  failsFast({ failFast = this.config.failFast }: CommandOptions): boolean {
    return failFast;
  }

  /** What a MULTI builder sends over; all of it goes to one lane. */
  multiTarget(options: CommandOptions): MultiTarget {
    return {
      typeMapping: options.typeMapping,
      command: (args) => this.command(args, undefined, options),
      submitTogether: (commands) => this.submitTogether(commands, options),
    };
  }

  /** A command, with what the query log needs if someone listens. */
  command(args: CommandArgs, transform?: ReplyTransform, options: CommandOptions = NO_OPTIONS): PendingCommand {
    const command = new PendingCommand(args, transform, options.typeMapping);
    if (this.failsFast(options)) command.failFast = true;
    if (this.queryLog.active) command.observed = { args, startedAt: performance.now(), options };
    return command;
  }

  /** Takes a connection for one caller; if it is to fail fast, it waits for one attempt to connect only. */
  async lease(signal?: AbortSignal, lost?: (error: Error) => void, failFast = false): Promise<Lease> {
    // Lanes first, so that they have their places in the budget before the first lease asks for one.
    if (this.lanes.connected < this.config.pool.lanes) void this.lanes.connect();
    const link = await this.connections.acquire('lease', signal, failFast);
    return new Lease(link, this.connections, this.config.commandTimeoutMs, {
      settled: (command, error) => {
        if (command.observed) this.#record(command.observed, error);
      },
      lost,
    });
  }

  /** See {@link Intake.enter}. */
  enter(signal?: AbortSignal, count?: number, whileClosing?: boolean): LagoonError | undefined {
    return this.#intake.enter(signal, count, whileClosing);
  }

  /** See {@link Intake.hold}. */
  hold(): () => void {
    return this.#intake.hold();
  }

  /** Ends one piece of work that {@link enter} counted. */
  leave(): void {
    this.#intake.leave();
  }

  /** Stops intake, waits at most `timeoutMs` for what is pending, then ends everything. */
  async close(timeoutMs: number): Promise<void> {
    await this.end(await this.#intake.close(timeoutMs));
  }

  /** Ends everything that leads to the server, with `reason` for whom it concerns. */
  async end(reason: LagoonError): Promise<void> {
    this.lanes.close(reason);
    await this.connections.close(reason);
  }

  #away(): LagoonError | undefined {
    if (this.lanes.connected > 0) {
      if (!this.lanes.areSilent) return undefined;
      const { code, commandTimeoutMs } = this.config;
      return new ConnectionError(`Pool ${code}: the server has not answered for ${commandTimeoutMs} ms`, false);
    }
    const { lastError } = this.connections;
    // Nothing else would look for the server once it has refused for good.
    if (lastError) void this.lanes.connect();
    return lastError;
  }

  #record(observed: NonNullable<PendingCommand['observed']>, error?: Error): void {
    const { args, startedAt, options } = observed;
    const failure = error instanceof ReplyError && error.replyCode === options.expected ? undefined : error;
    this.queryLog.record(this.config.code, args, (performance.now() - startedAt) * 1000, failure, options.feature);
  }
}

/** Ends `commands` for their caller when `signal` aborts. */
export function abortWith(signal: AbortSignal, commands: readonly PendingCommand[], sender: Sender): void {
  const stop = whenAborted(signal, () => {
    for (const command of commands) {
      // What follows the written beginning of a transaction is written too.
      const sent = command.written || command.chain?.written === true;
      sender.abandon(command, aborted(signal, sent));
    }
  });
  commands.at(-1)?.promise.then(stop, stop);
}
