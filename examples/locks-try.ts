// Two contenders, none of whom waits: the second learns at once that the lock is taken.
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'locks-try:' }).validate();
const locker = engine.getRedis().getLocker();

async function contend(name: string) {
  console.log(`GETTING LOCK ${name}`);
  const lock = await locker.obtain('test_lock', '1m');
  if (!lock) {
    console.log(`UNABLE TO GET LOCK ${name}`);
    return;
  }
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
