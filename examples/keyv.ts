// Keyv and cache-manager on a pool: the values are in Redis, beside whatever else the pool is used for.
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { Registry } from 'lagoon';
import { KeyvLagoon } from 'lagoon/keyv';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'keyv-example:' }).validate();
const redis = engine.getRedis();

const users = new Keyv({ store: new KeyvLagoon(redis), namespace: 'users', useKeyPrefix: false });
users.on('error', console.error); // without a listener a Redis that is away is a cache that is empty

const reports = new Keyv({ store: new KeyvLagoon(redis), namespace: 'reports', useKeyPrefix: false });
reports.on('error', console.error);
const cache = createCache({ stores: [reports], ttl: 60_000 });

try {
  await users.set('7', { name: 'Ada' }, 30_000);
  console.log('in Keyv:', await users.get('7'));
  console.log('in Redis:', (await redis.get('users::7'))?.replace(/\d{5,}/, '…'));

  const load = async () => {
    console.log('loading');
    return [1, 2, 3];
  };
  console.log('first:', await cache.wrap('monthly', load));
  console.log('then:', await cache.wrap('monthly', load));

  await cache.clear();
  console.log('cleared:', await cache.get('monthly'), 'and left alone:', await users.get('7'));
  await users.clear();
} finally {
  await engine.close(); // users.disconnect() and cache.disconnect() leave the pool open
  await server.close();
}
