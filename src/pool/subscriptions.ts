import { startInterval, startTimer } from '../async/timers.js';
import { ClosedError, CommandTimeoutError, type LagoonError, ReplyError } from '../errors.js';
import { log } from '../observe/debug.js';
import { aborted, pause, whenAborted } from './abort.js';
import type { PoolCore } from './core.js';
import type { Lease } from './lease.js';
import { Subscription, type SubscriptionKind, type SubscriptionRequest } from './subscription.js';

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 500;

/** What subscriptions need of a pool, or of one server of a cluster. */
export type LeaseSource = Pick<PoolCore, 'background' | 'config' | 'closing' | 'command' | 'lease'>;

/** Every subscription of a pool, on one leased connection that exists while there are any. */
export class Subscriptions {
  readonly #core: LeaseSource;
  readonly #active = new Set<Subscription>();
  #lease: Lease | undefined;
  #connecting: Promise<Lease> | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #resubscribing = false;
  readonly #warned = new WeakSet<Subscription>();
  /** Ends a wait for a connection or between two attempts. */
  readonly #closing = new AbortController();

  constructor(core: LeaseSource) {
    this.#core = core;
  }

  /** Subscriptions there are. */
  get size(): number {
    return this.#active.size;
  }

  /**
   * Subscribes, and again after every loss of the connection until it is unsubscribed.
   *
   * @throws {CommandTimeoutError} if the server does not confirm it in time; nothing stays subscribed then.
   */
  async add(kind: SubscriptionKind, request: SubscriptionRequest, signal?: AbortSignal): Promise<Subscription> {
    if (this.#core.closing.signal.aborted) throw new ClosedError(`Pool ${this.#core.config.code} is closed`);
    if (signal?.aborted) throw aborted(signal);
    const subscription = new Subscription(kind, request, (ended) => this.#remove(ended));
    this.#active.add(subscription);
    clearTimeout(this.#idleTimer);
    try {
      await this.#inTime(this.#establish(subscription), signal);
      return subscription;
    } catch (error) {
      await subscription.unsubscribe();
      throw error;
    }
  }

  /** `reason`: what those fail with who are about to subscribe; default: the pool is closed. */
  close(reason: LagoonError = new ClosedError(`Pool ${this.#core.config.code} is closed`)): void {
    this.#closing.abort(reason);
    this.#active.clear();
    this.#dropLease();
  }

  async #establish(subscription: Subscription): Promise<void> {
    const lease = this.#lease ?? (await this.#connect());
    // Whoever made the connection has subscribed everything that there was at that time.
    if (!subscription.established) await subscription.establishOn(lease.link.client);
  }

  #connect(): Promise<Lease> {
    this.#connecting ??= this.#core.background.runInAsyncScope(() =>
      this.#lastingLease().finally(() => {
        this.#connecting = undefined;
      }),
    );
    return this.#connecting;
  }

  async #lastingLease(): Promise<Lease> {
    const lease = await this.#core.lease(this.#closing.signal, (error) => this.#lost(error));
    const reason = this.#closing.signal.aborted ? this.#closing.signal.reason : lease.link.lost;
    if (reason) {
      lease.discard();
      throw reason;
    }
    this.#lease = lease;
    this.#beat(lease);
    return lease;
  }

  // A subscriber has nothing to say, so a dead connection would never show: it is asked, as often as a command may take.
  #beat(lease: Lease): void {
    clearInterval(this.#heartbeat);
    this.#heartbeat = startInterval(() => {
      const ping = this.#core.command(['PING']);
      lease.submit(ping);
      ping.promise.catch((error: Error) => {
        if (!(error instanceof ReplyError)) lease.link.destroy(error);
      });
    }, this.#core.config.commandTimeoutMs).unref();
  }

  #lost(error: Error): void {
    // Without a lease it was given up on purpose, or was lost before it was ever used.
    if (!this.#lease) return;
    for (const subscription of this.#active) subscription.established = false;
    this.#dropLease();
    if (this.#closing.signal.aborted || this.#active.size === 0) return;
    log.pool('%s: subscriber lost: %s', this.#core.config.code, error.message);
    void this.#resubscribe();
  }

  async #resubscribe(): Promise<void> {
    if (this.#resubscribing) return;
    this.#resubscribing = true;
    for (let delay = FIRST_RETRY_MS; this.#active.size > 0 && !this.#closing.signal.aborted; delay *= 2) {
      try {
        const lease = this.#lease ?? (await this.#connect());
        const missing = [...this.#active].filter((subscription) => !subscription.established);
        const work = missing.map((subscription) => this.#establishAgain(subscription, lease));
        await this.#inTime(Promise.all(work));
        if ([...this.#active].every((subscription) => subscription.established)) break;
      } catch (error) {
        log.pool('%s: cannot resubscribe: %s', this.#core.config.code, (error as Error).message);
        // A connection on which subscribing fails is not kept, or the next attempt would find it half subscribed.
        this.#dropLease();
      }
      await pause(Math.min(delay, MAX_RETRY_MS), this.#closing.signal);
    }
    this.#resubscribing = false;
  }

  // A channel that its user may not listen to any more must not be the trouble of the others.
  async #establishAgain(subscription: Subscription, lease: Lease): Promise<void> {
    try {
      await subscription.establishOn(lease.link.client);
      if (subscription.established) subscription.resumed();
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error;
      if (!this.#warned.has(subscription)) {
        this.#warned.add(subscription);
        warnOf(subscription, error);
      }
    }
  }

  #remove(subscription: Subscription): Promise<void> {
    this.#active.delete(subscription);
    const lease = this.#lease;
    if (this.#active.size === 0) this.#dropLeaseWhenUnused();
    if (!lease || !subscription.established || lease.link.lost) return Promise.resolve();
    return this.#inTime(subscription.withdrawFrom(lease.link.client)).catch((error) => {
      // The channel has moved, and no server of a cluster keeps one that is not its own.
      const gone = error instanceof ReplyError && error.replyCode === 'MOVED';
      if (!gone) lease.link.destroy(closedByUs());
    });
  }

  #dropLeaseWhenUnused(): void {
    clearTimeout(this.#idleTimer);
    const { background, config } = this.#core;
    const drop = () => {
      if (this.#active.size === 0) this.#dropLease();
    };
    this.#idleTimer = background.runInAsyncScope(() => startTimer(drop, config.pool.idleTimeoutMs).unref());
  }

  #dropLease(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#idleTimer);
    const lease = this.#lease;
    this.#lease = undefined;
    lease?.discard();
  }

  #inTime<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
    const { commandTimeoutMs } = this.#core.config;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        for (const stop of stops) stop();
        settle();
      };
      const closing = this.#closing.signal;
      const stops = [whenAborted(closing, () => end(() => reject(closing.reason)))];
      if (signal) stops.push(whenAborted(signal, () => end(() => reject(aborted(signal)))));
      const timer = startTimer(() => end(() => reject(notConfirmed(commandTimeoutMs))), commandTimeoutMs);
      work.then(
        (value) => end(() => resolve(value)),
        (error) => end(() => reject(error)),
      );
    });
  }
}

function warnOf({ channels }: Subscription, { message }: ReplyError): void {
  const text = `The subscription to ${channels.map((channel) => JSON.stringify(channel)).join(', ')} was lost and is refused now: ${message}`;
  process.emitWarning(text, { type: 'LagoonWarning', code: 'LAGOON_SUBSCRIPTION' });
}

function notConfirmed(timeoutMs: number): CommandTimeoutError {
  return new CommandTimeoutError(`The server did not confirm the subscription within ${timeoutMs} ms`, timeoutMs, true);
}

function closedByUs(): LagoonError {
  return new ClosedError('the subscriber connection was given up');
}
