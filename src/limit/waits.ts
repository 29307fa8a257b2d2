import { startTimer } from '../async/timers.js';
import { bytesOf, detached } from '../bounded-map.js';
import { ClosedError, CommandTimeoutError, PoolOverloadedError } from '../errors.js';
import { aborted, whenAborted } from '../pool/abort.js';
import { RateLimitedError } from './errors.js';
import { PROBE_MS } from './outage.js';
import type { RateLimitResult } from './result.js';

/** Bytes that those who wait take at most, and what each of them takes beside its key. */
const MOST_BYTES = 64 * 1024 * 1024;
const TURN_BYTES = 512;
/** How much later than its timeout a wait may end that asks when there would be room, as a part of it, and in ms at least. */
const LATE_PART = 0.1;
const LATE_MS = 50;

/** What a wait asks of its limiter. */
export interface Asking {
  consume(): Promise<RateLimitResult>;
  peek(): Promise<RateLimitResult>;
  /** A call was counted for a wait that had ended before its answer came. */
  giveBack(): void;
}

/** Those in this process who wait for a key to have room: each asks only when all who came before it are served or gone. */
export class Waits {
  readonly #lines = new Map<string, Set<Turn>>();
  readonly #closing: AbortSignal;
  #bytes = 0;

  constructor(closing: AbortSignal) {
    this.#closing = closing;
  }

  /**
   * @param asking how to ask once.
   * @throws {RateLimitedError} when it cannot pass within `timeoutMs`, as soon as that is known.
   * @throws {CommandTimeoutError} when Redis has not answered within `timeoutMs`.
   * @throws {PoolOverloadedError} if those who wait take too much memory already.
   */
  async wait(
    key: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    asking: Asking,
  ): Promise<RateLimitResult> {
    if (signal?.aborted) throw aborted(signal);
    const giveUpAt = performance.now() + timeoutMs;
    const turn = this.#join(key);
    const stopWatching = [
      whenAborted(this.#closing, () => turn.end(new ClosedError('The pool was closed during the wait for a limit'))),
      ...(signal ? [whenAborted(signal, () => turn.end(aborted(signal)))] : []),
    ];
    try {
      while (!turn.called) {
        const leftMs = giveUpAt - performance.now();
        if (leftMs <= 0) throw new RateLimitedError(key, await this.#lastLook(turn, timeoutMs, asking));
        await turn.pause(leftMs);
      }
      for (;;) {
        turn.called = false;
        const result = await this.#consume(turn, timeoutMs, giveUpAt, asking);
        if (result.allowed) return result;
        if (result.retryAfter < 0) throw new RateLimitedError(key, result);
        // Unless it was called meanwhile: what was denied may be older than the room that was made.
        if (!turn.called && performance.now() + result.retryAfter > giveUpAt) throw new RateLimitedError(key, result);
        // What an outage denied may pass as soon as it is over.
        await turn.pause(result.degraded ? Math.min(result.retryAfter, PROBE_MS) : result.retryAfter);
      }
    } finally {
      for (const unwatch of stopWatching) unwatch();
      this.#leave(key, turn);
    }
  }

  /** Lets the first who waits for a key ask at once: it may have room again. */
  wake(key: string): void {
    this.#first(key)?.call();
  }

  async #consume(turn: Turn, timeoutMs: number, giveUpAt: number, asking: Asking): Promise<RateLimitResult> {
    const consuming = asking.consume();
    try {
      // With a timeout of 0 the one attempt takes as long as `consume` does.
      const leftMs = timeoutMs === 0 ? Number.POSITIVE_INFINITY : giveUpAt - performance.now();
      return await turn.answerOf(consuming, leftMs, timeoutMs);
    } catch (error) {
      // What Redis counts all the same, this caller does not use.
      consuming.then(({ allowed, exceeded, degraded }) => {
        if (allowed && !exceeded && !degraded) asking.giveBack();
      }, ignore);
      throw error;
    }
  }

  /** When there would be room, for one whose time is over. */
  #lastLook(turn: Turn, timeoutMs: number, asking: Asking): Promise<RateLimitResult> {
    return turn.answerOf(asking.peek(), Math.max(LATE_MS, timeoutMs * LATE_PART), timeoutMs);
  }

  #first(key: string): Turn | undefined {
    return this.#lines.get(key)?.values().next().value;
  }

  #join(key: string): Turn {
    const turn = new Turn(TURN_BYTES + bytesOf(key));
    if (this.#bytes + turn.bytes > MOST_BYTES) {
      throw new PoolOverloadedError(
        `Those who wait for this limiter take ${MOST_BYTES} bytes already; let fewer wait, or use consume()`,
      );
    }
    this.#bytes += turn.bytes;
    const line = this.#lines.get(key);
    if (line) line.add(turn);
    else {
      this.#lines.set(detached(key), new Set([turn]));
      turn.call();
    }
    return turn;
  }

  #leave(key: string, turn: Turn): void {
    this.#bytes -= turn.bytes;
    const wasFirst = this.#first(key) === turn;
    const line = this.#lines.get(key);
    line?.delete(turn);
    if (line?.size === 0) this.#lines.delete(key);
    else if (wasFirst) this.#first(key)?.call();
  }
}

/** One who waits. */
class Turn {
  /** Whether it shall ask, and has not begun to. */
  called = false;
  /** What it takes of memory. */
  readonly bytes: number;
  #ended: Error | undefined;
  #resume = () => {};

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  call(): void {
    this.called = true;
    this.#resume();
  }

  end(reason: Error): void {
    this.#ended ??= reason;
    this.#resume();
  }

  /**
   * Until it is called, which it may be already, or some ms have passed.
   *
   * @throws why it was ended.
   */
  async pause(ms: number): Promise<void> {
    if (!this.called && !this.#ended) {
      await new Promise<void>((resolve) => {
        const timer = startTimer(resolve, ms);
        this.#resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#ended) throw this.#ended;
  }

  /**
   * What was asked, if the answer comes before this one is ended and within some ms.
   *
   * @throws why it was ended, or {@link CommandTimeoutError}, which names `timeoutMs`.
   */
  answerOf(answer: Promise<RateLimitResult>, ms: number, timeoutMs: number): Promise<RateLimitResult> {
    return new Promise((resolve, reject) => {
      const isLate = () => {
        const message = `Redis did not answer within the ${timeoutMs} ms of the wait; the call may have been counted`;
        settle(() => reject(new CommandTimeoutError(message, timeoutMs, true)));
      };
      // Replies that arrived while the event loop was busy are read first.
      const timer = startTimer(() => setImmediate(isLate), Math.max(0, ms));
      const settle = (how: () => void) => {
        clearTimeout(timer);
        this.#resume = ignore;
        how();
      };
      // A call during the question changes nothing now: it is looked at after the answer.
      const onEnd = () => {
        if (this.#ended) settle(() => reject(this.#ended as Error));
      };
      this.#resume = onEnd;
      answer.then(
        (result) => settle(() => resolve(result)),
        (error) => settle(() => reject(error)),
      );
      onEnd();
    });
  }
}

function ignore(): void {}
