import type { Duration } from '../duration.js';

/** TLS of a pool: `true` for the system's authorities, or what to use instead. */
export interface TlsOptions {
  /** Certificate authorities to trust, PEM. */
  ca?: string | string[];
  /** Client certificate, PEM. */
  cert?: string;
  /** Key of the client certificate, PEM. */
  key?: string;
  /** Name to check the server's certificate against; default: the host. */
  servername?: string;
  /** Lowest version to speak: a server that offers only earlier ones is refused; default `'TLSv1.2'`. */
  minVersion?: TlsVersion;
  /** Whether to refuse a certificate that no trusted authority signed; default `true`. */
  rejectUnauthorized?: boolean;
}

/** A version of TLS that is still safe. */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** How long to wait between attempts to connect; the delay doubles from `minDelay` to `maxDelay`, with jitter. */
export interface ReconnectOptions {
  /** Delay after the first failure; default 50 ms. */
  minDelay?: Duration;
  /** Longest delay; default 500 ms. */
  maxDelay?: Duration;
}

/** How many connections a pool holds, and for how long. */
export interface ConnectionBudget {
  /** Connections at most, lanes included; default 10. */
  max?: number;
  /** Connections kept open while idle, once the pool is in use; default 0. */
  min?: number;
  /** Connections shared by all ordinary commands; default 1. */
  lanes?: number;
  /** How long a caller waits for a connection of its own; default 3 s. */
  acquireTimeout?: Duration;
  /** How long a connection beyond `min` stays open unused; default 30 s. */
  idleTimeout?: Duration;
  /** Callers that may wait for a connection of their own at once; default 1000. */
  maxWaiting?: number;
}

/** Where a command has its keys: nowhere, at fixed places (as in the server's COMMAND), or behind their number. */
export type CommandKeys =
  | 'none'
  | {
      /** Place of the first key; the command's name is at 0. */
      readonly first: number;
      /** Place of the last key; a negative one counts from the end. Default: `first`. */
      readonly last?: number;
      /** From one key to the next; default 1. */
      readonly step?: number;
    }
  | {
      /** Place of the number of keys, behind which they stand. */
      readonly count: number;
    };

/** What a pool is told of a command that Lagoon does not know: that it can share a connection, and where its keys are. */
export type DeclaredCommand =
  /** Its one key, if it has any, stands behind its name. */
  'shared' | { readonly keys: CommandKeys };

/** Options of a pool, whatever the topology behind it. */
export interface PoolOptions {
  /** ACL user; default: the server's `default` user. */
  username?: string;
  password?: string;
  /** Default `false`. */
  tls?: boolean | TlsOptions;
  /** Put before every key and key pattern that a typed command, a script or a feature sends; typed replies name keys without it. */
  keyPrefix?: string;
  /** Name of the connections in `CLIENT LIST`; default `lagoon:<code>`. */
  clientName?: string;
  /** Longest time for one attempt to connect, handshake included; default 5 s. */
  connectTimeout?: Duration;
  /** Longest time for one command, waiting for a connection included; default 5 s. */
  commandTimeout?: Duration;
  /** Commands in flight or waiting at most; default 100000. Past it a command is refused with `PoolOverloadedError`. */
  maxPending?: number;
  /**
   * Whether commands are refused at once with a `ConnectionError` while their server is known to be away, instead of waiting for it up to
   * `commandTimeout`; default `false`.
   */
  failFast?: boolean;
  reconnect?: ReconnectOptions;
  pool?: ConnectionBudget;
  /**
   * Commands that Lagoon does not know, as those of a module, by their names: each gives exactly one reply, does not block, and
   * leaves its connection as it is. Others get a connection of their own, which is closed afterwards. Default: none.
   */
  commands?: Record<string, DeclaredCommand>;
}

/** Where a pool reads: `never` from a replica, or from one if there is one in order (`prefer`). */
export type ReplicaReads = 'never' | 'prefer';

/** What only pools can have whose servers have replicas that the pool finds. */
export interface ReplicaOptions {
  /**
   * Whether raw commands that only read go to a replica: default `never`. With `prefer` they go to one that is connected and in
   * order, and may then read what is some time old. Locks, limits, caches, scripts and transactions never do.
   */
  replicas?: ReplicaReads;
}

/** Gives the password of each new connection; one that was rotated is picked up when connections are replaced. */
export type PasswordProvider = () => string | Promise<string>;

/** Options of a pool that is registered by a call: those of a configuration, and what plain data cannot say. */
export interface RegisterOptions extends Omit<PoolOptions, 'password'> {
  /** The password, or a function that is asked for it before every connection; a failure of it is one of the connection. */
  password?: string | PasswordProvider;
}

/** {@link RegisterOptions} of a pool on Redis Sentinel. */
export interface RegisterSentinelOptions
  extends RegisterOptions,
    Omit<SentinelPoolOptions, keyof PoolOptions | 'sentinelPassword'> {
  /** The sentinels' own password, or a function that is asked for it before every connection to one of them. */
  sentinelPassword?: string | PasswordProvider;
}

/** The functions that give the passwords of a pool, where they are no data. */
export interface PasswordProviders {
  readonly password?: PasswordProvider;
  readonly sentinelPassword?: PasswordProvider;
}

/** {@link RegisterOptions} of a pool on a Redis Cluster. */
export interface RegisterClusterOptions extends RegisterOptions, ReplicaOptions {}

/** A pool on one Redis server. */
export interface StandalonePoolConfig extends PoolOptions {
  /** `host:port`, `[ipv6]:port`, `/path/redis.sock`, or a `redis://` / `rediss://` URL. */
  address: string;
  /** Database number; default 0. */
  database?: number;
}

/** Options of a pool on Redis Sentinel. */
export interface SentinelPoolOptions extends PoolOptions, ReplicaOptions {
  /** ACL user of the sentinels themselves; `username` is that of the servers. Default: the sentinels' `default` user. */
  sentinelUsername?: string;
  /** Password of the sentinels themselves; `password` is that of the servers. Default: none. */
  sentinelPassword?: string;
  /** TLS of the sentinels themselves; `tls` is then that of the servers alone. Default: as `tls`. */
  sentinelTls?: boolean | TlsOptions;
}

/** A pool on the master that Redis Sentinel names. */
export interface SentinelPoolConfig extends SentinelPoolOptions {
  sentinel: {
    /** The name of the master group. */
    master: string;
    /** `host:port` of the sentinels. */
    nodes: string[];
  };
  /** Database number; default 0. */
  database?: number;
}

/** A pool on a Redis Cluster. */
export interface ClusterPoolConfig extends PoolOptions, ReplicaOptions {
  /** `host:port` of some of the nodes. */
  cluster: string[];
  /** A cluster has database 0 only. */
  database?: 0;
}

/** A pool: an object, or `host:port:db`, `/path/redis.sock:db`, `redis://…`, `rediss://…` for short. */
export type PoolConfig = string | StandalonePoolConfig | SentinelPoolConfig | ClusterPoolConfig;

/** Everything a registry knows: what `Registry.fromConfig` takes and `schema/registry.schema.json` describes. */
export interface RegistryConfig<Names extends string = string> {
  /** For editors; ignored. */
  $schema?: string;
  /** The pools by their code. */
  pools: Record<Names, PoolConfig>;
}

/** Where a standalone server listens. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

/** Where a pool's connections lead. */
export type ResolvedTopology =
  | { readonly kind: 'standalone'; readonly endpoint: Endpoint }
  | {
      readonly kind: 'sentinel';
      readonly master: string;
      readonly nodes: readonly Endpoint[];
      readonly username: string | undefined;
      readonly password: string | PasswordProvider | undefined;
      /** Of the sentinels: the same object as the pool's, unless they have options of their own. */
      readonly tls: false | TlsOptions;
    }
  | { readonly kind: 'cluster'; readonly nodes: readonly Endpoint[] };

/** A validated pool: every default filled in, every duration in ms. */
export interface ResolvedPool {
  readonly code: string;
  readonly topology: ResolvedTopology;
  readonly database: number;
  readonly username: string | undefined;
  readonly password: string | PasswordProvider | undefined;
  readonly tls: false | TlsOptions;
  readonly keyPrefix: string;
  readonly clientName: string;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly maxPending: number;
  readonly failFast: boolean;
  /** Of one server always `never`. */
  readonly replicas: ReplicaReads;
  readonly reconnect: { readonly minDelayMs: number; readonly maxDelayMs: number };
  readonly pool: {
    readonly max: number;
    readonly min: number;
    readonly lanes: number;
    readonly acquireTimeoutMs: number;
    readonly idleTimeoutMs: number;
    readonly maxWaiting: number;
  };
  /** Where the keys of a declared command are, by its upper-case name. */
  readonly commands: ReadonlyMap<string, CommandKeys>;
}
