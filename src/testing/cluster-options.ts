import { type Duration, positiveMs } from '../duration.js';
import type { OptionTable } from '../options.js';
import { BUS_OFFSET, freeNodePort, giveUpNodePort } from './free-port.js';
import { checkCount, checkGroupOptions, checkPorts, type GroupOptions } from './options.js';
import type { Setting } from './server-config.js';
import type { ServerRole } from './server-role.js';

/** How `startCluster` sets up its nodes; everything has a default. `args` are those of every node. */
export interface StartClusterOptions extends GroupOptions {
  /** Number of masters, among which the slots are divided; default 3, which is the fewest that can fail over by themselves. */
  masters?: number;
  /** Replicas of each master; default 1. */
  replicasPerMaster?: number;
  /** How long a node must be silent to count as failed; default 1 s. */
  nodeTimeout?: Duration;
  /**
   * First TCP port, the first master's; the other nodes take the ports after it, replicas last. A node's cluster bus has
   * its port plus 10000. Default: free ones.
   */
  port?: number;
}

const START_CLUSTER: Omit<OptionTable<StartClusterOptions>, keyof GroupOptions> = {
  masters: ['nodes'],
  replicasPerMaster: ['replicas'],
  nodeTimeout: true,
  port: true,
};

/** {@link StartClusterOptions}, checked and without gaps. */
export interface ClusterPlan {
  readonly masters: number;
  readonly nodes: number;
  readonly role: ServerRole;
}

/** @throws {InvalidArgumentError} for what no cluster could be started with. */
export function clusterPlan(options: StartClusterOptions): ClusterPlan {
  checkGroupOptions('startCluster', options, START_CLUSTER);
  const { masters = 3, replicasPerMaster = 1, nodeTimeout = 1_000, port } = options;
  checkCount('masters', masters, 1);
  checkCount('replicasPerMaster', replicasPerMaster, 0);
  const nodes = masters * (1 + replicasPerMaster);
  checkPorts('port', port, nodes, 65_535 - BUS_OFFSET);
  return { masters, nodes, role: nodeRole(options, positiveMs(nodeTimeout, 'nodeTimeout')) };
}

function nodeRole({ password, tls }: StartClusterOptions, nodeTimeoutMs: number): ServerRole {
  const settings: Setting[] = [
    ['cluster-enabled', 'yes'],
    ['cluster-node-timeout', nodeTimeoutMs],
    // A node would else not know its own address before another one has called.
    ['cluster-announce-ip', '127.0.0.1'],
    // Who is whose replica changes by a failover, or if asked for, and not because a master was left without slots.
    ['cluster-allow-replica-migration', 'no'],
    ['repl-diskless-sync-delay', 0],
  ];
  if (password !== undefined) settings.push(['masterauth', password]);
  if (tls) settings.push(['tls-replication', 'yes'], ['tls-cluster', 'yes']);
  // What a node learns goes to its nodes.conf.
  return {
    settings,
    flags: [],
    rewritesConfig: false,
    greeting: [],
    freePort: freeNodePort,
    giveUpPort: giveUpNodePort,
  };
}
