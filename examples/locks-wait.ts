// Two contenders who wait up to 5 seconds: the second has the lock as soon as the first releases it.
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'locks-wait:' }).validate();
const locker = engine.getRedis().getLocker();

async function contend(name: string) {
  console.log(`GETTING LOCK ${name}`);
  const lock = await locker.obtain('test_lock', '1m', '5s');
  if (!lock) return;
  try {
    console.log(`GOT LOCK ${name}`);
    await sleep(200);
  } finally {
    console.log(`RELEASING LOCK ${name}`);
    await lock.release();
  }
}

try {
  await Promise.all([contend('A'), contend('B')]);
} finally {
  await engine.close();
  await server.close();
}
