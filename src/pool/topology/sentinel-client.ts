import { ErrorReply } from 'redis';
import { startTimer } from '../../async/timers.js';
import { formatEndpoint } from '../../config/address.js';
import type { Endpoint, ResolvedPool, ResolvedTopology } from '../../config/types.js';
import { ConnectionError } from '../../errors.js';
import { log } from '../../observe/debug.js';
import type { NodeRedisClient } from '../node-redis.js';
import { attempt } from './attempt.js';
import { credentials, newClient, socketOptions } from './connect.js';
import { explainRefusal, type Identity, identityOfSentinel, withoutQuotation } from './refusal.js';

/** What a sentinel says of the master. */
export interface MasterView {
  readonly host: string;
  readonly port: number;
  /** Grows with every failover, so that of two views the one with the greater epoch is the later one. */
  readonly epoch: number;
  /** Its replicas that this sentinel finds in order; none if the pool does not read from any. */
  readonly replicas: readonly { readonly host: string; readonly port: number }[];
}

/** What a sentinel says of a server. */
type Flags = Readonly<Record<string, string>>;

/** One sentinel: asked for the master, and heard when it announces another. */
export class SentinelClient {
  readonly address: string;
  readonly #pool: ResolvedPool;
  readonly #topology: Extract<ResolvedTopology, { kind: 'sentinel' }>;
  readonly #endpoint: Endpoint;
  readonly #named: (view: MasterView) => void;
  readonly #identity: Identity;
  #client: NodeRedisClient | undefined;
  #asking: Promise<void> | undefined;
  /** Ends the connection, or the attempt at one. */
  #ending = new AbortController();
  #view: MasterView | undefined;
  #problem: Error | undefined;
  #closed = false;

  /** @param named called with every answer. */
  constructor(
    pool: ResolvedPool,
    topology: Extract<ResolvedTopology, { kind: 'sentinel' }>,
    endpoint: Endpoint,
    named: (view: MasterView) => void,
  ) {
    this.address = formatEndpoint(endpoint);
    this.#pool = pool;
    this.#topology = topology;
    this.#endpoint = endpoint;
    this.#named = named;
    this.#identity = identityOfSentinel(pool, topology);
  }

  /** Its last answer, unless it was asked in vain since. */
  get view(): MasterView | undefined {
    return this.#view;
  }

  /** Why it was asked in vain last. */
  get problem(): Error | undefined {
    return this.#problem;
  }

  /** Asks for the master, and connects first if need be. Resolves when that is over, however it ended; never rejects. */
  ask(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  close(): void {
    this.#closed = true;
    this.#drop(new Error('the pool is closed'));
  }

  async #ask(): Promise<void> {
    const ending = this.#ending;
    const { connectTimeoutMs } = this.#pool;
    const timer = startTimer(() => {
      if (ending === this.#ending) this.#drop(new ConnectionError(`no answer within ${connectTimeoutMs} ms`, false));
    }, connectTimeoutMs).unref();
    try {
      this.#client ??= await this.#connect(ending);
      const asked = Promise.all([this.#sayMaster(), this.#pool.replicas === 'prefer' ? this.#sayReplicas() : []]);
      const [master, replicas] = await asked;
      if (ending !== this.#ending) return;
      this.#view = { ...master, replicas: replicas.flatMap(readReplica) };
      this.#problem = undefined;
      this.#named(this.#view);
    } catch (error) {
      if (ending !== this.#ending) return;
      // What it refuses now it may grant later, over the same connection; a handshake that was refused leaves none.
      if (error instanceof ErrorReply && this.#client) {
        this.#view = undefined;
        this.#problem = explainRefusal(error, this.#pool, this.#identity);
      } else this.#drop(error as Error);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The epoch and the address. The sentinel that leads a failover counts it in its account of the master as soon as a replica is
   * promoted, and goes on to give the address of the old one there until all others follow; asked for the address, it gives the new.
   */
  async #sayMaster(): Promise<Omit<MasterView, 'replicas'>> {
    const asked = Promise.all([this.#say('MASTER'), this.#say('GET-MASTER-ADDR-BY-NAME')]);
    const [account, address] = (await asked) as [Flags, [host: string, port: string]];
    return { host: address[0], port: Number(address[1]), epoch: Number(account['config-epoch']) };
  }

  #say(what: string): Promise<unknown> {
    return (this.#client as NodeRedisClient).sendCommand(['SENTINEL', what, this.#topology.master]);
  }

  /** A sentinel that refuses to say is as good as any for the master. */
  #sayReplicas(): Promise<Flags[]> {
    return this.#say('REPLICAS').catch((error) => {
      if (!(error instanceof ErrorReply)) throw error;
      const { message } = withoutQuotation(error, this.#identity);
      log.connection('%s: sentinel %s: %s', this.#pool.code, this.address, message);
      return [];
    }) as Promise<Flags[]>;
  }

  #connect(ending: AbortController): Promise<NodeRedisClient> {
    const open = (signal: AbortSignal) => this.#open(ending, signal);
    return attempt(this.#pool, this.#endpoint, ending.signal, open, this.#identity);
  }

  async #open(ending: AbortController, signal: AbortSignal): Promise<NodeRedisClient> {
    const client = newClient({
      socket: socketOptions(this.#pool, this.#endpoint, signal, this.#topology.tls),
      ...credentials(this.#topology, this.#pool),
      name: this.#pool.clientName,
      maintNotifications: 'disabled',
    });
    let destroyed = false;
    const destroy = () => {
      if (!destroyed) client.destroy();
      destroyed = true;
    };
    // The first ends the attempt, the second what it has made.
    signal.addEventListener('abort', destroy, { once: true });
    ending.signal.addEventListener('abort', destroy, { once: true });
    let connected = false;
    const lost = (error: Error) => {
      // Until then `connect` rejects with the reason itself.
      if (connected && ending === this.#ending) this.#drop(error);
    };
    client.on('error', lost);
    client.on('end', () => lost(new Error('the connection was closed')));
    await client.connect();
    connected = true;
    // Before it is asked: a failover in between would be missed.
    await client.subscribe('+switch-master', (message) => {
      if (message.startsWith(`${this.#topology.master} `)) void this.#askAgain();
    });
    return client;
  }

  // The answer that is under way may be older than the announcement.
  async #askAgain(): Promise<void> {
    await this.#asking;
    await this.ask();
  }

  #drop(problem: Error): void {
    if (this.#problem?.message !== problem.message) {
      log.connection('%s: sentinel %s: %s', this.#pool.code, this.address, problem.message);
    }
    this.#problem = problem;
    this.#view = undefined;
    this.#client = undefined;
    const ending = this.#ending;
    this.#ending = new AbortController();
    ending.abort(problem);
  }
}

/** Where a replica is, if nothing is said against it. */
function readReplica({ ip, port, flags = '', 'master-link-status': link }: Flags): MasterView['replicas'] {
  const inOrder = link === 'ok' && !/down|disconnected/.test(flags);
  return inOrder ? [{ host: String(ip), port: Number(port) }] : [];
}
