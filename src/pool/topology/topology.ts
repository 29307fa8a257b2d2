import type { ResolvedPool } from '../../config/types.js';
import type { Link } from '../link.js';
import { Sentinels } from './sentinel.js';
import { standalone } from './standalone.js';

/** Makes the connections of a pool to the one server that takes its writes; one implementation per kind of deployment. */
export interface Topology {
  /**
   * Opens one connection, ready for commands: authenticated, named, on its database. Makes one attempt.
   *
   * @param signal aborts the attempt and leaves nothing open.
   * @throws the reason, as the system or the server gave it.
   */
  open(signal: AbortSignal): Promise<Link>;

  /** Whether a server can become a replica, so that its READONLY means that the connection leads to the wrong one. */
  readonly demotes: boolean;

  /** Where the connections lead at the moment, if that is known. */
  readonly address: string | undefined;

  /** Ends what runs beside the connections. */
  close(): void;
}

/** The topology that a pool's configuration asks for. */
export function createTopology(pool: ResolvedPool): Topology {
  const { topology } = pool;
  switch (topology.kind) {
    case 'standalone':
      return standalone(pool, topology.endpoint);
    case 'sentinel':
      return new Sentinels(pool, topology);
    case 'cluster':
      throw new TypeError('a cluster has a topology for each of its nodes, and none for all of them');
  }
}
