import { whenAborted } from '../abort.js';
import type { PoolCore } from '../core.js';
import { ServerTracking, type Tracking, type TrackingListener, type TrackingOptions } from '../tracking.js';
import type { Masters } from './masters.js';

interface Tracked {
  readonly tracking: Tracking;
  up: boolean;
}

/** Hears from every master which keys change; up only while all of them are heard. */
export class ClusterTracking implements Tracking {
  readonly #masters: Masters;
  readonly #options: TrackingOptions;
  readonly #listener: TrackingListener;
  readonly #tracked = new Map<PoolCore, Tracked>();
  readonly #stopListening: () => void;
  #up = false;
  #stopped = false;

  constructor(masters: Masters, closing: AbortController, options: TrackingOptions, listener: TrackingListener) {
    this.#masters = masters;
    this.#options = options;
    this.#listener = listener;
    this.#stopListening = masters.onChange(() => this.#follow());
    whenAborted(closing.signal, () => this.stop());
    // Of a pool that was not used yet nobody knows the masters; asking tells of them as of any change.
    if (masters.all.length > 0) this.#follow();
    else void masters.refresh();
  }

  get confirmedUntil(): number {
    if (!this.#up) return 0;
    return Math.min(...[...this.#tracked.values()].map(({ tracking }) => tracking.confirmedUntil));
  }

  stop(): void {
    this.#stopped = true;
    this.#stopListening();
    for (const { tracking } of this.#tracked.values()) tracking.stop();
    this.#tracked.clear();
    this.#judge();
  }

  /** Keys have come to other masters: what was heard of them may have been said to nobody. */
  #follow(): void {
    const masters = new Set(this.#masters.all);
    for (const [server, { tracking }] of [...this.#tracked]) {
      if (masters.has(server)) continue;
      this.#tracked.delete(server);
      tracking.stop();
    }
    for (const server of masters) if (!this.#tracked.has(server)) this.#add(server);
    this.#judge();
    if (this.#up) this.#listener.invalidated(undefined);
  }

  #add(server: PoolCore): void {
    const heard = (up: boolean) => () => {
      tracked.up = up;
      if (this.#tracked.get(server) === tracked) this.#judge();
    };
    const listener = {
      up: heard(true),
      down: heard(false),
      invalidated: this.#listener.invalidated.bind(this.#listener),
      refused: this.#listener.refused.bind(this.#listener),
    };
    const tracked: Tracked = { tracking: new ServerTracking(server, this.#options, listener), up: false };
    this.#tracked.set(server, tracked);
  }

  #judge(): void {
    const all = [...this.#tracked.values()];
    const up = !this.#stopped && all.length > 0 && all.every((one) => one.up);
    if (up === this.#up) return;
    this.#up = up;
    if (up) this.#listener.up();
    else this.#listener.down();
  }
}
