// How long a lock still lives, and how to set that anew.
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'locks-refresh:' }).validate();

try {
  // Released at the end of this block, whatever happens in it.
  await using lock = await engine.getRedis().getLocker().obtain('test', '5s');
  if (!lock) throw new Error('held by another');
  const seconds = async () => Math.round((await lock.ttl()) / 1000);

  console.log(`GOT LOCK FOR ${await seconds()} SECONDS`);
  await sleep(1000);
  console.log(`WILL EXPIRE IN ${await seconds()} SECONDS`);
  await sleep(1000);
  console.log(`WILL EXPIRE IN ${await seconds()} SECONDS`);
  // It sets the time that is left; it does not add to it.
  if (!(await lock.refresh('2s'))) throw new Error('lost');
  console.log(`WILL EXPIRE IN ${await seconds()} SECONDS`);
} finally {
  await engine.close();
  await server.close();
}
