import { Registry } from '../../src/index.js';
import { startRedis } from '../../src/testing/index.js';
import { features } from './features.js';

features(async () => {
  const server = await startRedis();
  return {
    kind: 'standalone',
    servers: [server],
    register: (options) => new Registry().registerRedis(server.address, 0, 'default', options),
    stop: () => server.stop(),
  };
});
