import { inspect } from 'node:util';
import type { Duration } from '../duration.js';
import { positiveMs } from '../duration.js';
import { rememberSecret } from '../observe/pool-secrets.js';
import { type Address, parseAddress, parseNode, REDIS_PORT, SENTINEL_PORT } from './address.js';
import { DEFAULTS } from './defaults.js';
import { publicConfig, publicTls, REDACTED } from './redact.js';
import type {
  CommandKeys,
  DeclaredCommand,
  Endpoint,
  PasswordProviders,
  PoolConfig,
  PoolOptions,
  ResolvedPool,
  ResolvedTopology,
  TlsOptions,
} from './types.js';

/**
 * A pool whose configuration was found valid, with every default filled in and every duration in ms; frozen. `providers` give
 * the passwords where the configuration does not.
 */
export function resolvePool(code: string, config: PoolConfig, providers: PasswordProviders = {}): ResolvedPool {
  const given = typeof config === 'string' ? { address: config } : config;
  const address = 'address' in given ? mustParse(parseAddress(given.address)) : undefined;
  const tls = resolveTls(given.tls ?? address?.tls ?? DEFAULTS.tls);
  const topology = resolveTopology(given, address, tls, providers);
  return protect({
    code,
    topology,
    database: given.database ?? address?.database ?? DEFAULTS.database,
    username: given.username || address?.username,
    password: providers.password ?? (given.password || address?.password),
    tls,
    keyPrefix: given.keyPrefix ?? DEFAULTS.keyPrefix,
    clientName: given.clientName || defaultClientName(code),
    connectTimeoutMs: ms(given.connectTimeout, DEFAULTS.connectTimeout),
    commandTimeoutMs: ms(given.commandTimeout, DEFAULTS.commandTimeout),
    maxPending: given.maxPending ?? DEFAULTS.maxPending,
    failFast: given.failFast ?? DEFAULTS.failFast,
    replicas: ('replicas' in given ? given.replicas : undefined) ?? DEFAULTS.replicas,
    reconnect: resolveReconnect(given),
    pool: resolveBudget(given),
    commands: resolveCommands(given),
  });
}

/** Without a word of its keys, a command has one behind its name. */
const FIRST_KEY: CommandKeys = { first: 1 };

function resolveCommands({ commands = DEFAULTS.commands }: PoolOptions): ResolvedPool['commands'] {
  const named = Object.entries<DeclaredCommand>(commands);
  return new Map(named.map(([name, told]) => [name.toUpperCase(), told === 'shared' ? FIRST_KEY : told.keys]));
}

function resolveTopology(
  config: Exclude<PoolConfig, string>,
  address: Address | undefined,
  tls: ResolvedPool['tls'],
  { sentinelPassword }: PasswordProviders,
): ResolvedTopology {
  if ('sentinel' in config) {
    const { master, nodes } = config.sentinel;
    return {
      kind: 'sentinel',
      master,
      nodes: resolveNodes(nodes, SENTINEL_PORT),
      username: config.sentinelUsername || undefined,
      password: sentinelPassword ?? (config.sentinelPassword || undefined),
      tls: config.sentinelTls === undefined ? tls : resolveTls(config.sentinelTls),
    };
  }
  if ('cluster' in config) return { kind: 'cluster', nodes: resolveNodes(config.cluster, REDIS_PORT) };
  return { kind: 'standalone', endpoint: (address as Address).endpoint };
}

function resolveNodes(nodes: readonly string[], defaultPort: number): Endpoint[] {
  return nodes.map((node) => mustParse(parseNode(node, defaultPort)).endpoint);
}

function resolveTls(tls: boolean | TlsOptions): false | TlsOptions {
  if (tls === false) return false;
  const { ca, cert, key, servername, minVersion, rejectUnauthorized } = tls === true ? {} : tls;
  return {
    ...(ca?.length ? { ca } : undefined),
    ...(cert ? { cert } : undefined),
    ...(key ? { key } : undefined),
    ...(servername ? { servername } : undefined),
    minVersion: minVersion ?? DEFAULTS.minVersion,
    rejectUnauthorized: rejectUnauthorized ?? DEFAULTS.rejectUnauthorized,
  };
}

function resolveReconnect({ reconnect }: PoolOptions): ResolvedPool['reconnect'] {
  return {
    minDelayMs: ms(reconnect?.minDelay, DEFAULTS.reconnect.minDelay),
    maxDelayMs: ms(reconnect?.maxDelay, DEFAULTS.reconnect.maxDelay),
  };
}

function resolveBudget({ pool }: PoolOptions): ResolvedPool['pool'] {
  return {
    max: pool?.max ?? DEFAULTS.pool.max,
    min: pool?.min ?? DEFAULTS.pool.min,
    lanes: pool?.lanes ?? DEFAULTS.pool.lanes,
    acquireTimeoutMs: ms(pool?.acquireTimeout, DEFAULTS.pool.acquireTimeout),
    idleTimeoutMs: ms(pool?.idleTimeout, DEFAULTS.pool.idleTimeout),
    maxWaiting: pool?.maxWaiting ?? DEFAULTS.pool.maxWaiting,
  };
}

/** CLIENT SETNAME takes neither spaces nor anything outside printable ASCII; a pool's code may have both. */
function defaultClientName(code: string): string {
  return `lagoon:${code.replace(/[^!-~]/gu, '_')}`;
}

function ms(duration: Duration | undefined, otherwise: number): number {
  return duration === undefined ? otherwise : positiveMs(duration, 'duration');
}

function mustParse<T extends object>(parsed: T | { readonly problem: string }): T {
  if ('problem' in parsed) throw new TypeError(parsed.problem);
  return parsed;
}

/** Freezes the pool, and hides its secrets from whoever prints it or an object that holds it. */
function protect(pool: ResolvedPool): ResolvedPool {
  const shown = () => publicConfig(pool);
  Object.defineProperties(pool, { toJSON: { value: shown }, [inspect.custom]: { value: shown } });
  const { topology } = pool;
  if (typeof pool.password === 'string') rememberSecret(pool, pool.password);
  if (topology.kind === 'sentinel' && typeof topology.password === 'string') rememberSecret(pool, topology.password);
  for (const tls of new Set([pool.tls, topology.kind === 'sentinel' && topology.tls])) {
    if (!tls) continue;
    for (const line of keyLines(tls)) rememberSecret(pool, line);
    const shownTls = () => publicTls(tls);
    Object.defineProperties(tls, { toJSON: { value: shownTls }, [inspect.custom]: { value: shownTls } });
  }
  if (topology.kind === 'sentinel' && topology.password !== undefined) {
    const shownTopology = () => ({ ...topology, password: REDACTED });
    Object.defineProperties(topology, { toJSON: { value: shownTopology }, [inspect.custom]: { value: shownTopology } });
  }
  return deepFreeze(pool);
}

/** The lines of the key that are secret; its first and last are the same in every key. */
function keyLines({ key }: TlsOptions): string[] {
  return (key ?? '').split(/\r?\n/).filter((line) => line.length > 16 && !line.startsWith('-----'));
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (typeof part === 'object' && part !== null) deepFreeze(part);
  }
  return Object.freeze(value);
}
