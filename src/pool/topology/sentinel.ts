import { startInterval } from '../../async/timers.js';
import { formatEndpoint } from '../../config/address.js';
import type { Endpoint, ResolvedPool, ResolvedTopology } from '../../config/types.js';
import { ConnectionError } from '../../errors.js';
import { log } from '../../observe/debug.js';
import { hideSecrets } from '../../observe/pool-secrets.js';
import { withEither } from '../abort.js';
import type { Link } from '../link.js';
import type { QueueLink } from '../queue-link.js';
import type { ReplicaDirectory, Shard } from '../replicas/directory.js';
import { connectChecked } from './connect.js';
import { type MasterView, SentinelClient } from './sentinel-client.js';
import type { Topology } from './topology.js';
import { TopologyError } from './topology-error.js';

/** How often every sentinel is asked: an announcement can be missed, and a dead connection would never show. */
const ASK_INTERVAL_MS = 1_000;

/**
 * The master of a group that sentinels watch over. All of them are listened to, as each hears of a failover at its own
 * time, and what was agreed on last counts. When the master changes, every connection to the old one is closed.
 */
export class Sentinels implements Topology, ReplicaDirectory {
  readonly demotes = true;
  readonly #pool: ResolvedPool;
  readonly #name: string;
  readonly #clients: readonly SentinelClient[];
  readonly #attempts = new Map<AbortController, string>();
  readonly #links = new Map<QueueLink, string>();
  /** Called with the master as soon as a sentinel names one. */
  readonly #waiting = new Set<(master: MasterView) => void>();
  readonly #replicaListeners = new Set<() => void>();
  #master: MasterView | undefined;
  /** The last attempt to connect to the master failed. */
  #doubted = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(pool: ResolvedPool, topology: Extract<ResolvedTopology, { kind: 'sentinel' }>) {
    this.#pool = pool;
    this.#name = topology.master;
    this.#clients = topology.nodes.map((node) => new SentinelClient(pool, topology, node, (view) => this.#named(view)));
  }

  get address(): string | undefined {
    return this.#master && formatEndpoint(this.#master);
  }

  async open(signal: AbortSignal): Promise<Link> {
    this.#timer ??= startInterval(() => void this.#askAll(), ASK_INTERVAL_MS).unref();
    for (;;) {
      const master = this.#master && !this.#doubted ? this.#master : await this.#locate(signal);
      const attempt = new AbortController();
      this.#attempts.set(attempt, formatEndpoint(master));
      try {
        const link = await withEither([signal, attempt.signal], (either) =>
          connectChecked(this.#pool, master, either, (opened) => verifyMaster(opened, master)),
        );
        this.#keep(link, master);
        return link;
      } catch (error) {
        // The sentinels named another one meanwhile, which is worth an attempt at once.
        if (attempt.signal.aborted && !signal.aborted) continue;
        this.#doubted = true;
        throw error;
      } finally {
        this.#attempts.delete(attempt);
      }
    }
  }

  close(): void {
    clearInterval(this.#timer);
    for (const client of this.#clients) client.close();
  }

  /** Every replica that one of the sentinels who name this master says is in order. */
  replicas(): ReadonlyMap<Shard, readonly Endpoint[]> {
    const { address } = this;
    const views = this.#clients.flatMap(({ view }) => (view && formatEndpoint(view) === address ? view : []));
    const endpoints = views.flatMap(({ replicas }) => replicas).map((one) => [formatEndpoint(one), one] as const);
    const others = new Map(endpoints.filter(([replica]) => replica !== address));
    return new Map([[this, [...others.values()]]]);
  }

  shardOf(): Shard {
    return this;
  }

  onReplicas(listener: () => void): void {
    this.#replicaListeners.add(listener);
  }

  /** The sentinels are asked all the time. */
  doubt(): void {}

  #keep(link: QueueLink, master: MasterView): void {
    for (const other of [...this.#links.keys()]) if (other.lost) this.#links.delete(other);
    this.#links.set(link, formatEndpoint(master));
  }

  #askAll(): Promise<unknown> {
    return Promise.all(this.#clients.map((client) => client.ask()));
  }

  /** The master as a sentinel names it now: the first that knows of no earlier one than we do, or else the latest of all. */
  #locate(signal: AbortSignal): Promise<MasterView> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#waiting.delete(found);
        signal.removeEventListener('abort', stop);
        settle();
      };
      const found = (master: MasterView) => end(() => resolve(master));
      const stop = () => end(() => reject(this.#nobodyNamesIt(signal.reason)));
      this.#waiting.add(found);
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) return stop();
      void this.#askAll().then(() => {
        if (!this.#waiting.has(found)) return;
        const views = this.#clients.flatMap(({ view }) => view ?? []).sort((a, b) => b.epoch - a.epoch);
        if (views[0]) this.#switchTo(views[0]);
        else end(() => reject(this.#nobodyNamesIt()));
      });
    });
  }

  #named(view: MasterView): void {
    // A sentinel that was cut off for a while, or was not told yet.
    if (!this.#master || view.epoch >= this.#master.epoch) this.#switchTo(view);
    for (const listener of this.#replicaListeners) listener();
  }

  #switchTo(master: MasterView): void {
    const before = this.#master;
    this.#master = master;
    this.#doubted = false;
    for (const found of [...this.#waiting]) found(master);
    const address = formatEndpoint(master);
    if (before && formatEndpoint(before) === address) return;
    log.connection('%s: %s is at %s', this.#pool.code, this.#name, address);
    const reason = new ConnectionError(`${this.#name} is now at ${address}`, false);
    for (const [attempt, to] of [...this.#attempts]) if (to !== address) attempt.abort(reason);
    for (const [link, to] of [...this.#links]) if (to !== address) link.destroy(reason);
  }

  #nobodyNamesIt(timeout?: Error): Error {
    const name = JSON.stringify(this.#name);
    const problems = this.#clients.map(({ address, problem }) => ({ address, problem: problem ?? timeout }));
    const said = problems.map(({ address, problem }) => `${address}: ${problem?.message ?? 'no answer'}`).join('; ');
    const refusals = problems.flatMap(({ problem }) => (problem instanceof TopologyError ? [problem] : []));
    const cause = refusals[0]?.cause;
    if (refusals.length === 0) return new ConnectionError(`no sentinel names the master ${name} (${said})`, false);
    return refusals.some(({ message }) => /no such master/i.test(message))
      ? new TopologyError(`no sentinel knows a master called ${name} (${said})`, { cause })
      : new TopologyError(`no sentinel names the master ${name} (${said})`, { cause });
  }
}

// A sentinel that was cut off may still name the old one.
async function verifyMaster(link: QueueLink, master: MasterView): Promise<void> {
  const [role] = (await link.client.sendCommand(['ROLE'])) as unknown as [string];
  if (role === 'master') return;
  throw new ConnectionError(
    `${formatEndpoint(master)} is to be the master, but says that it is a ${hideSecrets(String(role))}`,
    false,
  );
}
