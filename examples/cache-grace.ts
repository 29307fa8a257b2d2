// Grace: the value of yesterday while today's is being loaded, and for as long as it cannot be.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache-grace:' }).validate();
const events = new EventTarget();
const prices = engine.getRedis().getCache<string>({
  prefix: 'prices',
  onEvent: ({ type }) => events.dispatchEvent(new Event(type)),
});

let answer = () => 'the old price';
const price = () => prices.getOrSet('book', () => answer(), { ttl: '100ms', grace: '1h', backoff: '500ms' });

try {
  console.log(await price());
  await sleep(150);

  // Its ttl is over. It serves at once, and the loader is called in the background, which does not go well.
  answer = () => {
    throw new Error('the shop is closed');
  };
  const failed = once(events, 'refresh-failed');
  console.log(await price());
  await failed;
  console.log('for those who do not ask for grace:', await prices.get('book'));

  // Until the back-off is over the loader is left in peace; then it is called again.
  answer = () => 'the new price';
  console.log(await price());
  while ((await price()) === 'the old price') await sleep(20);
  console.log(await price());
} finally {
  await engine.close();
  await server.close();
}
