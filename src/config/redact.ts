import { formatEndpoint } from './address.js';
import { DEFAULTS } from './defaults.js';
import type { CommandKeys, ReplicaReads, ResolvedPool, ResolvedTopology, TlsOptions, TlsVersion } from './types.js';

/** Stands where a secret is set. */
export const REDACTED = '<redacted>';

/** TLS of a pool with its keys and certificates hidden. */
export interface PublicTlsConfig {
  readonly ca?: typeof REDACTED;
  readonly cert?: typeof REDACTED;
  readonly key?: typeof REDACTED;
  readonly servername?: string;
  readonly minVersion: TlsVersion;
  readonly rejectUnauthorized: boolean;
}

/** What a pool is configured to do, under the names of its configuration, defaults filled in, durations in ms, secrets hidden. */
export interface PublicPoolConfig {
  readonly code: string;
  readonly topology: 'standalone' | 'sentinel' | 'cluster';
  /** `host:port` or the path of a socket; of Sentinel and Cluster, the nodes with commas between them. */
  readonly address: string;
  readonly database: number;
  /** Of a pool on Sentinel: the name of the master group. */
  readonly master?: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: typeof REDACTED;
  readonly sentinelTls?: boolean | PublicTlsConfig;
  readonly username?: string;
  readonly password?: typeof REDACTED;
  readonly tls: boolean | PublicTlsConfig;
  readonly keyPrefix: string;
  readonly clientName: string;
  readonly connectTimeout: number;
  readonly commandTimeout: number;
  readonly maxPending: number;
  readonly failFast: boolean;
  /** Of a pool on Sentinel or on a cluster: whether raw reads go to replicas. */
  readonly replicas?: ReplicaReads;
  readonly reconnect: { readonly minDelay: number; readonly maxDelay: number };
  readonly pool: {
    readonly max: number;
    readonly min: number;
    readonly lanes: number;
    readonly acquireTimeout: number;
    readonly idleTimeout: number;
    readonly maxWaiting: number;
  };
  readonly commands: Readonly<Record<string, { readonly keys: CommandKeys }>>;
}

/** The pool's configuration as anybody may see it: a new plain object each time. */
export function publicConfig(pool: ResolvedPool): PublicPoolConfig {
  const { topology, reconnect } = pool;
  const { acquireTimeoutMs, idleTimeoutMs, max, min, lanes, maxWaiting } = pool.pool;
  const endpoints = topology.kind === 'standalone' ? [topology.endpoint] : topology.nodes;
  return {
    code: pool.code,
    topology: topology.kind,
    address: endpoints.map(formatEndpoint).join(','),
    database: pool.database,
    ...(topology.kind === 'sentinel' ? publicSentinel(topology) : undefined),
    ...(pool.username === undefined ? undefined : { username: pool.username }),
    ...(pool.password === undefined ? undefined : { password: REDACTED }),
    tls: pool.tls && publicTls(pool.tls),
    keyPrefix: pool.keyPrefix,
    clientName: pool.clientName,
    connectTimeout: pool.connectTimeoutMs,
    commandTimeout: pool.commandTimeoutMs,
    maxPending: pool.maxPending,
    failFast: pool.failFast,
    ...(topology.kind === 'standalone' ? undefined : { replicas: pool.replicas }),
    reconnect: { minDelay: reconnect.minDelayMs, maxDelay: reconnect.maxDelayMs },
    pool: { max, min, lanes, acquireTimeout: acquireTimeoutMs, idleTimeout: idleTimeoutMs, maxWaiting },
    commands: Object.fromEntries(
      [...pool.commands].map(([name, keys]) => [name, { keys: typeof keys === 'string' ? keys : { ...keys } }]),
    ),
  };
}

function publicSentinel({
  master,
  username,
  password,
  tls,
}: Extract<ResolvedTopology, { kind: 'sentinel' }>): Pick<
  PublicPoolConfig,
  'master' | 'sentinelUsername' | 'sentinelPassword' | 'sentinelTls'
> {
  return {
    master,
    ...(username === undefined ? undefined : { sentinelUsername: username }),
    ...(password === undefined ? undefined : { sentinelPassword: REDACTED }),
    sentinelTls: tls && publicTls(tls),
  };
}

/** TLS as anybody may see it. */
export function publicTls({ ca, cert, key, servername, minVersion, rejectUnauthorized }: TlsOptions): PublicTlsConfig {
  return {
    ...(ca?.length ? { ca: REDACTED } : undefined),
    ...(cert ? { cert: REDACTED } : undefined),
    ...(key ? { key: REDACTED } : undefined),
    ...(servername ? { servername } : undefined),
    minVersion: minVersion ?? DEFAULTS.minVersion,
    rejectUnauthorized: rejectUnauthorized ?? DEFAULTS.rejectUnauthorized,
  };
}
