import { AsyncResource } from 'node:async_hooks';
import { bindListeners } from '../async/bound-listeners.js';
import { startTimer } from '../async/timers.js';
import { ClosedError, type LagoonError, PoolOverloadedError } from '../errors.js';
import { aborted } from './abort.js';

/** Lets work into a named pool while it is open and not full, and counts it until it is done. */
export class Intake {
  /** Aborts when the pool begins to close, for what would otherwise wait without end. */
  readonly closing = new AbortController();
  /**
   * The async context in which the pool was made. Connections, timers and whatever else outlives the call that caused it is made
   * in it: it would keep what the caller has in its own for as long as it lives.
   */
  readonly background = new AsyncResource('LAGOON_POOL');
  readonly #code: string;
  readonly #most: number;
  #pending = 0;
  #held = 0;
  /** As `closing` says, at a fraction of the cost of its getters. */
  #isClosing = false;
  /** Closing waits for nothing any more. */
  #isOver = false;
  #onIdle: (() => void) | undefined;

  /** @param most pieces of work that may be pending at once. */
  constructor(code: string, most: number) {
    bindListeners(this.closing.signal, 'A listener of the signal `closing` of a pool');
    this.#code = code;
    this.#most = most;
  }

  /** Commands and callbacks under way. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * Counts `count` pieces of work as pending; returns why not, if the pool is closed, full, or the signal is aborted.
   *
   * @param whileClosing what is under way needs it to end: it is let in until closing waits no longer.
   */
  enter(signal?: AbortSignal, count = 1, whileClosing = false): LagoonError | undefined {
    if (this.#isClosing && (!whileClosing || this.#isOver)) return this.#closed();
    if (signal?.aborted) return aborted(signal);
    if (this.#pending + count > this.#most) {
      return new PoolOverloadedError(
        `Pool ${this.#code} already has ${this.#pending} commands pending (maxPending ${this.#most})`,
      );
    }
    this.#pending += count;
    return undefined;
  }

  /** Ends one piece of work that {@link enter} counted. */
  leave(): void {
    this.#pending--;
    this.#look();
  }

  /** Counts a callback that closing waits for; it takes no room from commands. The returned function ends it. */
  hold(): () => void {
    this.#held++;
    return () => {
      // What it has asked for at the end is sent at the end of this turn.
      if (this.#isClosing) setImmediate(() => this.#letGo());
      else this.#letGo();
    };
  }

  /** Stops intake, and waits at most `timeoutMs` for what is pending. Resolves to the reason for what is left. */
  async close(timeoutMs: number): Promise<ClosedError> {
    const reason = this.#closed();
    this.#isClosing = true;
    this.closing.abort(reason);
    await this.#idle(timeoutMs);
    this.#isOver = true;
    return reason;
  }

  #letGo(): void {
    this.#held--;
    this.#look();
  }

  #look(): void {
    if (this.#pending === 0 && this.#held === 0) this.#onIdle?.();
  }

  #idle(timeoutMs: number): Promise<void> {
    if (this.#pending === 0 && this.#held === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = startTimer(resolve, timeoutMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #closed(): ClosedError {
    return new ClosedError(`Pool ${this.#code} is closed`);
  }
}
