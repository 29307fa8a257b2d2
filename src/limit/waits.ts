import { MAX_TIMER_MS } from '../duration.js';
import { ClosedError } from '../errors.js';
import { aborted, whenAborted } from '../pool/abort.js';
import { RateLimitedError } from './errors.js';
import { PROBE_MS } from './outage.js';
import type { RateLimitResult } from './result.js';

/** Those in this process who wait for a key to have room: each asks only when all who came before it are served or gone. */
export class Waits {
  readonly #lines = new Map<string, Turn[]>();
  readonly #closing: AbortSignal;

  constructor(closing: AbortSignal) {
    this.#closing = closing;
  }

  /**
   * @param consume asks once.
   * @throws {RateLimitedError} when it cannot pass within `timeoutMs`, as soon as that is known.
   */
  async wait(
    key: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    consume: () => Promise<RateLimitResult>,
    peek: () => Promise<RateLimitResult>,
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
        if (leftMs <= 0) throw new RateLimitedError(key, await peek());
        await turn.pause(leftMs);
      }
      for (;;) {
        turn.called = false;
        const result = await consume();
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
    this.#lines.get(key)?.[0]?.call();
  }

  #join(key: string): Turn {
    const turn = new Turn();
    const line = this.#lines.get(key);
    if (line) line.push(turn);
    else {
      this.#lines.set(key, [turn]);
      turn.call();
    }
    return turn;
  }

  #leave(key: string, turn: Turn): void {
    const line = this.#lines.get(key) ?? [];
    const wasFirst = line[0] === turn;
    line.splice(line.indexOf(turn), 1);
    if (line.length === 0) this.#lines.delete(key);
    else if (wasFirst) line[0]?.call();
  }
}

/** One who waits. */
class Turn {
  /** Whether it shall ask, and has not begun to. */
  called = false;
  #ended: Error | undefined;
  #resume = () => {};

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
        const timer = setTimeout(resolve, Math.min(ms, MAX_TIMER_MS));
        this.#resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#ended) throw this.#ended;
  }
}
