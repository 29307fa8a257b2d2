import { startTimer } from '../async/timers.js';
import type { Claim } from './claim.js';
import { nameOf } from './keys.js';
import type { Waiter } from './waiter.js';

/** The waiters of this process at one place; the first looks for all of them. */
export interface Line {
  readonly name: string;
  readonly waiters: Set<Waiter>;
  timer: NodeJS.Timeout | undefined;
  /** Whether some could not ask the last time. */
  troubled: boolean;
}

/** The lines of one waiting room. */
export class Lines {
  readonly #lines = new Map<string, Line>();
  readonly #ask: (first: Waiter) => void;

  /** `ask`: called when it is time for the first of a line to look. */
  constructor(ask: (first: Waiter) => void) {
    this.#ask = ask;
  }

  /** Whether claims wait where this one would. */
  has(claim: Claim): boolean {
    return this.#lines.size > 0 && this.#lines.has(nameOfLine(claim));
  }

  /** The line in which a claim waits. */
  of(claim: Claim): Line {
    const name = nameOfLine(claim);
    let line = this.#lines.get(name);
    if (!line) {
      line = { name, waiters: new Set(), timer: undefined, troubled: false };
      this.#lines.set(name, line);
    }
    return line;
  }

  /** One waiter of a line looks when the holder's time is over, because a holder that crashed releases nothing. */
  look(line: Line, delayMs: number): void {
    if (line.waiters.size === 0) return;
    clearTimeout(line.timer);
    line.timer = startTimer(() => {
      // Who is about to leave asks no more.
      for (const waiter of line.waiters) if (!waiter.leaving) return this.#ask(waiter);
    }, delayMs);
  }

  leave(waiter: Waiter): void {
    const { line } = waiter;
    line.waiters.delete(waiter);
    if (line.waiters.size > 0) return;
    clearTimeout(line.timer);
    this.#lines.delete(line.name);
  }
}

function nameOfLine({ keys }: Claim): string {
  return JSON.stringify(keys.map(nameOf));
}
