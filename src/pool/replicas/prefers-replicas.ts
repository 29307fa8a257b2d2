import type { AsyncResource } from 'node:async_hooks';
import type { RedisArgument } from 'redis';
import type { ResolvedPool } from '../../config/types.js';
import { ClosedError, isUnavailable, PoolOverloadedError } from '../../errors.js';
import { redirectOf } from '../cluster/redirect.js';
import type { CommandOptions, PoolCore } from '../core.js';
import type { Deployment } from '../deployment.js';
import type { MultiExecutor } from '../multi.js';
import type { CommandArgs, ReplyTransform } from '../node-redis.js';
import { addStats, type NodeHealth, type PoolStats } from '../stats.js';
import type { Subscription, SubscriptionKind, SubscriptionRequest } from '../subscription.js';
import type { Tracking, TrackingListener, TrackingOptions } from '../tracking.js';
import { isRead } from './read-commands.js';
import { halfOf, type Replica } from './replica.js';
import type { Replicas } from './replicas.js';

/** How long `connect()` waits for replicas once the masters are connected. */
const CONNECT_MS = 1_000;

/** A deployment whose single reads go to replicas where there are any; everything else goes where it went. */
export class PrefersReplicas implements Deployment {
  readonly #masters: Deployment;
  readonly #replicas: Replicas;

  constructor(masters: Deployment, replicas: Replicas) {
    this.#masters = masters;
    this.#replicas = replicas;
  }

  get config(): ResolvedPool {
    return this.#masters.config;
  }

  get closing(): AbortController {
    return this.#masters.closing;
  }

  get background(): AsyncResource {
    return this.#masters.background;
  }

  hold(): () => void {
    return this.#masters.hold();
  }

  get used(): boolean {
    return this.#masters.used;
  }

  submit(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown> {
    if (options.replicas === 'never' || !isRead(args)) return this.#masters.submit(args, transform, options);
    let replica: Replica | undefined;
    try {
      replica = this.#replicas.pick(args);
    } catch (error) {
      return Promise.reject(error);
    }
    return replica ? this.#read(replica, args, transform, options) : this.#masters.submit(args, transform, options);
  }

  block(
    args: CommandArgs,
    transform: ReplyTransform | undefined,
    options: CommandOptions,
    blockMs: number,
  ): Promise<unknown> {
    return this.#masters.block(args, transform, options, blockMs);
  }

  untrusted(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown> {
    return this.#masters.untrusted(args, transform, options);
  }

  multi(options: CommandOptions): MultiExecutor {
    return this.#masters.multi(options);
  }

  onServer<T>(
    keys: readonly RedisArgument[],
    options: CommandOptions,
    repeatable: boolean,
    work: (server: PoolCore) => Promise<T>,
  ): Promise<T> {
    return this.#masters.onServer(keys, options, repeatable, work);
  }

  batchOf(keys: readonly RedisArgument[]): number {
    return this.#masters.batchOf(keys);
  }

  serverOf(keys: readonly RedisArgument[]): PoolCore | undefined {
    return this.#masters.serverOf(keys);
  }

  servers(): Promise<readonly PoolCore[]> {
    return this.#masters.servers();
  }

  subscribe(kind: SubscriptionKind, request: SubscriptionRequest, signal?: AbortSignal): Promise<Subscription> {
    return this.#masters.subscribe(kind, request, signal);
  }

  track(options: TrackingOptions, listener: TrackingListener): Tracking {
    return this.#masters.track(options, listener);
  }

  async connect(timeoutMs?: number, signal?: AbortSignal): Promise<void> {
    await this.#masters.connect(timeoutMs, signal);
    await this.#replicas.connected(Math.min(timeoutMs ?? CONNECT_MS, CONNECT_MS));
  }

  stats(): PoolStats {
    const stats = this.#masters.stats();
    return { ...stats, ...addStats([stats, ...this.#replicas.stats()]) };
  }

  async health(timeoutMs?: number): Promise<readonly NodeHealth[]> {
    const [masters, replicas] = await Promise.all([this.#masters.health(timeoutMs), this.#replicas.health(timeoutMs)]);
    return [...masters, ...replicas];
  }

  async close(timeoutMs: number): Promise<void> {
    await this.#masters.close(timeoutMs);
    await this.#replicas.end(new ClosedError(`Pool ${this.config.code} is closed`));
  }

  // A read can be sent twice: whatever keeps a replica from answering, the master is asked in the time that is left.
  #read(
    replica: Replica,
    args: CommandArgs,
    transform: ReplyTransform | undefined,
    options: CommandOptions,
  ): Promise<unknown> {
    const startedAt = performance.now();
    const { timeoutMs } = options;
    const half = timeoutMs === undefined ? options : { ...options, timeoutMs: halfOf(timeoutMs) };
    return replica.core.submit(args, transform, half).catch((error) => {
      const moved = redirectOf(error) !== undefined;
      // A pool that is full is no reason to ask again.
      if (!moved && (!isUnavailable(error) || error instanceof PoolOverloadedError)) throw error;
      const wholeTimeoutMs = timeoutMs ?? this.config.commandTimeoutMs;
      const leftMs = Math.max(1, Math.floor(startedAt + wholeTimeoutMs - performance.now()));
      this.#replicas.failed(moved ? undefined : replica, error);
      return this.#masters.submit(args, transform, { ...options, timeoutMs: leftMs, wholeTimeoutMs });
    });
  }
}
