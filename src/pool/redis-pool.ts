import type { RedisArgument, TypeMapping } from 'redis';
import { Cache } from '../cache/cache.js';
import type { CacheOptions } from '../cache/options.js';
import type { CacheStore } from '../cache/store.js';
import { type PublicPoolConfig, publicConfig } from '../config/redact.js';
import type { ReplicaReads } from '../config/types.js';
import { type Duration, positiveMs } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { RateLimiter } from '../limit/limiter.js';
import type { RateLimiterOptions } from '../limit/options.js';
import { RateLimits } from '../limit/rate-limits.js';
import { Locker } from '../lock/locker.js';
import type { Feature } from '../observe/query-event.js';
import { bindUserCallback } from '../observe/user-callback.js';
import { checkOptions } from '../options.js';
import { slotOf, tagOf } from './cluster/slot.js';
import type { Rule } from './command-table.js';
import type { DefaultTypeMapping, MultiCommands, PoolCommands } from './command-types.js';
import { attachCommands, CommandSender } from './commands.js';
import type { CommandOptions, PoolCore } from './core.js';
import { attachForeignNames } from './foreign-names.js';
import { type DeclaredCommands, refusal } from './guard.js';
import { ISOLATED, type IsolatedOptions, type IsolatedRedis, runIsolated } from './isolated.js';
import { createMulti } from './multi.js';
import type { CommandArgs, Encoder, ReplyTransform } from './node-redis.js';
import { OneServer } from './one-server.js';
import type { Batchers, PoolRuntime } from './runtime.js';
import {
  callAlone,
  checkCall,
  encodeAllKeys,
  encodeKeys,
  type RunsScripts,
  type Script,
  type ScriptArgument,
  type ScriptCall,
  type SharedPart,
} from './script.js';
import type { ScriptBatcher } from './script-batch.js';
import type { PoolStats } from './stats.js';
import { checkSubscription, type SubscribeOptions } from './subscribe-options.js';
import type { MessageListener, Subscription, SubscriptionKind } from './subscription.js';
import type { Tracking, TrackingListener, TrackingOptions } from './tracking.js';
import { runTransaction, TRANSACTION, type TransactionOptions } from './transaction.js';

/** A named pool: every command of node-redis that can share a connection, and what Lagoon adds. */
export type RedisPool<TM extends TypeMapping = DefaultTypeMapping> = Pool<TM> & PoolCommands<TM>;

/** What {@link RedisPool} has beside the commands. */
export class Pool<TM extends TypeMapping = DefaultTypeMapping> extends CommandSender implements RunsScripts {
  readonly #runtime: PoolRuntime;
  readonly #options: CommandOptions;
  #batchers: Batchers | undefined;
  #rateLimits: RateLimits | undefined;
  /** @internal */
  readonly encoder: Encoder;
  /** @internal */
  readonly declared: DeclaredCommands;

  /** @internal */
  constructor(runtime: PoolRuntime, options: CommandOptions) {
    super();
    this.#runtime = runtime;
    this.#options = options;
    this.encoder = runtime.encoder;
    this.declared = runtime.deployment.config.commands;
  }

  /** The pool's configuration with every default filled in; secrets are redacted. */
  getPoolConfig(): PublicPoolConfig {
    return publicConfig(this.#runtime.deployment.config);
  }

  /** Aborts when the engine begins to close. */
  get closing(): AbortSignal {
    return this.#runtime.deployment.closing.signal;
  }

  /** Distributed locks on the keys of this pool; the same object for all its views, whose timeout and signal it does not have. */
  getLocker(): Locker {
    this.#runtime.locker ??= new Locker(new Pool(this.#runtime, { feature: 'lock' }));
    return this.#runtime.locker;
  }

  /**
   * Counts a call and tells whether it may go on: never more than `limit` in any window of `period`.
   *
   * @throws {InvalidArgumentError} for what can never be right; nothing was sent.
   * @throws what a command throws, if Redis cannot be asked or refuses. `getRateLimiter` can have another answer for that.
   */
  rateLimit(key: string, period: Duration, limit: number): Promise<boolean> {
    this.#rateLimits ??= new RateLimits(this.#as('limit'));
    return this.#rateLimits.allow(key, period, limit);
  }

  /**
   * A rate limiter whose counts are in this pool; make it once and keep it.
   *
   * @throws {InvalidArgumentError} for an option that cannot be right.
   */
  getRateLimiter(options: RateLimiterOptions): RateLimiter {
    return new RateLimiter(this.#as('limit'), options);
  }

  /**
   * A cache whose values are in this pool; make it once and keep it. One with a local tier holds a connection of its own
   * until its `close()` or that of the engine.
   *
   * @throws {InvalidArgumentError} for an option that cannot be right.
   */
  getCache<T = unknown>(options: CacheOptions<T> = {}): Cache<T> {
    return new Cache(this.#as('cache').withReplicas('never') as unknown as CacheStore, options);
  }

  /**
   * Calls `work` in the async context in which the pool was made, for what outlives the call that causes it.
   *
   * @internal
   */
  inBackground<T>(work: () => T): T {
    return this.#runtime.deployment.background.runInAsyncScope(work);
  }

  /** @internal */
  track(options: TrackingOptions, listener: TrackingListener): Tracking {
    return this.#runtime.deployment.track(options, listener);
  }

  /**
   * @internal What to end another key with, so that it is in the slot of `key`: `{…}` in a cluster, and there the same for
   * all keys of a slot; otherwise nothing. It counts only in a key that has no braces before.
   */
  slotTag(key: RedisArgument): string {
    const { config } = this.#runtime.deployment;
    if (config.topology.kind !== 'cluster') return '';
    const [full] = encodeKeys([key], config.keyPrefix, []);
    return `{${tagOf(slotOf(full as RedisArgument))}}`;
  }

  /** @internal Stands for the server that has these keys now, `undefined` if that is not known. */
  serverOf(keys: readonly RedisArgument[]): unknown {
    const { deployment } = this.#runtime;
    if (deployment.config.topology.kind !== 'cluster') return deployment.serverOf(keys);
    return deployment.serverOf(encodeKeys(keys.slice(0, 1), deployment.config.keyPrefix, []));
  }

  /** What the pool is doing at the moment. */
  stats(): PoolStats {
    return this.#runtime.deployment.stats();
  }

  /** The same pool with replies typed and decoded by `typeMapping` (node-redis's `RESP_TYPES`). */
  withTypeMapping<To extends TypeMapping>(typeMapping: To): RedisPool<To> {
    return this.#view({ typeMapping }) as unknown as RedisPool<To>;
  }

  /** The same pool, whose commands reject with `AbortError` when `signal` aborts, waiting or in flight. */
  withAbortSignal(signal: AbortSignal): this {
    return this.#view({ signal });
  }

  /**
   * The same pool with another timeout for each command.
   *
   * @throws {InvalidArgumentError} if the duration is not positive.
   */
  withTimeout(timeout: Duration): this {
    return this.#view({ timeoutMs: positiveMs(timeout, 'withTimeout') });
  }

  /**
   * The same pool, whose commands are refused at once with a `ConnectionError` while their server is known to be away: the last
   * attempt to connect failed, or it has answered nothing for `commandTimeout`. Of a cluster that is looked at for each server.
   *
   * @param failFast `false`: they wait again, where the pool was registered with `failFast: true`.
   * @throws {InvalidArgumentError} if it is neither true nor false.
   */
  withFailFast(failFast = true): this {
    if (typeof failFast !== 'boolean') {
      throw new InvalidArgumentError(`withFailFast takes true or false, got ${typeof failFast}`);
    }
    return this.#view({ failFast });
  }

  /**
   * The same pool with `never`: reads go to the master, as for what was just written; with `prefer`: to a replica again. A pool
   * that was not registered with `replicas: 'prefer'` reads from the master with either.
   *
   * @throws {InvalidArgumentError} for anything else.
   */
  withReplicas(replicas: ReplicaReads): this {
    if (replicas !== 'never' && replicas !== 'prefer') {
      throw new InvalidArgumentError(`withReplicas takes 'never' or 'prefer', got ${String(replicas)}`);
    }
    return this.#view({ replicas });
  }

  /**
   * A transaction: commands are gathered, and `exec()` sends them in one MULTI on a lane; `execAsPipeline()` without MULTI. In
   * a cluster the keys of a transaction must share a slot; those of a pipeline need not, and go to each server in their order.
   */
  multi(): MultiCommands<TM> {
    const { deployment } = this.#runtime;
    return createMulti(deployment.multi(this.#options), this.encoder, this.declared) as unknown as MultiCommands<TM>;
  }

  /**
   * Runs `fn` on a connection of its own under WATCH, and again while a watched key changed before its EXEC.
   *
   * @param fn reads through the connection it is given, then returns `redis.multi()….exec()`.
   * @throws {TransactionConflictError} if there was a conflict at every attempt.
   * @throws {InvalidArgumentError} in a cluster, if neither `key` nor `watch` says which server has the keys.
   * @throws {CrossSlotError} in a cluster, if they are of different slots.
   */
  async transaction<T>(fn: (redis: IsolatedRedis<TM>) => T | Promise<T>, options: TransactionOptions = {}): Promise<T> {
    checkCallback('transaction', fn);
    checkOptions('transaction', options, TRANSACTION);
    const { encoder } = this.#runtime;
    const { key, watch = [] } = options;
    const keys = [...(key === undefined ? [] : [key]), ...(Array.isArray(watch) ? watch : [watch])];
    return this.#onServer(keys, true, (server) => runTransaction(server, encoder, this.#options, fn, options));
  }

  /**
   * Runs `fn` with a connection of its own; it goes back clean, or is closed if it cannot be cleaned.
   *
   * @throws {InvalidArgumentError} in a cluster without `key`: a connection leads to one server, that which has the key.
   */
  async isolated<T>(fn: (redis: IsolatedRedis<TM>) => T | Promise<T>, options: IsolatedOptions = {}): Promise<T> {
    checkCallback('isolated', fn);
    checkOptions('isolated', options, ISOLATED);
    const { key } = options;
    const { encoder } = this.#runtime;
    const keys = key === undefined ? [] : [key];
    return this.#onServer(keys, false, (server) => runIsolated(server, encoder, this.#options, fn));
  }

  /** Listens to channels; resolves when the server has confirmed it. */
  subscribe(
    channels: string | readonly string[],
    listener: MessageListener<string>,
    options?: SubscribeOptions & { buffers?: false },
  ): Promise<Subscription>;
  subscribe(
    channels: string | readonly string[],
    listener: MessageListener<Buffer>,
    options: SubscribeOptions & { buffers: true },
  ): Promise<Subscription>;
  subscribe(
    channels: string | readonly string[],
    listener: MessageListener | MessageListener<Buffer>,
    options?: SubscribeOptions,
  ): Promise<Subscription> {
    return this.#subscribe('channel', channels, listener, options);
  }

  /** Listens to every channel that a glob-style pattern matches. */
  pSubscribe(
    patterns: string | readonly string[],
    listener: MessageListener<string>,
    options?: SubscribeOptions & { buffers?: false },
  ): Promise<Subscription>;
  pSubscribe(
    patterns: string | readonly string[],
    listener: MessageListener<Buffer>,
    options: SubscribeOptions & { buffers: true },
  ): Promise<Subscription>;
  pSubscribe(
    patterns: string | readonly string[],
    listener: MessageListener | MessageListener<Buffer>,
    options?: SubscribeOptions,
  ): Promise<Subscription> {
    return this.#subscribe('pattern', patterns, listener, options);
  }

  /** Listens to sharded channels (Redis 7). */
  sSubscribe(
    channels: string | readonly string[],
    listener: MessageListener<string>,
    options?: SubscribeOptions & { buffers?: false },
  ): Promise<Subscription>;
  sSubscribe(
    channels: string | readonly string[],
    listener: MessageListener<Buffer>,
    options: SubscribeOptions & { buffers: true },
  ): Promise<Subscription>;
  sSubscribe(
    channels: string | readonly string[],
    listener: MessageListener | MessageListener<Buffer>,
    options?: SubscribeOptions,
  ): Promise<Subscription> {
    return this.#subscribe('shard', channels, listener, options);
  }

  /**
   * Runs a script made by `defineScript`: EVALSHA, or EVAL if the server does not know it. A script with `batch` shares its
   * script call with others of the same turn of the event loop.
   *
   * @param shared what stands once in front of the keys and arguments of all calls that share a script call: give the same
   *   object with each of them.
   * @throws {InvalidArgumentError} if keys or arguments are not as the script is defined.
   */
  runScript<Reply>(
    script: Script<Reply>,
    keys: readonly RedisArgument[],
    args: readonly ScriptArgument[] = [],
    shared?: SharedPart,
  ): Promise<Reply> {
    const { timeoutMs, feature } = this.#options;
    try {
      checkCall(script, keys, args);
      // A call with a timeout of its own goes by itself; the calls of a feature have one timeout together.
      if (script.batch === undefined || (timeoutMs !== undefined && feature === undefined)) {
        return callAlone(this.#runtime.deployment, script, keys, args, shared, this.#options);
      }
      const reply = this.#batcher(script as Script<unknown>, keys, shared).run(
        keys,
        args,
        this.#options.signal,
        shared,
      );
      const { transform } = script;
      return (transform ? reply.then(transform) : reply) as Promise<Reply>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * `runScript` for who asks so often that a promise for each call is much.
   *
   * @internal
   */
  callScript<Reply>(
    script: Script<Reply>,
    keys: readonly RedisArgument[],
    args: readonly ScriptArgument[],
    call: ScriptCall<Reply>,
    shared?: SharedPart,
  ): void {
    const { signal, timeoutMs, feature } = this.#options;
    if (script.batch === undefined || script.transform || signal || (timeoutMs !== undefined && !feature)) {
      this.runScript(script, keys, args, shared).then(
        (reply) => call.settle(reply),
        (error) => call.fail(error),
      );
      return;
    }
    try {
      checkCall(script, keys, args);
      this.#batcher(script as Script<unknown>, keys, shared).add(keys, args, call as ScriptCall, shared);
    } catch (error) {
      call.fail(error as Error);
    }
  }

  /**
   * Runs a callback that `engine.close()` waits for.
   *
   * @internal
   */
  async holdOpen<T>(work: () => Promise<T>): Promise<T> {
    const letGo = this.#runtime.deployment.hold();
    try {
      return await work();
    } finally {
      letGo();
    }
  }

  /**
   * A view for what such a callback needs to end, which is let through while the engine closes.
   *
   * @internal
   */
  whileClosing(): this {
    return this.#view({ whileClosing: true });
  }

  /** @internal */
  send(args: CommandArgs, transform: ReplyTransform | undefined, rule: Rule | undefined): Promise<unknown> {
    const { deployment } = this.#runtime;
    if (rule === undefined) return deployment.submit(args, transform, this.#options);
    if (rule.kind === 'untrusted') return deployment.untrusted(args, transform, this.#options);
    if (rule.kind !== 'blocking') return Promise.reject(refusal(args, rule));
    const blockMs = rule.blockMs(args);
    return blockMs === undefined
      ? deployment.submit(args, transform, this.#options)
      : deployment.block(args, transform, this.#options, blockMs);
  }

  /** @internal */
  override async scanned(): Promise<readonly CommandSender[]> {
    const { deployment } = this.#runtime;
    if (deployment.config.topology.kind !== 'cluster') return [this];
    // Also where it has one master only: to the cluster as a whole no cursor means anything.
    const servers = await deployment.servers();
    return servers.map((server) => new OneServer(server, this.encoder, this.#options));
  }

  async #onServer<T>(
    keys: readonly RedisArgument[],
    repeatable: boolean,
    work: (server: PoolCore) => Promise<T>,
  ): Promise<T> {
    const { deployment } = this.#runtime;
    return deployment.onServer(encodeKeys(keys, deployment.config.keyPrefix, []), this.#options, repeatable, work);
  }

  #batcher(script: Script<unknown>, keys: readonly RedisArgument[], shared: SharedPart | undefined): ScriptBatcher {
    this.#batchers ??= this.#runtime.batchersOf(this.#options);
    return this.#batchers.of(script, this.#batchOf(keys, shared));
  }

  #batchOf(keys: readonly RedisArgument[], shared: SharedPart | undefined): number {
    const { deployment } = this.#runtime;
    if (deployment.config.topology.kind !== 'cluster') return 0;
    return deployment.batchOf(encodeAllKeys(keys, shared, deployment.config.keyPrefix));
  }

  /** The same pool for a feature, which decodes replies itself: a type mapping is for its user's commands. */
  #as(feature: Feature): this {
    const { typeMapping: _, ...options } = this.#options;
    return new Pool(this.#runtime, { ...options, feature }) as this;
  }

  #view(options: CommandOptions): this {
    return new Pool(this.#runtime, { ...this.#options, ...options }) as this;
  }

  #subscribe(
    kind: SubscriptionKind,
    channels: string | readonly string[],
    listener: MessageListener | MessageListener<Buffer>,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    let checked: ReturnType<typeof checkSubscription>;
    try {
      checked = checkSubscription(kind, channels, listener, options);
    } catch (error) {
      return Promise.reject(error);
    }
    const { list, buffers, onResubscribe } = checked;
    const which = nameOfSubscription(list);
    const request = {
      channels: list,
      listener: bindUserCallback(`The listener of ${which}`, listener as MessageListener),
      buffers,
      onResubscribe: onResubscribe && bindUserCallback(`onResubscribe of ${which}`, onResubscribe),
    };
    return this.#runtime.deployment.subscribe(kind, request, this.#options.signal);
  }
}

function nameOfSubscription([first, ...others]: readonly string[]): string {
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return `the subscription to ${JSON.stringify(first)}${more}`;
}

/** @throws {InvalidArgumentError} */
function checkCallback(call: string, fn: unknown): void {
  if (typeof fn === 'function') return;
  throw new InvalidArgumentError(`${call} takes a function first: ${call}(async (redis) => …, options)`);
}

let attached = false;

/** The face of a pool. */
export function createRedisPool(runtime: PoolRuntime): RedisPool {
  if (!attached) {
    attached = true;
    attachCommands(Pool.prototype);
    attachForeignNames(Pool.prototype);
  }
  return new Pool(runtime, {}) as RedisPool;
}
