import type { AsyncResource } from 'node:async_hooks';
import type { RedisArgument } from 'redis';
import { formatEndpoint } from '../../config/address.js';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import { CommandRefusedError, InvalidArgumentError, ReplyError } from '../../errors.js';
import type { QueryLog } from '../../observe/query-log.js';
import { runBlocking } from '../blocking.js';
import type { CommandOptions, PoolCore } from '../core.js';
import type { Deployment } from '../deployment.js';
import { Intake } from '../intake.js';
import { executeMulti, type MultiExecutor, replyOrError } from '../multi.js';
import type { CommandArgs, ReplyTransform } from '../node-redis.js';
import type { ReplicaDirectory } from '../replicas/directory.js';
import { addStats, askHealth, type NodeHealth, type PoolStats, serverStats } from '../stats.js';
import type { Subscription, SubscriptionKind, SubscriptionRequest } from '../subscription.js';
import type { Tracking, TrackingListener, TrackingOptions } from '../tracking.js';
import { executeUntrustedMulti, sendSingle, sendUntrusted } from '../untrusted.js';
import { connectCluster } from './connect-cluster.js';
import { broadcastOf, type Combine } from './keyless.js';
import { NO_SLOT, sharedSlot, slotOfCommand, slotOfCommands } from './keys.js';
import { mapNumbers } from './mapped-reply.js';
import { Masters } from './masters.js';
import { redirectOf } from './redirect.js';
import { type Route, SlotRouter } from './router.js';
import { slotOf } from './slot.js';
import { ClusterSubscriptions } from './subscriptions.js';
import { ClusterTracking } from './tracking.js';

const ASKING: CommandArgs = ['ASKING'];

/** A Redis Cluster: what leads to one server, once for each master, and every command to the master that has its key. */
export class Cluster implements Deployment {
  readonly config: ResolvedPool;
  readonly #intake: Intake;
  readonly #masters: Masters;
  readonly #router: SlotRouter;
  readonly #subscriptions: ClusterSubscriptions;

  constructor(
    config: ResolvedPool,
    seeds: readonly Endpoint[],
    queryLog: QueryLog,
    intake: Intake = new Intake(config.code, config.maxPending),
  ) {
    this.config = config;
    this.#intake = intake;
    this.#masters = new Masters(config, seeds, queryLog, this.#intake);
    this.#router = new SlotRouter(this.#masters, this.#intake, config);
    this.#subscriptions = new ClusterSubscriptions(config, this.#intake, this.#masters, this.#router);
  }

  get closing(): AbortController {
    return this.#intake.closing;
  }

  get background(): AsyncResource {
    return this.#intake.background;
  }

  hold(): () => void {
    return this.#intake.hold();
  }

  get used(): boolean {
    return this.#masters.used;
  }

  /** Knows the replicas of the masters. */
  get replicas(): ReplicaDirectory {
    return this.#masters.replicas;
  }

  submit(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown> {
    let slot: number;
    try {
      slot = slotOfCommand(args, this.config.commands);
    } catch (error) {
      return Promise.reject(error);
    }
    if (slot === NO_SLOT) return this.#submitKeyless(args, transform, options);
    const server = this.#masters.of(slot);
    if (server === undefined) return this.#follow(this.#route(slot, options), args, transform);
    const startedAt = performance.now();
    return server.submit(args, transform, options).catch((error) => {
      if (!redirectOf(error)) throw error;
      return this.#follow(this.#route(slot, options, startedAt), args, transform, error);
    });
  }

  async block(
    args: CommandArgs,
    transform: ReplyTransform | undefined,
    options: CommandOptions,
    blockMs: number,
  ): Promise<unknown> {
    const slot = slotOfCommand(args);
    const patienceMs = blockMs === 0 ? Number.POSITIVE_INFINITY : blockMs + this.#timeout(options);
    const route = { slot, deadline: performance.now() + patienceMs, options };
    return this.#router.send(route, (server) => runBlocking(server, args, transform, options, blockMs));
  }

  async untrusted(args: CommandArgs, transform: ReplyTransform | undefined, options: CommandOptions): Promise<unknown> {
    const route = this.#route(slotOfCommand(args, this.config.commands), options);
    return this.#router.send(route, (server, asking, left) => sendUntrusted(server, args, transform, left, asking));
  }

  multi(options: CommandOptions): MultiExecutor {
    return {
      typeMapping: options.typeMapping,
      multi: async (commands, untrusted) => {
        const route = this.#route(slotOfCommands('A transaction', commands, this.config.commands), options);
        return this.#router.send(route, (server, asking, left) => {
          const before = asking ? [ASKING] : [];
          return untrusted
            ? executeUntrustedMulti(server, commands, left, before)
            : executeMulti(server.multiTarget(left), commands, before);
        });
      },
      pipeline: (commands) => Promise.all(commands.map((args) => replyOrError(this.submit(args, undefined, options)))),
      single: (args, rule) => sendSingle(this, args, rule, options),
    };
  }

  async onServer<T>(
    keys: readonly RedisArgument[],
    options: CommandOptions,
    repeatable: boolean,
    work: (server: PoolCore) => Promise<T>,
  ): Promise<T> {
    const [key] = keys;
    if (key === undefined) {
      throw new InvalidArgumentError(
        'In a cluster a connection of your own leads to the one server that has your keys: name one of them, as in isolated(fn, { key }) or transaction(fn, { watch })',
      );
    }
    const route = this.#route(sharedSlot('A transaction', keys), options);
    // Nothing sends a connection on that is handed out, so the map is put right before, by a command that is sent on.
    await this.submit(['EXISTS', key], undefined, options).catch((error) => {
      // A user who may not use EXISTS has a server all the same.
      if (!(error instanceof ReplyError) || redirectOf(error)) throw error;
    });
    return repeatable ? this.#router.send(route, work) : work(await this.#router.server(route));
  }

  batchOf(keys: readonly RedisArgument[]): number {
    return Math.max(0, sharedSlot('A script', keys));
  }

  serverOf(keys: readonly RedisArgument[]): PoolCore | undefined {
    const [key] = keys;
    return key === undefined ? undefined : this.#masters.of(slotOf(key));
  }

  async servers(): Promise<readonly PoolCore[]> {
    await this.#router.server(this.#route(NO_SLOT, {}));
    return this.#masters.all;
  }

  subscribe(kind: SubscriptionKind, request: SubscriptionRequest, signal?: AbortSignal): Promise<Subscription> {
    return this.#subscriptions.add(kind, request, signal);
  }

  track(options: TrackingOptions, listener: TrackingListener): Tracking {
    return new ClusterTracking(this.#masters, this.#intake.closing, options, listener);
  }

  connect(timeoutMs?: number, signal?: AbortSignal): Promise<void> {
    return connectCluster(this.config.code, this.#masters, timeoutMs, signal);
  }

  stats(): PoolStats {
    return {
      ...addStats(this.#masters.all.map(serverStats)),
      pending: this.#intake.pending,
      subscriptions: this.#subscriptions.size,
    };
  }

  async health(timeoutMs?: number): Promise<readonly NodeHealth[]> {
    const startedAt = performance.now();
    const patienceMs = timeoutMs ?? this.config.commandTimeoutMs;
    try {
      // Until the cluster was asked once no master is known.
      await this.#router.server(this.#route(NO_SLOT, { timeoutMs: patienceMs }));
    } catch (error) {
      return [this.#unknown(error as Error)];
    }
    const leftMs = Math.max(1, Math.ceil(startedAt + patienceMs - performance.now()));
    return Promise.all(this.#masters.all.map((server) => askHealth(server, this.#masters.addressOf(server), leftMs)));
  }

  async close(timeoutMs: number): Promise<void> {
    this.#subscriptions.close();
    await this.#masters.end(await this.#intake.close(timeoutMs));
  }

  /** Stands for the masters of a cluster that does not say which they are. */
  #unknown(error: Error): NodeHealth {
    const { topology, pool } = this.config;
    const address = topology.kind === 'cluster' ? topology.nodes.map(formatEndpoint).join(',') : '';
    const lanes = { total: pool.lanes, connected: 0 };
    return { address, role: 'master', status: 'down', error, lanes, leases: { inUse: 0, idle: 0, waiting: 0 } };
  }

  #follow(route: Route, args: CommandArgs, transform: ReplyTransform | undefined, error?: unknown): Promise<unknown> {
    return this.#router.send(
      route,
      (server, asking, options) =>
        asking ? submitAsking(server, args, transform, options) : server.submit(args, transform, options),
      error,
    );
  }

  async #submitKeyless(
    args: CommandArgs,
    transform: ReplyTransform | undefined,
    options: CommandOptions,
  ): Promise<unknown> {
    const combine = broadcastOf(args);
    if (combine) return this.#broadcast(args, transform, options, combine);
    if (String(args[0]).toUpperCase() === 'SCAN') {
      throw new CommandRefusedError(
        'SCAN',
        'its cursor means something to one server of the cluster only; use scanIterator()',
      );
    }
    const server = this.#publishesAt(args);
    return server
      ? server.submit(args, transform, options)
      : this.#follow(this.#route(NO_SLOT, options), args, transform);
  }

  /** Who is told a message first: for one channel always the same server, as messages told to different ones can overtake each other. */
  #publishesAt(args: CommandArgs): PoolCore | undefined {
    const [name, channel] = args;
    if (channel === undefined || String(name).toUpperCase() !== 'PUBLISH') return undefined;
    const server = this.#masters.of(slotOf(channel));
    // Any other will do if that one is away.
    return server && server.lanes.connected > 0 ? server : undefined;
  }

  async #broadcast(
    args: CommandArgs,
    transform: ReplyTransform | undefined,
    options: CommandOptions,
    combine: Combine,
  ): Promise<unknown> {
    const servers = await this.servers();
    const replies = await Promise.all(servers.map((server) => server.submit(args, transform, options)));
    return mapNumbers(combine(replies), options.typeMapping);
  }

  #route(slot: number, options: CommandOptions, startedAt = performance.now()): Route {
    return { slot, deadline: startedAt + this.#timeout(options), options };
  }

  #timeout({ timeoutMs }: CommandOptions): number {
    return timeoutMs ?? this.config.commandTimeoutMs;
  }
}

/** Sends a command of a slot that is on its way to `server`: ASKING holds for the next command of its connection. */
function submitAsking(
  server: PoolCore,
  args: CommandArgs,
  transform: ReplyTransform | undefined,
  options: CommandOptions,
): Promise<unknown> {
  const asking = server.command(ASKING);
  const command = server.command(args, transform, options);
  const error = server.submitTogether([asking, command], options);
  if (error) return Promise.reject(error);
  asking.promise.catch(() => undefined);
  return command.promise;
}
