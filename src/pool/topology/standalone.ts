import { RedisClient, type RedisClientOptions } from 'redis';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import type { NodeRedisClient } from '../node-redis.js';
import { QueueLink } from '../queue-link.js';
import type { Topology } from './topology.js';

// node-redis stops writing at the socket's mark and waits for a drain; at the default 16 KB that halves the rate of large SETs.
const WRITABLE_HIGH_WATER_MARK = 1024 * 1024;

/** One Redis server, over TCP, TLS or a unix socket. */
export function standalone(pool: ResolvedPool, endpoint: Endpoint): Topology {
  return {
    async open(signal) {
      const client = newClient(clientOptions(pool, endpoint, signal));
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
    },
  };
}

let factory: ReturnType<typeof RedisClient.factory> | undefined;

// node-redis builds a class with a method per command for every new set of options; one class serves all our connections.
function newClient(options: RedisClientOptions): NodeRedisClient {
  factory ??= RedisClient.factory();
  return factory(options as Parameters<typeof factory>[0]) as unknown as NodeRedisClient;
}

// node-redis writes into the options it is given: every connection gets its own.
function clientOptions(pool: ResolvedPool, endpoint: Endpoint, signal: AbortSignal): RedisClientOptions {
  const socket = {
    ...endpoint,
    ...(pool.tls && { ...pool.tls, tls: true }),
    // A connection is made once. Lanes and leases replace a lost one, which keeps every connection's state known.
    reconnectStrategy: false,
    connectTimeout: pool.connectTimeoutMs,
    writableHighWaterMark: WRITABLE_HIGH_WATER_MARK,
    signal,
  };
  return {
    socket: socket as NonNullable<RedisClientOptions['socket']>,
    ...(pool.username !== undefined && { username: pool.username }),
    ...(pool.password !== undefined && { password: pool.password }),
    database: pool.database,
    name: pool.clientName,
    keyPrefix: pool.keyPrefix,
    maintNotifications: 'disabled',
  };
}
