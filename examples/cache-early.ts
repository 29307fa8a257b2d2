// Early refresh: a value that many ask for is loaded anew before it ends, so that nobody has to wait for it.
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache-early:' }).validate();
const cache = engine.getRedis().getCache<number>({ prefix: 'front-page', ttl: '2s' });

let version = 0;
async function render(): Promise<number> {
  await sleep(100);
  return ++version;
}

try {
  // Four times as early as the default of 1, as 2 s are short beside 100 ms.
  while ((await cache.getOrSet('/', render, { earlyRefresh: 4 })) === 1) await sleep(5);
  const { loads, misses } = cache.stats();
  console.log(`${loads} loads, ${misses} of them while somebody waited`);
} finally {
  await engine.close();
  await server.close();
}
