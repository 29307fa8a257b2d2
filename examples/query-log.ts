// What a service asks of Redis, without the values: for a log, or for a look at what is slow or fails.
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address).validate();
const redis = engine.getRedis();

const unregister = engine.registerQueryLogger(({ operation, args, error }) => {
  console.log(`${operation}: ${args.join(' ')}${error ? ' (failed)' : ''}`);
});
const slow: string[] = [];
engine.registerQueryLogger(({ operation }) => slow.push(operation), { minDurationUs: 60_000_000 });
const failures: string[] = [];
engine.registerQueryLogger(({ error }) => failures.push(error?.message ?? ''), { errorsOnly: true });

try {
  await redis.set('query-log:session', 'a token', { expiration: { type: 'EX', value: 30 } });
  await redis.get('query-log:session');
  await redis.hSet('query-log:user', { name: 'Ada', email: 'ada@example.com' });
  await redis.configGet('maxmemory');
  await redis.incr('query-log:session').catch(() => {});

  unregister();
  await redis.del(['query-log:session', 'query-log:user']);
  console.log('slower than a minute:', slow.length);
  console.log('failures:', failures);
} finally {
  await engine.close();
  await server.close();
}
