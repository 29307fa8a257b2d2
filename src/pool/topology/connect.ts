import { RedisClient, type RedisClientOptions } from 'redis';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import type { NodeRedisClient } from '../node-redis.js';
import { QueueLink } from '../queue-link.js';

// node-redis stops writing at the socket's mark and waits for a drain; at the default 16 KB that halves the rate of large SETs.
const WRITABLE_HIGH_WATER_MARK = 1024 * 1024;

/** Opens one connection of a pool to the server at `endpoint`; one attempt, which `signal` ends. */
export async function connect(pool: ResolvedPool, endpoint: Endpoint, signal: AbortSignal): Promise<QueueLink> {
  const client = newClient(linkOptions(pool, endpoint, signal));
  const link = new QueueLink(client);
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
    const reason = link.lost ?? (error as Error);
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

// node-redis writes into the options it is given: every connection gets its own.
function linkOptions(pool: ResolvedPool, endpoint: Endpoint, signal: AbortSignal): RedisClientOptions {
  return {
    socket: socketOptions(pool, endpoint, signal),
    ...credentials(pool),
    database: pool.database,
    name: pool.clientName,
    keyPrefix: pool.keyPrefix,
    maintNotifications: 'disabled',
  };
}

/** Who a pool is to its servers, as node-redis takes it. */
export function credentials({
  username,
  password,
}: ResolvedPool): Pick<RedisClientOptions, 'username' | 'password' | 'credentialsProvider'> {
  if (typeof password === 'function') {
    return {
      credentialsProvider: {
        type: 'async-credentials-provider',
        credentials: async () => ({ ...(username !== undefined && { username }), password: await password() }),
      },
    };
  }
  return { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
}

/** How to reach any server of a pool: Redis itself or a sentinel. */
export function socketOptions(
  pool: ResolvedPool,
  endpoint: Endpoint,
  signal: AbortSignal,
): NonNullable<RedisClientOptions['socket']> {
  const options = {
    ...endpoint,
    ...(pool.tls && { ...pool.tls, tls: true }),
    // A connection is made once. Whoever wants another makes it, which keeps every connection's state known.
    reconnectStrategy: false,
    connectTimeout: pool.connectTimeoutMs,
    writableHighWaterMark: WRITABLE_HIGH_WATER_MARK,
    signal,
  };
  return options as NonNullable<RedisClientOptions['socket']>;
}
