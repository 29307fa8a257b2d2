import type { LagoonError } from '../errors.js';
import { AcquireTimeoutError, ClosedError } from '../errors.js';
import type { Connections } from './connections.js';
import { closeIfDemoted } from './demotion.js';
import type { Link } from './link.js';
import type { PendingCommand } from './pending-command.js';
import { Pipeline } from './pipeline.js';

/** What a lane tells of its commands. */
export interface LaneEvents {
  settled(command: PendingCommand, error?: Error): void;
  answered?(command: PendingCommand, reply: unknown): void;
}

/** One shared connection: leased at the first command, kept for the life of the pool, replaced whenever it is lost. */
export class Lane {
  readonly #connections: Connections;
  readonly #pipeline: Pipeline;
  #link: Link | undefined;
  #connecting: Promise<void> | undefined;
  #closed = false;
  /** Bytes that are expected in replies to the commands in flight. */
  expectedBytes = 0;
  /** How often the connection was lost. */
  losses = 0;

  constructor(commandTimeoutMs: number, connections: Connections, events: LaneEvents) {
    this.#connections = connections;
    const pipelineEvents = {
      settled: connections.demotes
        ? (command: PendingCommand, error?: Error) => {
            closeIfDemoted(this.#link, error);
            events.settled(command, error);
          }
        : events.settled,
      ...(events.answered && { answered: events.answered }),
      lost: () => {
        if (this.isSilent) connections.doubt();
        this.#replace();
      },
      whyNone: () => connections.lastError,
    };
    this.#pipeline = new Pipeline(commandTimeoutMs, pipelineEvents, connections.background);
  }

  /** Commands in flight or waiting. */
  get size(): number {
    return this.#pipeline.size;
  }

  /** Whether the server has answered nothing for as long as a command may take. */
  get isSilent(): boolean {
    return this.#pipeline.isSilent;
  }

  /** See {@link Pipeline.failWaiting}. */
  failWaiting(error: Error, downMs: number): void {
    this.#pipeline.failWaiting(error, downMs);
  }

  get connected(): boolean {
    return this.#link !== undefined;
  }

  submit(command: PendingCommand, timeoutMs?: number): void {
    this.#pipeline.submit(command, timeoutMs);
    if (this.#link === undefined) void this.connect();
  }

  /** As {@link submit}, of commands that are to go out together. */
  submitTogether(commands: readonly PendingCommand[], timeoutMs?: number): void {
    this.#pipeline.submitTogether(commands, timeoutMs);
    if (this.#link === undefined) void this.connect();
  }

  /** Ends one command for its caller; see {@link Pipeline.abandon}. */
  abandon(command: PendingCommand, error: Error): void {
    this.#pipeline.abandon(command, error);
  }

  /** Resolves when the lane has a connection, or has given up because the server refuses for good. */
  connect(): Promise<void> {
    // Without this an attempt would be over before it is noted, and its note would keep the next one from being made.
    if (this.#link || this.#closed) return Promise.resolve();
    this.#connecting ??= this.#connections.background.runInAsyncScope(() => this.#acquire());
    return this.#connecting;
  }

  /** Rejects what is pending and gives the connection up. */
  close(reason: LagoonError): void {
    this.#closed = true;
    const link = this.#link;
    this.#link = undefined;
    this.#pipeline.destroy(reason);
    if (link) this.#connections.destroy(link);
  }

  async #acquire(): Promise<void> {
    while (!this.#closed && this.#link === undefined) {
      try {
        const link = await this.#connections.acquire('lane');
        if (this.#closed) {
          this.#connections.destroy(link);
          break;
        }
        this.#link = link;
        this.#pipeline.attach(link);
      } catch (error) {
        // A timeout says that nothing is free or reachable yet, and each command has a timeout of its own.
        if (error instanceof AcquireTimeoutError) continue;
        this.#pipeline.failBacklog(error as LagoonError);
        if (error instanceof ClosedError || this.#pipeline.size === 0) break;
      }
    }
    // Before anything else can run: a command submitted from now on must start a new attempt.
    this.#connecting = undefined;
  }

  #replace(): void {
    const link = this.#link;
    this.#link = undefined;
    if (this.#closed || !link) return;
    this.losses++;
    // Ask for the new one before the old one gives its place back, or a waiting lease would get it.
    void this.connect();
    this.#connections.destroy(link);
  }
}
