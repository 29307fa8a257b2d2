// What a flood costs Redis: the calls of a turn share one script call, and denials are repeated without asking.
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'flood:' }).validate();
const limiter = engine.getRedis().getRateLimiter({ limit: 100, period: '1h' });
let commands = 0;
engine.registerQueryLogger(() => commands++);

async function calls(count: number) {
  commands = 0;
  const results = await Promise.all(Array.from({ length: count }, () => limiter.consume('198.51.100.9')));
  const allowed = results.filter((result) => result.allowed).length;
  console.log(`${count} calls: ${allowed} allowed; commands sent: ${commands}`);
}

try {
  await limiter.peek('198.51.100.9'); // Redis knows the script from now on.
  await calls(60);
  await calls(60);
  await calls(100_000);
} finally {
  await engine.close();
  await server.close();
}
