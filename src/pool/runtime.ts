import type { ResolvedPool } from '../config/types.js';
import { ConnectionError, type LagoonError } from '../errors.js';
import type { Locker } from '../lock/locker.js';
import type { QueryLog } from '../observe/query-log.js';
import { aborted, whenAborted } from './abort.js';
import { PoolCore } from './core.js';
import { createEncoder, type Encoder } from './node-redis.js';
import type { Script } from './script.js';
import { ScriptBatcher } from './script-batch.js';
import { Subscriptions } from './subscriptions.js';

/** What a pool is doing at one moment. */
export interface PoolStats {
  /** Connections that are open, whatever for. */
  readonly connections: number;
  readonly lanes: {
    /** Lanes that the pool has. */
    readonly total: number;
    /** Lanes that have a connection. */
    readonly connected: number;
  };
  readonly leases: {
    /** Connections that one caller has to itself. */
    readonly inUse: number;
    /** Connections that are open and free. */
    readonly idle: number;
    /** Callers that wait for a connection. */
    readonly waiting: number;
  };
  /** Commands and callbacks under way, waiting ones included. */
  readonly pending: number;
  /** Subscriptions there are. */
  readonly subscriptions: number;
  /** How often a lane's connection was lost. */
  readonly reconnects: number;
}

/** A named pool at run time: the core, and what is made at most once for it. */
export class PoolRuntime {
  readonly core: PoolCore;
  readonly encoder: Encoder;
  readonly subscriptions: Subscriptions;
  /** Made when it is first asked for. */
  locker: Locker | undefined;
  readonly #batchers = new WeakMap<Script, ScriptBatcher>();

  constructor(config: ResolvedPool, queryLog: QueryLog) {
    this.core = new PoolCore(config, queryLog);
    this.encoder = createEncoder(config.keyPrefix);
    this.subscriptions = new Subscriptions(this.core);
  }

  /** The batcher of a script on this pool. */
  batcher(script: Script<unknown>): ScriptBatcher {
    let batcher = this.#batchers.get(script);
    if (!batcher) {
      batcher = new ScriptBatcher(this.core, script, script.batch ?? 1);
      this.#batchers.set(script, batcher);
    }
    return batcher;
  }

  stats(): PoolStats {
    const { core } = this;
    const { open, borrowed, idle, waiting } = core.connections.counts;
    const { connected, losses } = core.lanes;
    return {
      connections: open,
      lanes: { total: core.config.pool.lanes, connected },
      leases: { inUse: Math.max(0, borrowed - connected), idle, waiting },
      pending: core.pending,
      subscriptions: this.subscriptions.size,
      reconnects: losses,
    };
  }

  /**
   * Connects every lane. Without `timeoutMs` the first failed attempt is the answer; with it, failures that may pass are
   * tried again until then.
   */
  connect(timeoutMs?: number, signal?: AbortSignal): Promise<void> {
    const { core } = this;
    return new Promise((resolve, reject) => {
      let last: LagoonError | undefined;
      const fail = (error: Error) => end(() => reject(error));
      const timer =
        timeoutMs === undefined ? undefined : setTimeout(() => fail(last ?? tooSlow(core, timeoutMs)), timeoutMs);
      const stopListening = core.connections.onFailure((error, definite) => {
        last = error;
        if (definite || timeoutMs === undefined) fail(error);
      });
      const end = (settle: () => void) => {
        clearTimeout(timer);
        stopListening();
        stopWatching?.();
        settle();
      };
      const stopWatching = signal && whenAborted(signal, () => fail(aborted(signal)));
      if (signal?.aborted) return fail(aborted(signal));
      core.lanes.connect().then(() => {
        if (core.closing.signal.aborted) fail(core.closing.signal.reason);
        else if (core.lanes.connected === core.config.pool.lanes) end(resolve);
        else fail(last ?? tooSlow(core, timeoutMs ?? core.config.connectTimeoutMs));
      }, fail);
    });
  }

  async close(timeoutMs: number): Promise<void> {
    this.subscriptions.close();
    await this.core.close(timeoutMs);
  }
}

function tooSlow(core: PoolCore, timeoutMs: number): ConnectionError {
  return new ConnectionError(`Pool ${core.config.code} is not connected after ${timeoutMs} ms`, false);
}
