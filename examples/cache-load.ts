// Loading: once for all who ask at the same time, in one process or in all of them.
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
// Each engine stands for a process.
const engines = [1, 2, 3].map(() =>
  new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache-load:' }).validate(),
);
const caches = engines.map((engine) => engine.getRedis().getCache<string | null>({ prefix: 'reports', ttl: '1h' }));

let loads = 0;
async function load(): Promise<string> {
  loads++;
  await sleep(300);
  return 'a long report';
}

try {
  await Promise.all(engines.map((engine) => engine.connect()));
  const askEverywhere = (key: string, lock: boolean) =>
    Promise.all(caches.flatMap((cache) => Array.from({ length: 100 }, () => cache.getOrSet(key, load, { lock }))));

  await askEverywhere('2025', false);
  console.log(`300 callers in 3 processes: ${loads} loads`);
  loads = 0;
  await askEverywhere('2026', true);
  console.log(`with a lock: ${loads} load`);

  // A load that is not needed any more: the caller stops waiting, and the loader is told when nobody waits.
  const [cache] = caches as [(typeof caches)[0]];
  const slow = ({ signal }: { signal: AbortSignal }) => sleep(60_000, 'too late', { signal });
  const error = await cache.getOrSet('slow', slow, { signal: AbortSignal.timeout(50) }).catch((e: Error) => e.name);
  console.log(error);

  // What is not there is asked for again soon, what is there not all at the same time.
  const options = { negativeTtl: '5s', jitter: 0.2 } as const;
  await cache.getOrSet('2027', () => null, options);
  await cache.getOrSet('2024', load, options);
  const redis = engines[0]?.getRedis();
  const [nothing = 0, report = 0] = await Promise.all(['2027', '2024'].map((key) => redis?.pTTL(`reports#${key}`)));
  console.log('null: 4 to 5 s:', nothing > 3_000 && nothing <= 5_000);
  console.log('a report: 48 to 60 minutes:', report > 47 * 60_000 && report <= 60 * 60_000);
} finally {
  await Promise.all(engines.map((engine) => engine.close()));
  await server.close();
}
