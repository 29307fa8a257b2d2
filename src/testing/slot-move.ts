import { type NodeView, viewOf } from './cluster-view.js';
import type { RedisServer } from './redis-server.js';
import type { Command } from './resp.js';
import { awake, type ServerGroup } from './server-group.js';

/** Keys per MIGRATE, and how long Redis may take over them. */
const KEYS_AT_ONCE = 100;
const MIGRATE_TIMEOUT_MS = 5_000;

/** Between what nodes: those that are of the cluster by the time it is asked. */
export interface MoveScene {
  readonly group: ServerGroup;
  readonly nodes: () => readonly RedisServer[];
  readonly password: string | undefined;
}

/**
 * Slots on their way from one master to another, held where it is until `finish()`: `from` is MIGRATING, `to` is
 * IMPORTING. A command for a key that `from` does not have any more, or never had, is answered with ASK.
 */
export class SlotMove {
  readonly slots: readonly number[];
  readonly from: RedisServer;
  readonly to: RedisServer;
  readonly #toId: string;
  readonly #scene: MoveScene;

  private constructor(scene: MoveScene, slots: readonly number[], from: NodeView, to: NodeView) {
    this.#scene = scene;
    this.slots = slots;
    this.from = from.server;
    this.to = to.server;
    this.#toId = to.own.id;
  }

  /** @internal */
  static async start(scene: MoveScene, slots: readonly number[], from: NodeView, to: NodeView): Promise<SlotMove> {
    // In this order: `from` sends clients on to `to`, which must be ready for them.
    await to.server.exchange(slots.map((slot) => ['CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', from.own.id]));
    await from.server.exchange(slots.map((slot) => ['CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', to.own.id]));
    return new SlotMove(scene, slots, from, to);
  }

  /**
   * Moves keys, `limit` at most (default: all there are), which stay where they get to: half of the keys of a slot can
   * be here and half there.
   *
   * @returns how many were moved.
   */
  async moveKeys(limit = Number.POSITIVE_INFINITY): Promise<number> {
    const counts = await this.from.exchange(this.slots.map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', String(slot)]));
    let moved = 0;
    for (const slot of this.slots.filter((_, index) => counts[index] !== 0)) {
      for (let keys = 1; keys > 0 && moved < limit; moved += keys) {
        keys = await this.#moveSome(slot, Math.min(KEYS_AT_ONCE, limit - moved));
      }
    }
    return moved;
  }

  /**
   * Moves the keys that are left and gives the slots to `to`; resolves once every running node knows.
   *
   * @throws {TestingError} if one of the two does not run, or a node still does not know after 20 s.
   */
  async finish(): Promise<void> {
    await this.moveKeys();
    const { group, nodes } = this.#scene;
    const settle: Command[] = this.slots.map((slot) => ['CLUSTER', 'SETSLOT', String(slot), 'NODE', this.#toId]);
    // `to` first: were it `from`, and it ended now, nobody would have the slots. The others hear of it from `to`.
    await this.to.exchange(settle);
    await this.from.exchange(settle);
    await group.settle(async () => this.#unaware(await Promise.all((await awake(nodes())).map(viewOf))));
  }

  #unaware(views: readonly NodeView[]): string | undefined {
    for (const { server, known } of views) {
      const ranges = known.get(this.#toId)?.slots ?? [];
      const missing = this.slots.find((slot) => !ranges.some(([first, last]) => slot >= first && slot <= last));
      if (missing !== undefined) return `node ${server.address} does not know slot ${missing} at ${this.to.address}`;
    }
    return undefined;
  }

  async #moveSome(slot: number, count: number): Promise<number> {
    // As bytes, because a key need not be text.
    const found = await this.from.exchange([['CLUSTER', 'GETKEYSINSLOT', String(slot), String(count)]], 'latin1');
    const keys = (found[0] as string[]).map((key) => Buffer.from(key, 'latin1'));
    if (keys.length === 0) return 0;
    const { password } = this.#scene;
    const login = password === undefined ? [] : ['AUTH', password];
    const { host, port } = this.to;
    const target = [host, String(port), '', '0', String(MIGRATE_TIMEOUT_MS)];
    await this.from.exchange([['MIGRATE', ...target, ...login, 'KEYS', ...keys]]);
    return keys.length;
  }
}
