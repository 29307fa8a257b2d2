import type { PoolCore } from './core.js';

/** What a pool is doing at one moment; of several servers, all of them together. */
export interface PoolStats {
  /** Connections that are open, whatever for. */
  readonly connections: number;
  readonly lanes: {
    /** Lanes that the pool has. */
    readonly total: number;
    /** Lanes that have a connection. */
    readonly connected: number;
  };
  readonly leases: {
    /** Connections that one caller has to itself. */
    readonly inUse: number;
    /** Connections that are open and free. */
    readonly idle: number;
    /** Callers that wait for a connection. */
    readonly waiting: number;
  };
  /** Commands and callbacks under way, waiting ones included. */
  readonly pending: number;
  /** Subscriptions there are. */
  readonly subscriptions: number;
  /** How often a lane's connection was lost. */
  readonly reconnects: number;
}

/** How the server at one address is doing. */
export interface NodeHealth {
  /** What it is to the pool. */
  readonly role: 'master' | 'replica';
  /** `host:port`, or the path of a socket. */
  readonly address: string;
  /** `up`: it answered a PING; `down`: it did not. */
  readonly status: 'up' | 'down';
  /** Round trip of the PING in ms, if it answered. */
  readonly latencyMs?: number;
  /** Why it is down. */
  readonly error?: Error;
  readonly lanes: PoolStats['lanes'];
  readonly leases: PoolStats['leases'];
}

/** What leads to one server, in numbers. */
export type ServerStats = Pick<PoolStats, 'connections' | 'lanes' | 'leases' | 'reconnects'>;

export function serverStats(core: PoolCore): ServerStats {
  const { open, borrowed, idle, waiting } = core.connections.counts;
  const { connected, losses } = core.lanes;
  return {
    connections: open,
    lanes: { total: core.config.pool.lanes, connected },
    leases: { inUse: Math.max(0, borrowed - connected), idle, waiting },
    reconnects: losses,
  };
}

/** The numbers of several servers together. */
export function addStats(each: readonly ServerStats[]): ServerStats {
  const sum = (pick: (stats: ServerStats) => number) => each.reduce((total, stats) => total + pick(stats), 0);
  return {
    connections: sum(({ connections }) => connections),
    lanes: { total: sum(({ lanes }) => lanes.total), connected: sum(({ lanes }) => lanes.connected) },
    leases: {
      inUse: sum(({ leases }) => leases.inUse),
      idle: sum(({ leases }) => leases.idle),
      waiting: sum(({ leases }) => leases.waiting),
    },
    reconnects: sum(({ reconnects }) => reconnects),
  };
}

/** Asks a server for a PING, which it has `timeoutMs` to answer. Never rejects. */
export async function askHealth(
  core: PoolCore,
  address: string,
  timeoutMs?: number,
  role: NodeHealth['role'] = 'master',
): Promise<NodeHealth> {
  const startedAt = performance.now();
  const outcome = await core.submit(['PING'], undefined, timeoutMs === undefined ? {} : { timeoutMs }).then(
    () => ({ status: 'up' as const, latencyMs: performance.now() - startedAt }),
    (error: Error) => ({ status: 'down' as const, error }),
  );
  const { lanes, leases } = serverStats(core);
  return { address, role, ...outcome, lanes, leases };
}
