import { startInterval, startTimer } from '../../async/timers.js';
import { formatEndpoint } from '../../config/address.js';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import { ConnectionError, type LagoonError } from '../../errors.js';
import { log } from '../../observe/debug.js';
import type { QueryLog } from '../../observe/query-log.js';
import { pause, withEither } from '../abort.js';
import { PoolCore } from '../core.js';
import type { Intake } from '../intake.js';
import { standalone } from '../topology/standalone.js';
import { type ClusterMap, discover, endpointOf } from './discovery.js';
import { ServerLeftError } from './redirect.js';
import { ReplicaMap } from './replica-map.js';
import { SilenceWatch } from './silence.js';
import { SLOTS } from './slot.js';

/** Between two looks at whether a master has gone silent. */
const WATCH_MS = 500;
/** Asked again this often even if nothing seems wrong: who only subscribes never hears that a slot has moved. */
const REFRESH_MS = 10_000;
/** The same while a replica is missing. */
const REPLICA_REFRESH_MS = 1_000;
/** Least time between two rounds of asking. */
const PAUSE_MS = 100;

/** The masters of a cluster, and which of them has which slot. */
export class Masters {
  readonly replicas = new ReplicaMap(this);
  readonly #config: ResolvedPool;
  readonly #queryLog: QueryLog;
  readonly #intake: Intake;
  readonly #seeds: readonly Endpoint[];
  readonly #owners: (PoolCore | undefined)[] = new Array(SLOTS).fill(undefined);
  readonly #byAddress = new Map<string, PoolCore>();
  /** Servers that the last answer did not name, with how many answers in a row did not. */
  readonly #unnamed = new Map<PoolCore, number>();
  readonly #silence = new SilenceWatch();
  readonly #changed = new Set<() => void>();
  readonly #ended = new AbortController();
  #named: PoolCore[] = [];
  #turn = 0;
  #refreshing: Promise<void> | undefined;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #problem: LagoonError | undefined;
  #watch: NodeJS.Timeout | undefined;

  constructor(config: ResolvedPool, seeds: readonly Endpoint[], queryLog: QueryLog, intake: Intake) {
    this.#config = config;
    this.#seeds = seeds;
    this.#queryLog = queryLog;
    this.#intake = intake;
  }

  /** Why the cluster could not be asked last, if it could not. */
  get problem(): LagoonError | undefined {
    return this.#problem;
  }

  /** The masters that have slots, as far as is known. */
  get all(): readonly PoolCore[] {
    return this.#named;
  }

  /** Whether the cluster was ever asked. */
  get used(): boolean {
    return this.#watch !== undefined;
  }

  /** The server of a slot, if that is known. */
  of(slot: number): PoolCore | undefined {
    return this.#owners[slot];
  }

  /** Any of the masters that can be asked now, if possible: another one each time. */
  any(): PoolCore | undefined {
    const connected = this.#named.filter((core) => core.lanes.connected > 0);
    const from = connected.length > 0 ? connected : this.#named;
    return from[this.#turn++ % from.length];
  }

  /** The server at an address. */
  at(address: string): PoolCore {
    let core = this.#byAddress.get(address);
    if (!core) {
      core = new PoolCore(this.#config, this.#queryLog, standalone(this.#config, endpointOf(address)), this.#intake);
      core.connections.onFailure(() => void this.refresh());
      this.#byAddress.set(address, core);
    }
    return core;
  }

  /** Takes a server's word for it that another one has the slot. */
  moved(slot: number, address: string): PoolCore {
    const core = this.at(address);
    const changed = this.#owners[slot] !== core;
    this.#owners[slot] = core;
    if (changed) this.#tell();
    void this.refresh();
    return core;
  }

  addressOf(core: PoolCore): string {
    return core.connections.address ?? '';
  }

  /** Calls `listener` when slots have got other servers, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#changed.add(listener);
    return () => this.#changed.delete(listener);
  }

  /** Asks the cluster who has which slot. Resolves when that is over, however it ended; never rejects. */
  refresh(): Promise<void> {
    if (this.#ended.signal.aborted) return Promise.resolve();
    this.#refreshing ??= this.#intake.background.runInAsyncScope(() => {
      this.#watch ??= startInterval(() => this.#look(), WATCH_MS).unref();
      return this.#refresh().finally(() => {
        this.#refreshing = undefined;
      });
    });
    return this.#refreshing;
  }

  async end(reason: LagoonError): Promise<void> {
    clearInterval(this.#watch);
    this.#ended.abort(reason);
    await Promise.all([...this.#byAddress.values()].map((core) => core.end(reason)));
  }

  async #refresh(): Promise<void> {
    const { signal } = this.#ended;
    const { connectTimeoutMs, code } = this.#config;
    const wait = this.#refreshedAt + PAUSE_MS - performance.now();
    if (wait > 0) await pause(wait, signal);
    if (signal.aborted) return;
    const late = new AbortController();
    const timer = startTimer(
      () => late.abort(new ConnectionError(`no answer within ${connectTimeoutMs} ms`, false)),
      connectTimeoutMs,
    ).unref();
    try {
      const map = await withEither([signal, late.signal], (either) =>
        discover(this.#config, this.#candidates(), either),
      );
      if (!signal.aborted) this.#apply(map);
    } catch (error) {
      this.#problem = failure(code, error as LagoonError);
      log.connection('%s', this.#problem.message);
    } finally {
      clearTimeout(timer);
      this.#refreshedAt = performance.now();
    }
  }

  /** Whom to ask: all that are known, and those that were configured. */
  #candidates(): Endpoint[] {
    const addresses = new Set([...this.#byAddress.keys(), ...this.#seeds.map(formatEndpoint)]);
    return [...addresses].map(endpointOf);
  }

  #apply({ owners, replicas }: ClusterMap): void {
    const named = new Set<PoolCore>();
    const before = this.#named;
    let changed = false;
    let served = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      const address = owners[slot];
      const core = address === undefined ? undefined : this.at(address);
      if (core) {
        named.add(core);
        served++;
      }
      if (core !== this.#owners[slot]) {
        this.#owners[slot] = core;
        changed = true;
      }
    }
    this.#named = [...named];
    // Who has no slots any more may have been known to have none, one by one: then no slot has changed now.
    if (before.some((core) => !named.has(core))) changed = true;
    const unserved = SLOTS - served;
    this.#problem =
      unserved === 0
        ? undefined
        : failure(
            this.#config.code,
            new ConnectionError(`no master of the cluster serves ${unserved} of its slots`, false),
          );
    this.#retire(named);
    if (changed) this.#tell();
    this.replicas.learn(
      new Map([...replicas].map(([master, addresses]) => [this.at(master), addresses.map(endpointOf)])),
    );
  }

  #tell(): void {
    for (const listener of [...this.#changed]) listener();
  }

  // One answer may be of a node that is behind: a server that works is given up only if the next answer says so too.
  #retire(named: ReadonlySet<PoolCore>): void {
    for (const [address, core] of this.#byAddress) {
      if (named.has(core)) {
        this.#unnamed.delete(core);
        continue;
      }
      const answers = (this.#unnamed.get(core) ?? 0) + 1;
      this.#unnamed.set(core, answers);
      if (answers < 2 && core.lanes.connected > 0) continue;
      log.connection('%s: %s has no slots any more', this.#config.code, address);
      this.#byAddress.delete(address);
      this.#unnamed.delete(core);
      void core.end(new ServerLeftError(address));
    }
  }

  /** Asks again if a server is silent that owes replies, was left out of the last answer, or nobody asked for long. */
  #look(): void {
    const suspicious =
      this.#silence.look(this.#byAddress.values()) ||
      this.#unnamed.size > 0 ||
      (this.#problem !== undefined && this.#intake.pending > 0);
    const refreshMs = this.replicas.isMissingSome ? REPLICA_REFRESH_MS : REFRESH_MS;
    if (suspicious || performance.now() - this.#refreshedAt > refreshMs) void this.refresh();
  }
}

function failure(code: string, cause: LagoonError): ConnectionError {
  return new ConnectionError(`Pool ${code} cannot connect: ${cause.message}`, false, { cause });
}
