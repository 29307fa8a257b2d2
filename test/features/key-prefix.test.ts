import { Registry } from '../../src/index.js';
import { startCluster } from '../../src/testing/index.js';
import { features } from './features.js';

// In a cluster, where the prefix decides with the key which server has it.
features(async () => {
  const cluster = await startCluster({ masters: 3, replicasPerMaster: 0, nodeTimeout: '1m' });
  return {
    kind: 'cluster',
    servers: cluster.nodes,
    register: (options) => new Registry().registerRedisCluster(cluster.addresses, 'default', options),
    stop: () => cluster.stop(),
  };
}, 'app[*]:');
