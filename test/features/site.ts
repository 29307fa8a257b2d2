import type { Engine, PoolOptions, RedisPool, Registry } from '../../src/index.js';
import type { RedisServer } from '../../src/testing/index.js';
import { eventually } from '../support/eventually.js';

/** Servers to run on, which are stopped in the end, and how a service registers its pool on them. */
export interface Topology {
  readonly kind: 'standalone' | 'sentinel' | 'cluster';
  /** All processes of it. */
  readonly servers: readonly RedisServer[];
  register(options: PoolOptions): Registry<'default'>;
  stop(): Promise<void>;
}

/**
 * Where features are tested: one topology, and engines on it, each of which stands for a process of a service. Tests share the servers, so
 * that they may run at the same time, and keep to keys of their own.
 */
export class Site {
  readonly keyPrefix: string;
  readonly #engines: Engine<'default'>[] = [];
  #topology: Topology | undefined;
  #here: Engine<'default'> | undefined;
  #elsewhere: Engine<'default'> | undefined;
  #keys = 0;

  constructor(keyPrefix: string) {
    this.keyPrefix = keyPrefix;
  }

  async start(topology: Topology): Promise<void> {
    this.#topology = topology;
    this.#here = this.open();
    this.#elsewhere = this.open();
    await Promise.all(this.#engines.map((engine) => engine.connect()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.close({ timeout: 0 })));
    await this.#topology?.stop();
  }

  get kind(): Topology['kind'] {
    return this.#started(this.#topology).kind;
  }

  get engine(): Engine<'default'> {
    return this.#started(this.#here);
  }

  /** The pool that most tests use, all of them the same. */
  get redis(): RedisPool {
    return this.engine.getRedis();
  }

  /** The same pool in another process, as far as Redis can tell. */
  get elsewhere(): RedisPool {
    return this.#started(this.#elsewhere).getRedis();
  }

  /** One process more, for tests that change what the others share; closed in the end. */
  open(options: PoolOptions = {}): Engine<'default'> {
    const budget = { max: 60, ...options.pool };
    const engine = this.#started(this.#topology)
      .register({ ...options, keyPrefix: this.keyPrefix, pool: budget })
      .validate();
    this.#engines.push(engine);
    return engine;
  }

  /** A key that no other test uses. Whatever it begins is in one slot: `${key}:more`. */
  key(name = 'key'): string {
    return `{${name}-${++this.#keys}}`;
  }

  /** So many keys that no other test uses, of different slots. */
  keys(count: number, name = 'key'): string[] {
    return Array.from({ length: count }, () => this.key(name));
  }

  /** What a key of the pool is called in Redis: for `sendCommand`, in scripts and in the query log. */
  inRedis(key: string): string {
    return this.keyPrefix + key;
  }

  /** Runs `work` while no server of the site answers. */
  async whileFrozen<T>(work: () => Promise<T>): Promise<T> {
    const { servers } = this.#started(this.#topology);
    await Promise.all(servers.map((server) => server.freeze()));
    try {
      return await work();
    } finally {
      await Promise.all(servers.map((server) => server.thaw()));
    }
  }

  /** Resolves once so many connections of a pool block in a command. */
  async blocked(redis: RedisPool, count = 1): Promise<void> {
    await eventually(() => redis.stats().leases.inUse >= count && redis.stats().pending >= count);
  }

  /** Resolves once no server knows a connection of that name any more: one that was just cut may count for a moment yet. */
  async disconnected(clientName: string): Promise<void> {
    const { servers } = this.#started(this.#topology);
    await eventually(async () => {
      const lists = await Promise.all(servers.map((server) => server.cli('CLIENT', 'LIST')));
      return !lists.join().includes(`name=${clientName} `);
    });
  }

  #started<T>(value: T | undefined): T {
    if (value === undefined)
      throw new Error('There are servers in tests and hooks only, not while tests are collected');
    return value;
  }
}
