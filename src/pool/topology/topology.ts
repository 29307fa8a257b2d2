import type { ResolvedPool } from '../../config/types.js';
import { LagoonError } from '../../errors.js';
import type { Link } from '../link.js';
import { standalone } from './standalone.js';

/** Makes the connections of a pool; one implementation per kind of deployment. */
export interface Topology {
  /**
   * Opens one connection, ready for commands: authenticated, named, on its database. Makes one attempt.
   *
   * @param signal aborts the attempt and leaves nothing open.
   * @throws the reason, as the system or the server gave it.
   */
  open(signal: AbortSignal): Promise<Link>;
}

/** The topology that a pool's configuration asks for. */
export function createTopology(pool: ResolvedPool): Topology {
  const { topology } = pool;
  switch (topology.kind) {
    case 'standalone':
      return standalone(pool, topology.endpoint);
    case 'sentinel':
    case 'cluster':
      throw new LagoonError(
        'LAGOON_TOPOLOGY',
        `Pool ${JSON.stringify(pool.code)}: this version of Lagoon connects to standalone servers only, not to a ${topology.kind}`,
      );
  }
}
