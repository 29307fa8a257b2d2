import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_TIMER_MS } from '../duration.js';
import { ClosedError } from '../errors.js';
import { aborted, whenAborted } from '../pool/abort.js';
import { RateLimitedError } from './errors.js';
import type { RateLimitResult } from './result.js';

interface Turn {
  /** Whether all who came before have gone. */
  first: boolean;
  begin(): void;
}

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
    const stop = new AbortController();
    const stopWatching = [
      whenAborted(this.#closing, () => stop.abort(new ClosedError('The pool was closed during the wait for a limit'))),
      ...(signal ? [whenAborted(signal, () => stop.abort(aborted(signal)))] : []),
    ];
    const turn = this.#join(key);
    try {
      if (!(await this.#turnOf(turn, giveUpAt, stop.signal))) throw new RateLimitedError(key, await peek());
      for (;;) {
        if (stop.signal.aborted) throw stop.signal.reason;
        const result = await consume();
        if (result.allowed) return result;
        if (result.retryAfter < 0 || performance.now() + result.retryAfter > giveUpAt) {
          throw new RateLimitedError(key, result);
        }
        await pause(result.retryAfter, stop.signal);
      }
    } finally {
      for (const unwatch of stopWatching) unwatch();
      this.#leave(key, turn);
    }
  }

  #join(key: string): Turn {
    let line = this.#lines.get(key);
    if (!line) {
      line = [];
      this.#lines.set(key, line);
    }
    const turn: Turn = { first: line.length === 0, begin: () => undefined };
    line.push(turn);
    return turn;
  }

  /** Resolves with `false` if its turn does not come in time. */
  #turnOf(turn: Turn, giveUpAt: number, stop: AbortSignal): Promise<boolean> | boolean {
    if (turn.first) return true;
    return new Promise((resolve, reject) => {
      const leftMs = giveUpAt - performance.now();
      const timer =
        leftMs === Number.POSITIVE_INFINITY
          ? undefined
          : setTimeout(() => resolve(false), Math.min(leftMs, MAX_TIMER_MS));
      const settle = (end: () => void) => () => {
        clearTimeout(timer);
        end();
      };
      turn.begin = settle(() => resolve(true));
      stop.addEventListener(
        'abort',
        settle(() => reject(stop.reason)),
        { once: true },
      );
    });
  }

  #leave(key: string, turn: Turn): void {
    const line = this.#lines.get(key) ?? [];
    const wasFirst = line[0] === turn;
    line.splice(line.indexOf(turn), 1);
    const [next] = line;
    if (!next) this.#lines.delete(key);
    else if (wasFirst) {
      next.first = true;
      next.begin();
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.min(ms, MAX_TIMER_MS), undefined, { signal }).catch(() => {
    throw signal.reason;
  });
}
