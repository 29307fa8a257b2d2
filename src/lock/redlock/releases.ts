import { startTimer } from '../../async/timers.js';
import { ClosedError, ReplyError } from '../../errors.js';
import { log } from '../../observe/debug.js';
import { whenAborted } from '../../pool/abort.js';
import type { RedlockTiming } from './options.js';
import type { Share } from './share.js';
import { delayOf } from './timing.js';

/** Releases of one resource at one server that are tried again; the oldest is given up for one more, and ends with its expiry. */
const MOST_AGAIN = 32;

interface Release {
  readonly share: Share;
  /** When the share has expired at the latest. */
  readonly over: number;
  retries: number;
  resolve(held: boolean): void;
  reject(error: Error): void;
}

/**
 * Releases the shares of Redlocks. Of one resource at one server one release is under way at a time, however many attempts at the lock
 * there were while the server did not answer. What fails is tried again in the background until the share has expired.
 */
export class Releases {
  readonly #timing: RedlockTiming;
  readonly #closing: AbortSignal;
  readonly #lines = new Map<string, Line>();

  /** `closing`: nothing is tried again after it aborts. */
  constructor(timing: RedlockTiming, closing: AbortSignal) {
    this.#timing = timing;
    this.#closing = closing;
  }

  /** Whether the share was held. Rejects when the first try has failed. */
  release(share: Share, over: number): Promise<boolean> {
    const { place } = share;
    let line = this.#lines.get(place);
    if (!line) {
      line = new Line(this.#timing, this.#closing, () => this.#lines.delete(place));
      this.#lines.set(place, line);
    }
    const to = line;
    return new Promise((resolve, reject) => {
      to.add({ share, over, retries: this.#timing.retryCount, resolve, reject });
    });
  }
}

class Line {
  readonly #timing: RedlockTiming;
  readonly #closing: AbortSignal;
  readonly #empty: () => void;
  #waiting: Release[] = [];
  #again: Release[] = [];
  #underWay = false;
  #stopPause: (() => void) | undefined;

  constructor(timing: RedlockTiming, closing: AbortSignal, empty: () => void) {
    this.#timing = timing;
    this.#closing = closing;
    this.#empty = empty;
  }

  add(release: Release): void {
    this.#waiting.push(release);
    void this.#next();
  }

  async #next(): Promise<void> {
    if (this.#underWay) return;
    const release = this.#waiting.shift();
    if (!release) {
      this.#pause();
      return;
    }
    this.#underWay = true;
    try {
      release.resolve(await release.share.release(Math.max(1, Math.ceil(release.over - performance.now()))));
    } catch (error) {
      this.#failed(release, error as Error);
    }
    this.#underWay = false;
    void this.#next();
  }

  #failed(release: Release, error: Error): void {
    const failed = [release];
    // The server cannot be asked: those behind it would wait as long, one after the other.
    if (mayPass(error)) failed.push(...this.#waiting.splice(0));
    for (const each of failed) {
      each.reject(error);
      if (mayPass(error) && !this.#closing.aborted && each.retries > 0) {
        each.retries--;
        this.#again.push(each);
      } else {
        const { pool } = each.share;
        log.lock('%s: a share of a Redlock cannot be released and ends with its expiry: %s', pool, error.message);
      }
    }
    this.#again.splice(0, this.#again.length - MOST_AGAIN);
  }

  #pause(): void {
    if (this.#stopPause) return;
    const now = performance.now();
    this.#again = this.#again.filter(({ over }) => over > now);
    if (this.#again.length === 0) {
      this.#empty();
      return;
    }
    const timer = startTimer(() => {
      this.#stopPause?.();
      const now = performance.now();
      this.#waiting.push(...this.#again.splice(0).filter(({ over }) => over > now));
      void this.#next();
    }, delayOf(this.#timing));
    const stopWatching = whenAborted(this.#closing, () => {
      this.#stopPause?.();
      this.#again = [];
      if (!this.#underWay && this.#waiting.length === 0) this.#empty();
    });
    this.#stopPause = () => {
      this.#stopPause = undefined;
      clearTimeout(timer);
      stopWatching();
    };
  }
}

/** "Not held" is an answer, and final; so is an error that Redis answers with. */
function mayPass(error: Error): boolean {
  return !(error instanceof ReplyError || error instanceof ClosedError);
}
