// Login attempts: never more than 5 in any minute for one address, over all processes of the service.
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'rate-limit:' }).validate();
const redis = engine.getRedis();

async function logIn(email: string): Promise<string> {
  if (!(await redis.rateLimit(`login_attempts:${email}`, '1m', 5))) return 'too many login attempts';
  return 'the password is checked';
}

try {
  for (let attempt = 1; attempt <= 6; attempt++) {
    console.log(`ada@example.com, attempt ${attempt}: ${await logIn('ada@example.com')}`);
  }
  console.log(`grace@example.com, attempt 1: ${await logIn('grace@example.com')}`);
} finally {
  await engine.close();
  await server.close();
}
