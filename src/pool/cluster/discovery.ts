import { type RedisClientOptions, RedisCluster, type RedisClusterOptions } from 'redis';
import { formatEndpoint, parseNode, REDIS_PORT } from '../../config/address.js';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import { ConnectionError } from '../../errors.js';
import { withEither } from '../abort.js';
import { attempt } from '../topology/attempt.js';
import { credentials, socketOptions } from '../topology/connect.js';
import { TopologyError } from '../topology/topology-error.js';

/** The address of the master of each slot; a slot that nobody serves is missing. */
export type SlotMap = readonly (string | undefined)[];

/** What a node says of its cluster. */
export interface ClusterMap {
  readonly owners: SlotMap;
  /** The addresses of the replicas by that of their master; none if the pool does not read from any. */
  readonly replicas: ReadonlyMap<string, readonly string[]>;
}

/**
 * Asks several nodes at once who serves which slot, by node-redis's cluster client, and takes the first answer.
 *
 * @throws {TopologyError} if they refuse for a reason that will not pass.
 * @throws {ConnectionError} if none of them answers.
 */
export async function discover(
  pool: ResolvedPool,
  nodes: readonly Endpoint[],
  signal: AbortSignal,
): Promise<ClusterMap> {
  const answered = new AbortController();
  const problems: (readonly [address: string, error: Error])[] = [];
  try {
    return await Promise.any(
      nodes.map(async (node) => {
        try {
          // A signal for each: their sockets all listen to it.
          return await withEither([signal, answered.signal], (either) =>
            attempt(pool, node, either, (ending) => ask(pool, node, ending)),
          );
        } catch (error) {
          problems.push([formatEndpoint(node), error as Error]);
          throw error;
        }
      }),
    );
  } catch {
    throw unanswered(problems, signal);
  } finally {
    answered.abort();
  }
}

async function ask(pool: ResolvedPool, node: Endpoint, signal: AbortSignal): Promise<ClusterMap> {
  let problem: Error | undefined;
  const client = newClusterClient({
    rootNodes: [{ socket: { ...node } as NonNullable<RedisClientOptions['socket']> }],
    // It is asked once, and no connection of its own to the nodes is ever used.
    minimizeConnections: true,
    useReplicas: pool.replicas === 'prefer',
    defaults: {
      socket: socketOptions(pool, node, signal),
      ...credentials(pool, pool),
      name: pool.clientName,
      maintNotifications: 'disabled',
    } as RedisClientOptions,
  });
  client.on('error', (error: Error) => {
    problem ??= error;
  });
  try {
    await client.connect();
    const shards = new Set(client.slots.filter((shard) => shard !== undefined));
    return {
      owners: Array.from(client.slots, (shard) => shard?.master.address),
      replicas: new Map(
        [...shards].map(({ master, replicas = [] }) => [master.address, replicas.map(({ address }) => address)]),
      ),
    };
  } catch (error) {
    // node-redis says only that no node is available; what it emitted says why.
    throw signal.aborted ? signal.reason : (problem ?? error);
  } finally {
    client.destroy();
  }
}

let factory: ReturnType<typeof RedisCluster.factory> | undefined;

// node-redis builds classes with a method per command for options that it has not just seen, as JSON, which takes 50 ms of CPU.
// Of ours it sees that they are always the same.
function newClusterClient(options: RedisClusterOptions): ReturnType<NonNullable<typeof factory>> {
  factory ??= RedisCluster.factory();
  return factory(
    Object.defineProperty(options, 'toJSON', { value: () => 'discovery' }) as Parameters<typeof factory>[0],
  );
}

function unanswered(problems: readonly (readonly [string, Error])[], signal: AbortSignal): Error {
  const said = problems.map(([address, { message }]) => `${address}: ${message}`).join('; ');
  if (problems.some(([, { message }]) => /cluster support disabled/i.test(message))) {
    return new TopologyError(`what was registered as a cluster is none (${said}); use registerRedis`);
  }
  const refused = problems.find(([, error]) => error instanceof TopologyError)?.[1];
  if (refused) return new TopologyError(`no node of the cluster lets us in (${said})`, { cause: refused.cause });
  return new ConnectionError(`no node of the cluster answers (${said})`, false, {
    cause: signal.reason ?? problems[0]?.[1],
  });
}

/** The endpoint of an address as servers and node-redis write it: one of IPv6 has no brackets there. */
export function endpointOf(address: string): Endpoint {
  const parsed = parseNode(address, REDIS_PORT);
  if ('endpoint' in parsed) return parsed.endpoint;
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
