import { startTimer } from '../async/timers.js';
import { timerMs } from '../duration.js';
import { log } from '../observe/debug.js';
import type { LockStore } from './store.js';

/** Something that lapses unless it is renewed. */
export interface Renewable {
  /** How often, in ms. */
  readonly renewEveryMs: number;
  /** When it lapses, on the clock of `performance.now()`. */
  readonly expiresAt: number;
  /** Resolves with whether there is still something to renew. Never rejects. */
  renew(): Promise<boolean>;
}

/** Renewals fall due together if they are no further apart than this part of their interval: they then share script calls. */
const TOGETHER = 0.1;
/** A renewal that failed is tried again after this part of the interval, at the earliest after this many ms. */
const RETRY_PART = 0.1;
const MIN_RETRY_MS = 20;

/** Renews any number of locks from one timer, which does not keep the process alive. */
export class Renewals {
  /** When each is due. */
  readonly #due = new Map<Renewable, number>();
  readonly #inBackground: LockStore['inBackground'];
  #timer: NodeJS.Timeout | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;

  /** `inBackground`: that of the pool. The timer belongs to no caller. */
  constructor(inBackground: LockStore['inBackground']) {
    this.#inBackground = inBackground;
  }

  add(renewable: Renewable): void {
    this.#schedule(renewable, performance.now() + renewable.renewEveryMs);
  }

  delete(renewable: Renewable): void {
    if (this.#due.delete(renewable) && this.#due.size === 0) this.#sleepUntil(Number.POSITIVE_INFINITY);
  }

  #schedule(renewable: Renewable, at: number): void {
    this.#due.set(renewable, at);
    if (at < this.#wakeAt) this.#sleepUntil(at);
  }

  #sleepUntil(at: number): void {
    clearTimeout(this.#timer);
    this.#wakeAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#inBackground(() => startTimer(() => this.#run(), timerMs(at)).unref());
  }

  #run(): void {
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [renewable, at] of this.#due) {
      if (at <= now + renewable.renewEveryMs * TOGETHER) {
        // Due again when this attempt should have succeeded or failed; #renew sets the time that counts.
        this.#due.set(renewable, now + renewable.renewEveryMs);
        void this.#renew(renewable);
      }
      next = Math.min(next, this.#due.get(renewable) ?? next);
    }
    this.#sleepUntil(next);
  }

  async #renew(renewable: Renewable): Promise<void> {
    const before = renewable.expiresAt;
    const startedAt = performance.now();
    const goesOn = await renewable.renew();
    if (!goesOn) this.#due.delete(renewable);
    else if (this.#due.has(renewable)) {
      const renewed = renewable.expiresAt > before;
      if (!renewed) log.lock('a renewal failed and is tried again');
      const retryMs = Math.max(MIN_RETRY_MS, renewable.renewEveryMs * RETRY_PART);
      this.#schedule(renewable, renewed ? startedAt + renewable.renewEveryMs : performance.now() + retryMs);
    }
  }
}
