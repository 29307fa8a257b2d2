import { startInterval, startTimer } from '../../async/timers.js';
import { formatEndpoint } from '../../config/address.js';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import { ConnectionError, type LagoonError } from '../../errors.js';
import { log } from '../../observe/debug.js';
import type { QueryLog } from '../../observe/query-log.js';
import { whenAborted } from '../abort.js';
import type { Intake } from '../intake.js';
import type { CommandArgs } from '../node-redis.js';
import { type NodeHealth, type ServerStats, serverStats } from '../stats.js';
import type { ReplicaDirectory, Shard } from './directory.js';
import { LOOK_MS, Replica } from './replica.js';

/** The replicas that a pool reads from: those that its directory names, for as long as it does. */
export class Replicas {
  readonly #config: ResolvedPool;
  readonly #directory: ReplicaDirectory;
  readonly #queryLog: QueryLog;
  readonly #intake: Intake;
  readonly #closing: AbortSignal;
  readonly #byAddress = new Map<string, Replica>();
  #byShard: ReadonlyMap<Shard, readonly Replica[]> = new Map();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(config: ResolvedPool, directory: ReplicaDirectory, queryLog: QueryLog, intake: Intake) {
    this.#config = config;
    this.#directory = directory;
    this.#queryLog = queryLog;
    this.#intake = intake;
    this.#closing = intake.closing.signal;
    directory.onReplicas(() => this.#follow());
    whenAborted(this.#closing, () => clearInterval(this.#timer));
  }

  /**
   * The replica to read the keys of a command from: of those in order the one with the least to do, and of equals each in its turn.
   *
   * @throws {CrossSlotError} if the keys are at several places.
   */
  pick(args: CommandArgs): Replica | undefined {
    const shard = this.#directory.shardOf(args);
    const replicas = shard && this.#byShard.get(shard);
    if (!replicas || replicas.length === 0) return undefined;
    const first = this.#turn++ % replicas.length;
    let best: Replica | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < replicas.length; i++) {
      const replica = replicas[(first + i) % replicas.length] as Replica;
      const { size } = replica.core.lanes;
      if (size < least && replica.usable) {
        least = size;
        best = replica;
      }
    }
    return best;
  }

  /** Told that a read failed, for a reason that is `replica`'s own if that is given, or because the keys are elsewhere. */
  failed(replica: Replica | undefined, error: Error): void {
    replica?.doubt(error);
    this.#directory.doubt();
  }

  /** Resolves when every replica is connected, but at the latest after `timeoutMs`: the pool does not depend on them. */
  async connected(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = startTimer(end, timeoutMs);
      const stop = whenAborted(this.#closing, end);
      Promise.all([...this.#byAddress.values()].map((replica) => replica.connect())).then(end, end);
      if (this.#closing.aborted) end();
    });
  }

  stats(): ServerStats[] {
    return [...this.#byAddress.values()].map(({ core }) => serverStats(core));
  }

  health(timeoutMs?: number): Promise<NodeHealth[]> {
    return Promise.all([...this.#byAddress.values()].map((replica) => replica.health(timeoutMs)));
  }

  async end(reason: LagoonError): Promise<void> {
    await Promise.all([...this.#byAddress.values()].map(({ core }) => core.end(reason)));
  }

  #follow(): void {
    if (this.#closing.aborted) return;
    const byShard = new Map<Shard, Replica[]>();
    for (const [shard, endpoints] of this.#directory.replicas()) {
      byShard.set(
        shard,
        endpoints.map((endpoint) => this.#at(endpoint)),
      );
    }
    this.#byShard = byShard;
    const named = new Set([...byShard.values()].flat());
    for (const [address, replica] of this.#byAddress) {
      if (named.has(replica)) continue;
      log.connection('%s: %s is not read from any more', this.#config.code, address);
      this.#byAddress.delete(address);
      void replica.core.end(new ConnectionError(`${address} is no replica in order any more`, false));
    }
    if (named.size > 0) this.#timer ??= startInterval(() => this.#look(), LOOK_MS).unref();
  }

  #at(endpoint: Endpoint): Replica {
    const address = formatEndpoint(endpoint);
    let replica = this.#byAddress.get(address);
    if (!replica) {
      log.connection('%s: reads from %s', this.#config.code, address);
      replica = new Replica(this.#config, endpoint, this.#queryLog, this.#intake);
      this.#byAddress.set(address, replica);
      void replica.connect();
    }
    return replica;
  }

  #look(): void {
    for (const replica of this.#byAddress.values()) void replica.look(this.#closing);
  }
}
