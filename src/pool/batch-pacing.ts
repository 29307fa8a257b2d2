import type { ScriptTarget } from './script.js';
import { Solitude } from './solitude.js';

/**
 * Keeps Redis at work while this process is. Whoever has a reply asks again, so batches whose replies came together would be
 * sent together for ever, and Redis would rest while the callers work, and they while it does. So of the replies that come at
 * once some are held back until what the others ask for is on its way: so many that Redis and the callers have half each.
 */
export class BatchPacing {
  static readonly #ofPools = new WeakMap<ScriptTarget, BatchPacing>();
  /** Batches that Redis owes replies to. */
  #owed = 0;
  /** What gives callers the replies that came at once. */
  #arrived: (() => void)[] = [];
  readonly #solitude = new Solitude();

  /** That of a pool: scripts have batches of their own, but one Redis. */
  static of(core: ScriptTarget): BatchPacing {
    let pacing = BatchPacing.#ofPools.get(core);
    if (!pacing) {
      pacing = new BatchPacing();
      BatchPacing.#ofPools.set(core, pacing);
    }
    return pacing;
  }

  /** Whether a call that is made now is likely to be the only one of its turn. */
  get isSolitary(): boolean {
    return this.#owed === 0 && this.#solitude.isLikely;
  }

  /** A batch of so many calls is sent. */
  sent(calls: number): void {
    this.#solitude.sent(calls, this.#owed);
    this.#owed++;
  }

  /** Redis has answered a batch: `deliver` is called now or soon. */
  answered(deliver: () => void): void {
    this.#owed--;
    // Nothing else can have come with the last one that was owed.
    if (this.#owed === 0 && this.#arrived.length === 0) deliver();
    // The replies that were read at once are all settled before the first microtask runs, and this one comes behind theirs.
    else if (this.#arrived.push(deliver) === 1) queueMicrotask(this.#share);
  }

  #share = (): void => {
    const arrived = this.#arrived;
    this.#arrived = [];
    const now = Math.ceil((arrived.length + this.#owed) / 2);
    const later = arrived.splice(now);
    for (const deliver of arrived) deliver();
    // What the others ask for is written by an immediate too: the second one comes behind it.
    if (later.length > 0) setImmediate(() => setImmediate(deliverAll, later));
  };
}

function deliverAll(all: readonly (() => void)[]): void {
  for (const deliver of all) deliver();
}
