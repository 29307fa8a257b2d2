// What counts is decided later: wrong passwords cost more, a right one costs nothing, and an attacker is shut out.
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'penalty:' }).validate();
const attempts = engine.getRedis().getRateLimiter({ limit: 10, period: '1h' });
const show = async (what: string) => {
  const { allowed, remaining, retryAfter } = await attempts.peek('203.0.113.7');
  const when = allowed ? '' : `, again in ${Math.ceil(retryAfter / 60_000)} minutes`;
  console.log(`${what}: ${remaining} left${when}`);
};

try {
  await attempts.consume('203.0.113.7');
  await show('an attempt');

  await attempts.penalty('203.0.113.7', 4);
  await show('a wrong password');

  await attempts.reward('203.0.113.7', 5);
  await show('a right password');

  await attempts.block('203.0.113.7', '1d');
  await show('a stolen password');

  await attempts.reset('203.0.113.7');
  await show('a word with support');
} finally {
  await engine.close();
  await server.close();
}
