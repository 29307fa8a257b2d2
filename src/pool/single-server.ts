import type { AsyncResource } from 'node:async_hooks';
import type { RedisArgument } from 'redis';
import { formatEndpoint } from '../config/address.js';
import type { ResolvedPool } from '../config/types.js';
import type { QueryLog } from '../observe/query-log.js';
import { runBlocking } from './blocking.js';
import { connectLanes } from './connect-lanes.js';
import { type CommandOptions, PoolCore } from './core.js';
import type { Deployment } from './deployment.js';
import type { Intake } from './intake.js';
import { executeMulti, executePipeline, type MultiExecutor } from './multi.js';
import type { CommandArgs, ReplyTransform } from './node-redis.js';
import { askHealth, type NodeHealth, type PoolStats, serverStats } from './stats.js';
import type { Subscription, SubscriptionKind, SubscriptionRequest } from './subscription.js';
import { Subscriptions } from './subscriptions.js';
import type { Topology } from './topology/topology.js';
import { ServerTracking, type Tracking, type TrackingListener, type TrackingOptions } from './tracking.js';
import { executeUntrustedMulti, sendSingle, sendUntrusted } from './untrusted.js';

/** One server: standalone, or the master that sentinels name. */
export class SingleServer implements Deployment {
  readonly config: ResolvedPool;
  readonly #core: PoolCore;
  readonly #subscriptions: Subscriptions;

  /** For `topology` and `intake` see {@link PoolCore}. */
  constructor(config: ResolvedPool, queryLog: QueryLog, topology?: Topology, intake?: Intake) {
    this.config = config;
    this.#core = new PoolCore(config, queryLog, topology, intake);
    this.#subscriptions = new Subscriptions(this.#core);
  }

  get closing(): AbortController {
    return this.#core.closing;
  }

  get background(): AsyncResource {
    return this.#core.background;
  }

  get used(): boolean {
    const { counts, lastError } = this.#core.connections;
    return counts.opened > 0 || lastError !== undefined;
  }

  hold(): () => void {
    return this.#core.hold();
  }

  submit(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown> {
    return this.#core.submit(args, transform, options);
  }

  block(
    args: CommandArgs,
    transform: ReplyTransform | undefined,
    options: CommandOptions,
    blockMs: number,
  ): Promise<unknown> {
    return runBlocking(this.#core, args, transform, options, blockMs);
  }

  untrusted(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown> {
    return sendUntrusted(this.#core, args, transform, options);
  }

  multi(options: CommandOptions): MultiExecutor {
    const target = this.#core.multiTarget(options);
    return {
      typeMapping: options.typeMapping,
      multi: (commands, untrusted) =>
        untrusted ? executeUntrustedMulti(this.#core, commands, options) : executeMulti(target, commands),
      pipeline: (commands) => executePipeline(target, commands),
      single: (args, rule) => sendSingle(this, args, rule, options),
    };
  }

  onServer<T>(
    _keys: readonly RedisArgument[],
    _options: CommandOptions,
    _repeatable: boolean,
    work: (server: PoolCore) => Promise<T>,
  ): Promise<T> {
    return work(this.#core);
  }

  batchOf(): number {
    return 0;
  }

  serverOf(): PoolCore {
    return this.#core;
  }

  async servers(): Promise<readonly PoolCore[]> {
    return [this.#core];
  }

  subscribe(kind: SubscriptionKind, request: SubscriptionRequest, signal?: AbortSignal): Promise<Subscription> {
    return this.#subscriptions.add(kind, request, signal);
  }

  track(options: TrackingOptions, listener: TrackingListener): Tracking {
    return new ServerTracking(this.#core, options, listener);
  }

  connect(timeoutMs?: number, signal?: AbortSignal): Promise<void> {
    return connectLanes(this.#core, timeoutMs, signal);
  }

  stats(): PoolStats {
    return { ...serverStats(this.#core), pending: this.#core.pending, subscriptions: this.#subscriptions.size };
  }

  async health(timeoutMs?: number): Promise<readonly NodeHealth[]> {
    return [await askHealth(this.#core, this.#core.connections.address ?? this.#configured(), timeoutMs)];
  }

  async close(timeoutMs: number): Promise<void> {
    this.#subscriptions.close();
    await this.#core.close(timeoutMs);
  }

  #configured(): string {
    const { topology } = this.config;
    return topology.kind === 'standalone'
      ? formatEndpoint(topology.endpoint)
      : topology.nodes.map(formatEndpoint).join(',');
  }
}
