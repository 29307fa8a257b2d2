import { startInterval } from '../async/timers.js';
import { ReplyError } from '../errors.js';
import { log } from '../observe/debug.js';
import { pause, whenAborted } from './abort.js';
import type { PoolCore } from './core.js';
import type { Lease } from './lease.js';

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 500;

/** Who is told of the keys that change. */
export interface TrackingListener {
  /** Messages arrive from now on; what changed before was missed. */
  up(): void;
  /** They do not any more. */
  down(): void;
  /** The server refuses to tell of changes; it is asked again, and this is not said again before it did. */
  refused(error: ReplyError): void;
  /** Keys, as they stand in Redis, that were changed, removed or have expired; `undefined`: all. */
  invalidated(keys: readonly string[] | undefined): void;
}

/** What is tracked, and how closely the connection is watched. */
export interface TrackingOptions {
  /** What the keys begin with, without the pool's prefix. */
  readonly prefixes: readonly string[];
  /** How often the connection is asked whether it lives. */
  readonly heartbeatMs: number;
  /** How long it may take to answer. */
  readonly timeoutMs: number;
}

/** What hears which keys change. */
export interface Tracking {
  /**
   * Until when, on the clock of `performance.now()`, nothing can have been missed without being noticed. It holds also for a
   * process that was stopped and has not read yet what came meanwhile.
   */
  readonly confirmedUntil: number;
  stop(): void;
}

/**
 * Hears from the server which keys change (CLIENT TRACKING in broadcasting mode), on a leased connection of its own that is
 * replaced whenever it is lost.
 */
export class ServerTracking implements Tracking {
  readonly #core: PoolCore;
  readonly #options: TrackingOptions;
  readonly #listener: TrackingListener;
  readonly #stopped = new AbortController();
  readonly #unwatch: () => void;
  #lease: Lease | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #confirmedUntil = 0;
  #refused = false;
  #connecting = false;

  constructor(core: PoolCore, options: TrackingOptions, listener: TrackingListener) {
    this.#core = core;
    this.#options = options;
    this.#listener = listener;
    const closing = core.closing.signal;
    this.#unwatch = whenAborted(closing, () => this.stop());
    if (closing.aborted) this.stop();
    else core.background.runInAsyncScope(() => void this.#connect());
  }

  get confirmedUntil(): number {
    return this.#confirmedUntil;
  }

  stop(): void {
    this.#unwatch();
    this.#stopped.abort();
    this.#drop();
  }

  async #connect(): Promise<void> {
    // A connection that is lost while it is set up is told of twice.
    if (this.#connecting) return;
    this.#connecting = true;
    for (let delay = FIRST_RETRY_MS; !this.#stopped.signal.aborted; delay = Math.min(2 * delay, MAX_RETRY_MS)) {
      try {
        await this.#establish();
        if (this.#lease) break;
      } catch (error) {
        log.cache('%s: cannot track keys: %s', this.#core.config.code, (error as Error).message);
        this.#drop();
        if (error instanceof ReplyError && !this.#refused) {
          this.#refused = true;
          this.#listener.refused(error);
        }
        await pause(delay, this.#stopped.signal);
      }
    }
    this.#connecting = false;
  }

  async #establish(): Promise<void> {
    let made: Lease | undefined;
    const lease = await this.#core.lease(this.#stopped.signal, () => {
      if (made) this.#lost(made);
    });
    made = lease;
    this.#lease = lease;
    if (this.#stopped.signal.aborted) return this.#drop();
    if (lease.link.lost) throw lease.link.lost;
    lease.link.onPush((push) => this.#onPush(lease, push));
    const { keyPrefix } = this.#core.config;
    const sentAt = performance.now();
    await this.#send(lease, [
      'CLIENT',
      'TRACKING',
      'ON',
      'BCAST',
      // Without any it is about every key.
      ...this.#options.prefixes.flatMap((prefix) => (keyPrefix + prefix === '' ? [] : ['PREFIX', keyPrefix + prefix])),
    ]);
    this.#confirm(sentAt);
    this.#refused = false;
    this.#listener.up();
    this.#heartbeat = startInterval(() => void this.#beat(lease), this.#options.heartbeatMs).unref();
  }

  async #beat(lease: Lease): Promise<void> {
    const sentAt = performance.now();
    try {
      // A refusal is an answer.
      await this.#send(lease, ['PING']).catch((error) => {
        if (!(error instanceof ReplyError)) throw error;
      });
      this.#confirm(sentAt);
    } catch (error) {
      lease.link.destroy(error as Error);
    }
  }

  #send(lease: Lease, args: string[]): Promise<unknown> {
    const command = this.#core.command(args);
    lease.submit(command, this.#options.timeoutMs);
    return command.promise;
  }

  // What was executed before the request came to the server has been told before its reply.
  #confirm(sentAt: number): void {
    this.#confirmedUntil = sentAt + this.#options.heartbeatMs + this.#options.timeoutMs;
  }

  #onPush(lease: Lease, push: readonly unknown[]): boolean {
    const [what, keys] = push;
    if (String(what) !== 'invalidate') return false;
    if (lease === this.#lease) this.#listener.invalidated(Array.isArray(keys) ? this.#names(keys) : undefined);
    return true;
  }

  #names(keys: readonly unknown[]): string[] {
    const { length } = this.#core.config.keyPrefix;
    return keys.map((key) => String(key).slice(length));
  }

  #lost(lease: Lease): void {
    if (lease !== this.#lease) return;
    log.cache('%s: keys are not tracked any more', this.#core.config.code);
    this.#drop();
    if (!this.#stopped.signal.aborted) void this.#connect();
  }

  #drop(): void {
    clearInterval(this.#heartbeat);
    const lease = this.#lease;
    this.#lease = undefined;
    const wasUp = this.#confirmedUntil > 0;
    this.#confirmedUntil = 0;
    lease?.discard();
    if (wasUp) this.#listener.down();
  }
}
