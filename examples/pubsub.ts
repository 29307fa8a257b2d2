// Publish and subscribe: all subscriptions of a pool share one connection, and come back when it is lost.
import { once } from 'node:events';
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address).validate();
const redis = engine.getRedis();

const seen = new EventTarget();
const show = (line: string) => {
  console.log(line);
  seen.dispatchEvent(new Event('message'));
};

try {
  // The promise resolves when the server has confirmed it: what is published from now on arrives.
  const orders = await redis.subscribe('example:orders', (message, channel) => show(`${channel}: ${message}`), {
    onResubscribe: () => console.log('the connection was lost and is back: messages may have been missed'),
  });
  let message = once(seen, 'message');
  const receivers = await redis.publish('example:orders', 'order 17');
  await message;
  console.log('receivers:', receivers);

  // Patterns, and messages as they came over the wire.
  const everything = await redis.pSubscribe('example:*', (bytes) => show(`${bytes.length} bytes`), { buffers: true });
  await orders.unsubscribe();
  message = once(seen, 'message');
  await redis.publish('example:payments', Buffer.from([0, 255, 10]));
  await message;

  // `await using` calls it as well, where the language has it.
  await everything[Symbol.asyncDispose]();
  console.log('receivers:', await redis.publish('example:orders', 'order 18'));
} finally {
  await engine.close();
  await server.close();
}
