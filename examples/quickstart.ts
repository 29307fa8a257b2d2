import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();

// 1. Register every pool once, by name, and validate: a mistake is an error here and not at the first request.
const engine = new Registry()
  .registerRedis(server.address, 0, 'default', { keyPrefix: 'quickstart:' })
  .registerRedis(server.address, 1, 'orders', { keyPrefix: 'quickstart:', pool: { max: 5 } })
  .validate();

// 2. Optional: fail fast if a pool cannot be reached.
await engine.connect({ timeout: '5s' });

// 3. Every command of Redis, typed, many in flight over one connection.
const redis = engine.getRedis();
await redis.set('greeting', 'hello', { EX: 30 });
const [greeting, visits] = await Promise.all([redis.get('greeting'), redis.incrBy('visits', 3)]);
console.log(`greeting: ${greeting}, visits: ${visits}`);

// 4. Several commands as one: MULTI, and a transaction that is tried again if a watched key changes under it.
const orders = engine.getRedis('orders');
await orders.set('stock', '10');
const [left] = await orders.transaction(
  async (own) => {
    const stock = Number(await own.get('stock'));
    return own
      .multi()
      .set('stock', String(stock - 1))
      .get('stock')
      .exec();
  },
  { watch: 'stock' },
);
console.log(`stock written: ${left}, now ${await orders.get('stock')}`);

// 5. A blocking command has a connection to itself and delays nobody.
const job = orders.blPop('jobs', 5);
await orders.rPush('jobs', 'send-invoice');
console.log(`job: ${(await job)?.element}`);

// 6. A subscription comes back by itself after a lost connection.
const news = new Promise<string>(
  (resolve) => void redis.subscribe('news', resolve).then(() => redis.publish('news', 'it works')),
);
console.log(`news: ${await news}`);

// 7. What would harm other callers is refused, by the types and at run time.
const refused = await redis.sendCommand(['SELECT', '1']).catch((error: Error) => error.message);
console.log(refused);

// 8. Let what is in flight finish, then leave nothing behind.
await redis.del(['greeting', 'visits']);
await orders.del('stock');
await engine.close();
await server.close();
