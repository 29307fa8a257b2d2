import type { AsyncResource } from 'node:async_hooks';
import type { RedisArgument } from 'redis';
import type { ResolvedPool } from '../config/types.js';
import type { QueryLog } from '../observe/query-log.js';
import { Cluster } from './cluster/cluster.js';
import type { CommandOptions, PoolCore } from './core.js';
import { Intake } from './intake.js';
import type { MultiExecutor } from './multi.js';
import type { CommandArgs, ReplyTransform } from './node-redis.js';
import type { ReplicaDirectory } from './replicas/directory.js';
import { PrefersReplicas } from './replicas/prefers-replicas.js';
import { Replicas } from './replicas/replicas.js';
import { SingleServer } from './single-server.js';
import type { NodeHealth, PoolStats } from './stats.js';
import type { Subscription, SubscriptionKind, SubscriptionRequest } from './subscription.js';
import { Sentinels } from './topology/sentinel.js';
import type { Tracking, TrackingListener, TrackingOptions } from './tracking.js';

/** What a named pool leads to: one server, of which there may be replicas, or the masters of a cluster. */
export interface Deployment {
  readonly config: ResolvedPool;
  /** Aborts when the pool begins to close. */
  readonly closing: AbortController;
  /** See {@link Intake.background}. */
  readonly background: AsyncResource;
  /** Whether it was ever asked for a connection. */
  readonly used: boolean;

  /** Counts a callback that {@link close} waits for, until the returned function is called. */
  hold(): () => void;

  /** Sends a command on a lane. */
  submit(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown>;

  /** Sends a command that may block for `blockMs` (0: for ever) on a lease of its own. */
  block(
    args: CommandArgs,
    transform: ReplyTransform | undefined,
    options: CommandOptions,
    blockMs: number,
  ): Promise<unknown>;

  /** Sends an untrusted command on a lease of its own, whose connection is closed afterwards. */
  untrusted(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown>;

  /** Executes what a MULTI builder gathers. */
  multi(options: CommandOptions): MultiExecutor;

  /**
   * Calls `work` with the server that has `keys`. `repeatable`: it is called again if the server has them no more.
   *
   * @throws {InvalidArgumentError} if there is no key where one is needed.
   */
  onServer<T>(
    keys: readonly RedisArgument[],
    options: CommandOptions,
    repeatable: boolean,
    work: (server: PoolCore) => Promise<T>,
  ): Promise<T>;

  /** Calls of a batched script can share a script call if this is the same for their keys. */
  batchOf(keys: readonly RedisArgument[]): number;

  /** The server that has these keys now, if that is known: what is known of its availability holds for no other. */
  serverOf(keys: readonly RedisArgument[]): PoolCore | undefined;

  /** The servers that have the keys, each with some of them. */
  servers(): Promise<readonly PoolCore[]>;

  subscribe(kind: SubscriptionKind, request: SubscriptionRequest, signal?: AbortSignal): Promise<Subscription>;

  track(options: TrackingOptions, listener: TrackingListener): Tracking;

  /**
   * Connects every lane. Without `timeoutMs` the first failed attempt is the answer; with it, failures that may pass are
   * tried again until then.
   */
  connect(timeoutMs?: number, signal?: AbortSignal): Promise<void>;

  stats(): PoolStats;

  /** Asks every server for a PING, which it has `timeoutMs` to answer; default: `commandTimeout`. Never rejects. */
  health(timeoutMs?: number): Promise<readonly NodeHealth[]>;

  /** Takes no more work, waits at most `timeoutMs` for what is pending, then ends everything. */
  close(timeoutMs: number): Promise<void>;
}

/** What the configuration of a pool asks for. */
export function createDeployment(pool: ResolvedPool, queryLog: QueryLog): Deployment {
  const { topology } = pool;
  if (pool.replicas === 'prefer') return createPreferringReplicas(pool, queryLog);
  return topology.kind === 'cluster' ? new Cluster(pool, topology.nodes, queryLog) : new SingleServer(pool, queryLog);
}

function createPreferringReplicas(pool: ResolvedPool, queryLog: QueryLog): Deployment {
  const { topology } = pool;
  // One for all servers: what is in flight to masters and to replicas counts together.
  const intake = new Intake(pool.code, pool.maxPending);
  const prefer = (masters: Deployment, directory: ReplicaDirectory) =>
    new PrefersReplicas(masters, new Replicas(pool, directory, queryLog, intake));
  switch (topology.kind) {
    case 'standalone':
      throw new TypeError('nobody names the replicas of one server');
    case 'sentinel': {
      const sentinels = new Sentinels(pool, topology);
      return prefer(new SingleServer(pool, queryLog, sentinels, intake), sentinels);
    }
    case 'cluster': {
      const cluster = new Cluster(pool, topology.nodes, queryLog, intake);
      return prefer(cluster, cluster.replicas);
    }
  }
}
