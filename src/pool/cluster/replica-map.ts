import type { Endpoint } from '../../config/types.js';
import type { PoolCore } from '../core.js';
import type { CommandArgs } from '../node-redis.js';
import type { ReplicaDirectory, Shard } from '../replicas/directory.js';
import { slotOfCommand } from './keys.js';

/** So long it is worth the while to ask for replicas that were lost: they may soon be back, and nobody would say so. */
const MISSED_MS = 30_000;

interface SlotOwners {
  of(slot: number): PoolCore | undefined;
  refresh(): Promise<void>;
}

/** The replicas of a cluster's masters, as the cluster said last. */
export class ReplicaMap implements ReplicaDirectory {
  readonly #masters: SlotOwners;
  readonly #listeners = new Set<() => void>();
  #replicas: ReadonlyMap<PoolCore, readonly Endpoint[]> = new Map();
  #missedUntil = 0;

  constructor(masters: SlotOwners) {
    this.#masters = masters;
  }

  /** Whether one was lost not long ago. */
  get isMissingSome(): boolean {
    return performance.now() < this.#missedUntil;
  }

  learn(replicas: ReadonlyMap<PoolCore, readonly Endpoint[]>): void {
    if (count(replicas) < count(this.#replicas)) this.#miss();
    this.#replicas = replicas;
    for (const listener of this.#listeners) listener();
  }

  replicas(): ReadonlyMap<Shard, readonly Endpoint[]> {
    return this.#replicas;
  }

  shardOf(args: CommandArgs): Shard | undefined {
    return this.#masters.of(slotOfCommand(args));
  }

  onReplicas(listener: () => void): void {
    this.#listeners.add(listener);
  }

  doubt(): void {
    this.#miss();
    void this.#masters.refresh();
  }

  #miss(): void {
    this.#missedUntil = performance.now() + MISSED_MS;
  }
}

function count(replicas: ReadonlyMap<PoolCore, readonly Endpoint[]>): number {
  return [...replicas.values()].flat().length;
}
