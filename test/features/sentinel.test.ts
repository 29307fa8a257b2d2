import { Registry } from '../../src/index.js';
import { startSentinel } from '../../src/testing/index.js';
import { features } from './features.js';

features(async () => {
  // Nothing fails here; a busy machine must not look as if.
  const group = await startSentinel({ downAfter: '1m' });
  return {
    kind: 'sentinel',
    servers: [...group.servers, ...group.sentinelServers],
    register: (options) => new Registry().registerRedisSentinel(group.name, group.sentinels, 0, 'default', options),
    stop: () => group.stop(),
  };
});
