import { RedisClient, type RedisClientOptions } from 'redis';
import { formatEndpoint } from '../../config/address.js';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import { LinkSocket, type SocketOptions } from '../link-socket.js';
import type { NodeRedisClient } from '../node-redis.js';
import { QueueLink } from '../queue-link.js';
import { attempt } from './attempt.js';
import { handshake } from './handshake.js';
import { given } from './password.js';
import { explainRefusal } from './refusal.js';
import { TopologyError } from './topology-error.js';

// Writing stops at the socket's mark and waits for a drain; at the default 16 KB that halves the rate of large SETs.
const WRITABLE_HIGH_WATER_MARK = 1024 * 1024;
/** After so long without a word the other side is asked whether it is there. */
const KEEP_ALIVE_DELAY_MS = 30_000;

/** Opens one connection of a pool to the server at `endpoint`; one attempt, which `signal` ends. */
export async function connect(pool: ResolvedPool, endpoint: Endpoint, signal: AbortSignal): Promise<QueueLink> {
  try {
    return await attempt(pool, endpoint, signal, (ending) => open(pool, endpoint, ending));
  } catch (error) {
    throw at(endpoint, error as Error);
  }
}

/** The error with where it happened, if it is one that says what to do. */
export function at(endpoint: Endpoint, error: Error): Error {
  if (!(error instanceof TopologyError)) return error;
  return new TopologyError(`${formatEndpoint(endpoint)}: ${error.message}`, { cause: error.cause });
}

async function open(pool: ResolvedPool, endpoint: Endpoint, signal: AbortSignal): Promise<QueueLink> {
  const giveUpAt = performance.now() + patienceMs(pool.connectTimeoutMs);
  const client = newClient({ maintNotifications: 'disabled' });
  const socket = new LinkSocket(linkOptions(pool, endpoint), () => handshake(pool, link, giveUpAt - performance.now()));
  const link: QueueLink = new QueueLink(client, socket);
  const stop = () => link.destroy(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    return link;
  } catch (error) {
    throw link.lost ?? error;
  } finally {
    signal.removeEventListener('abort', stop);
    if (!client.isReady) link.destroy(new Error('the attempt to connect ended'));
  }
}

/** As {@link connect}; the connection is closed again if `check` rejects. */
export async function connectChecked(
  pool: ResolvedPool,
  endpoint: Endpoint,
  signal: AbortSignal,
  check: (link: QueueLink) => Promise<void>,
): Promise<QueueLink> {
  const link = await connect(pool, endpoint, signal);
  const stop = () => link.destroy(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await check(link);
    return link;
  } catch (error) {
    const reason = link.lost ?? at(endpoint, explainRefusal(error as Error, pool));
    link.destroy(reason);
    throw reason;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

let factory: ReturnType<typeof RedisClient.factory> | undefined;

// node-redis builds a class with a method per command for every new set of options; one class serves all our connections.
export function newClient(options: RedisClientOptions): NodeRedisClient {
  factory ??= RedisClient.factory();
  return factory(options as Parameters<typeof factory>[0]) as unknown as NodeRedisClient;
}

/** A little sooner than the attempt would end, which could not say why. */
function patienceMs(connectTimeoutMs: number): number {
  return 0.9 * connectTimeoutMs;
}

type Credentials = Pick<RedisClientOptions, 'username' | 'password' | 'credentialsProvider'>;

/** Who a pool is to its servers, or to its sentinels, as node-redis takes it. */
export function credentials(
  { username, password }: Pick<ResolvedPool, 'username' | 'password'>,
  { connectTimeoutMs }: ResolvedPool,
): Credentials {
  const name = username !== undefined && { username };
  if (typeof password !== 'function') return { ...name, ...(password !== undefined && { password }) };
  const ask = async () => ({ ...name, password: await given(password, patienceMs(connectTimeoutMs)) });
  return { credentialsProvider: { type: 'async-credentials-provider', credentials: ask } };
}

function reach(endpoint: Endpoint, tls: ResolvedPool['tls']) {
  return { ...endpoint, ...(tls && { ...tls, tls: true }) };
}

function linkOptions({ tls }: ResolvedPool, endpoint: Endpoint): SocketOptions {
  return {
    ...reach(endpoint, tls),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    writableHighWaterMark: WRITABLE_HIGH_WATER_MARK,
  } as unknown as SocketOptions;
}

/** How a client of node-redis reaches a server of a pool that is only asked: a node of a cluster, or a sentinel with its `tls`. */
export function socketOptions(
  pool: ResolvedPool,
  endpoint: Endpoint,
  signal: AbortSignal,
  tls = pool.tls,
): NonNullable<RedisClientOptions['socket']> {
  const options = {
    ...reach(endpoint, tls),
    // A connection is made once. Whoever wants another makes it, which keeps every connection's state known.
    reconnectStrategy: false,
    connectTimeout: pool.connectTimeoutMs,
    signal,
  };
  return options as NonNullable<RedisClientOptions['socket']>;
}
