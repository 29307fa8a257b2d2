// Tags: many values, void at once.
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
// Each engine stands for a process.
const here = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache-tags:' }).validate();
const elsewhere = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache-tags:' }).validate();
const pages = here.getRedis().getCache<string>({ prefix: 'pages', ttl: '1h' });
const samePages = elsewhere.getRedis().getCache<string>({ prefix: 'pages', ttl: '1h' });

try {
  await pages.put('/ada', 'about Ada', { tags: ['user:1'] });
  await pages.put('/ada/orders', 'what Ada ordered', { tags: ['user:1', 'orders'] });
  await pages.put('/grace/orders', 'what Grace ordered', { tags: ['user:2', 'orders'] });

  await samePages.removeByTag('user:1');
  console.log(await pages.getMany(['/ada', '/ada/orders', '/grace/orders']));

  // Also what was being loaded just then, from what is out of date now.
  const loaded = await pages.getOrSet(
    '/ada',
    async () => {
      await samePages.removeByTag('user:1');
      return 'about Ada, as she was';
    },
    { tags: ['user:1'] },
  );
  console.log(`the one who asked before: ${loaded}; afterwards:`, await pages.get('/ada'));
} finally {
  await Promise.all([here.close(), elsewhere.close()]);
  await server.close();
}
