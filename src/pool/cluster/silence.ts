import type { PoolCore } from '../core.js';

/** Notices servers that owe replies and give none: one that is frozen or cut off says nothing of it. */
export class SilenceWatch {
  /** What was settled on a server when it was looked at last. */
  readonly #settled = new WeakMap<PoolCore, number>();

  /** Whether one of the servers has answered nothing since the last look, though it owes replies. */
  look(servers: Iterable<PoolCore>): boolean {
    let silent = false;
    for (const server of servers) {
      const { settled } = server;
      if (server.lanes.size > 0 && this.#settled.get(server) === settled) silent = true;
      this.#settled.set(server, settled);
    }
    return silent;
  }
}
