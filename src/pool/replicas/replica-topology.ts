import { formatEndpoint } from '../../config/address.js';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import { ConnectionError } from '../../errors.js';
import { connectChecked } from '../topology/connect.js';
import type { Topology } from '../topology/topology.js';

/** Connections to a server for as long as it is a replica that keeps up with its master. */
export function replicaTopology(pool: ResolvedPool, endpoint: Endpoint): Topology {
  const address = formatEndpoint(endpoint);
  return {
    address,
    // Nothing is written over these connections.
    demotes: false,
    close() {},
    open: (signal) =>
      connectChecked(pool, endpoint, signal, async ({ client }) => {
        // Without it a node of a cluster sends whoever reads on to its master.
        if (pool.topology.kind === 'cluster') await client.sendCommand(['READONLY']);
        const problem = await problemOf(client.sendCommand(['ROLE']));
        if (problem !== undefined) throw new ConnectionError(`${address} ${problem}`, false);
      }),
  };
}

/** Why a server is not to be read from, by its answer to ROLE. A user who may not ask it takes the server as it is. */
export async function problemOf(asked: Promise<unknown>): Promise<string | undefined> {
  try {
    // Of a replica: 'slave', host, port, state of the link, offset.
    const [role, , , link] = (await asked) as unknown as readonly unknown[];
    if (role !== 'slave') return `is a ${String(role)}, and no replica`;
    return link === 'connected' ? undefined : `does not hear of its master (${String(link)})`;
  } catch (error) {
    if (/^NOPERM\b/.test((error as Error).message)) return undefined;
    throw error;
  }
}
