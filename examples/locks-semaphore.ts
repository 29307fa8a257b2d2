// At most so many at once, across all processes: a counting semaphore. And many readers or one writer.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Lock, Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'locks-semaphore:' }).validate();
const locker = engine.getRedis().getLocker();

let running = 0;

async function work(name: string, permit: Lock | null, ms: number) {
  if (!permit) throw new Error('no permit in time');
  running++;
  console.log(`${name} begins, ${running} at work`);
  await sleep(ms);
  running--;
  console.log(`${name} ends`);
  await permit.release();
}

try {
  const downloads = locker.semaphore('downloads', 2);
  await Promise.all(
    [100, 500, 1000].map(async (ms, i) => work(`download ${i + 1}`, await downloads.obtain('10s', '5s'), ms)),
  );

  const catalogue = locker.readWriteLock('catalogue');
  const first = work('reader 1', await catalogue.obtainRead('10s', '5s'), 100);
  const second = work('reader 2', await catalogue.obtainRead('10s', '5s'), 500);
  // The third reader asks after the writer, and comes after it.
  const writer = catalogue.obtainWrite('10s', '5s').then((lock) => work('writer', lock, 100));
  const third = catalogue.obtainRead('10s', '5s').then((lock) => work('reader 3', lock, 100));
  await Promise.all([first, second, writer, third]);
} finally {
  await engine.close();
  await server.close();
}
