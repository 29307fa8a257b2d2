import type { ScriptTarget } from './script.js';

/**
 * Keeps Redis at work while this process is. Whoever has a reply asks again, so batches whose replies came together would be
 * sent together for ever, and Redis would rest while the callers work, and they while it does. So when all that Redis owed has
 * come at once, the last of it is held back until what the others ask for is on its way; then the two take turns by themselves.
 */
export class BatchPacing {
  static readonly #ofPools = new WeakMap<ScriptTarget, BatchPacing>();
  /** Batches that Redis owes replies to. */
  #owed = 0;
  /** Whether callers were given replies in this turn of the event loop, and will ask again. */
  #othersAsk = false;

  /** That of a pool: scripts have batches of their own, but one Redis. */
  static of(core: ScriptTarget): BatchPacing {
    let pacing = BatchPacing.#ofPools.get(core);
    if (!pacing) {
      pacing = new BatchPacing();
      BatchPacing.#ofPools.set(core, pacing);
    }
    return pacing;
  }

  sent(): void {
    this.#owed++;
  }

  /** Redis has answered a batch: `deliver` is called now or soon. */
  answered(deliver: () => void): void {
    this.#owed--;
    if (this.#owed === 0 && this.#othersAsk) {
      // What this turn asks for is written by an immediate too: the second one comes behind it.
      setImmediate(() => setImmediate(deliver));
      return;
    }
    if (this.#owed > 0 && !this.#othersAsk) {
      this.#othersAsk = true;
      setImmediate(() => {
        this.#othersAsk = false;
      });
    }
    deliver();
  }
}
