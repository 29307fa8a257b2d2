import { formatEndpoint } from '../../config/address.js';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import { connect } from './connect.js';
import type { Topology } from './topology.js';

/** One Redis server, over TCP, TLS or a unix socket. */
export function standalone(pool: ResolvedPool, endpoint: Endpoint): Topology {
  return {
    open: (signal) => connect(pool, endpoint, signal),
    close() {},
    demotes: false,
    address: formatEndpoint(endpoint),
  };
}
