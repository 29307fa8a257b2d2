import { startTimer } from '../async/timers.js';

/** How long a caller whose time is over waits for the reply to its leaving, in ms, if Redis answers other requests meanwhile. */
const PATIENCE_MS = 500;

/**
 * Ends the calls whose time is over and whose leaving is not answered yet. Redis that answers others is only busy, and the caller has
 * its answer: the lock was not obtained in time. Redis that answers no request may be away, which the caller must hear of instead.
 */
export class Patience {
  #heardAt = Number.NEGATIVE_INFINITY;
  readonly #unheard = new Set<() => void>();

  /** A reply has come. */
  heard(): void {
    this.#heardAt = performance.now();
    if (this.#unheard.size === 0) return;
    const ends = [...this.#unheard];
    this.#unheard.clear();
    for (const end of ends) end();
  }

  /** Calls `end` when the caller has waited long enough, unless the returned function is called before. */
  watch(end: () => void): () => void {
    const since = performance.now();
    const timer = startTimer(() => {
      if (this.#heardAt > since) end();
      else this.#unheard.add(end);
    }, PATIENCE_MS);
    return () => {
      clearTimeout(timer);
      this.#unheard.delete(end);
    };
  }
}
