import { Registry } from '../../src/index.js';
import { startCluster } from '../../src/testing/index.js';
import { features } from './features.js';

features(async () => {
  // Nothing fails here; a busy machine must not look as if.
  const cluster = await startCluster({ nodeTimeout: '1m' });
  return {
    kind: 'cluster',
    servers: cluster.nodes,
    register: (options) => new Registry().registerRedisCluster(cluster.addresses.slice(0, 2), 'default', options),
    stop: () => cluster.stop(),
  };
});
