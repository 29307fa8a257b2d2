import type { Endpoint } from '../../config/types.js';
import type { CommandArgs } from '../node-redis.js';

/** Stands for a master and its replicas. */
export type Shard = object;

/** Who knows where the replicas of a pool's servers are. */
export interface ReplicaDirectory {
  /** The replicas that are said to be in order. */
  replicas(): ReadonlyMap<Shard, readonly Endpoint[]>;

  /**
   * Where the keys of a command are, if that is known.
   *
   * @throws {CrossSlotError} if they are at several places.
   */
  shardOf(args: CommandArgs): Shard | undefined;

  /** Calls `listener` whenever the replicas may be others. */
  onReplicas(listener: () => void): void;

  /** Told that a replica is not what it was said to be. */
  doubt(): void;
}
