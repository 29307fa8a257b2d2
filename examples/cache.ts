// A cache: values in Redis under a prefix, with a ttl, and loaded when they are not there.
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache:' }).validate();

interface User {
  name: string;
}

// Made once and kept. Its keys in Redis are `users#…`.
const users = engine.getRedis().getCache<User | null>({ prefix: 'users', ttl: '10m' });

/** Stands for a database. */
async function findUser(id: string): Promise<User | null> {
  console.log(`${id} is looked up`);
  return id === '1' ? { name: 'Ada' } : null;
}

try {
  // Loaded once, and read from then on.
  console.log(await users.getOrSet('1', () => findUser('1')));
  console.log(await users.getOrSet('1', () => findUser('1')));

  // null is a value as well: that there is nobody is known now.
  console.log(await users.getOrSet('2', () => findUser('2')));
  console.log(await users.get('2'), await users.get('3'));

  await users.put('3', { name: 'Grace' }, '1h');
  console.log(await users.getMany(['1', '2', '3', '4']));

  // A key, or several; or all that a pattern matches.
  console.log('removed:', await users.remove('3'), await users.removeByPattern('*'));
  console.log('left:', await users.keys());
} finally {
  await engine.close();
  await server.close();
}
