// The local tier: what was read stays in this process until Redis says that it has changed.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CacheEvent, Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
// Each engine stands for a process.
const here = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache-local:' }).validate();
const elsewhere = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache-local:' }).validate();

interface Settings {
  theme: string;
}

const events = new EventTarget();
const settings = here.getRedis().getCache<Settings>({
  prefix: 'settings',
  ttl: '1h',
  local: { maxItems: 1_000, maxBytes: 10 * 1024 * 1024 },
  onEvent: ({ type }: CacheEvent) => events.dispatchEvent(new Event(type)),
});
const sameSettings = elsewhere.getRedis().getCache<Settings>({ prefix: 'settings', ttl: '1h' });

try {
  // Before its connection is there, all is read from Redis.
  await once(events, 'local-up');

  await settings.put('ada', { theme: 'dark' });
  // Until it comes from here: what Redis tells of the write itself may be on its way yet.
  while (settings.stats().localHits < 3) await settings.get('ada');
  console.log('in this process:', settings.stats().items);

  // What one caller gets nobody else can change.
  const value = await settings.get('ada');
  console.log(value, 'frozen:', Object.isFrozen(value));

  // What another process writes is seen as soon as Redis has told of it.
  await sameSettings.put('ada', { theme: 'light' });
  while ((await settings.get('ada'))?.theme === 'dark') await sleep(1);
  console.log(await settings.get('ada'));

  // What this process writes is seen at once.
  await settings.put('ada', { theme: 'blue' });
  console.log(await settings.get('ada'));
} finally {
  await Promise.all([here.close(), elsewhere.close()]);
  await server.close();
}
