// Codecs: how values are stored, and what is done with those that no longer fit.
import { bufferCodec, compressed, Registry, type StandardSchema, stringCodec, validated } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache-codecs:' }).validate();
const redis = engine.getRedis();

// Any validator that implements Standard Schema (zod, valibot, arktype …) does; this one is written by hand.
interface User {
  name: string;
}
const userSchema: StandardSchema<User> = {
  '~standard': {
    version: 1,
    vendor: 'example',
    validate: (value) =>
      typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string'
        ? { value: { name: value.name } }
        : { issues: [{ message: 'a user has a name' }] },
  },
};

try {
  const pages = redis.getCache({ prefix: 'pages', codec: compressed(stringCodec) });
  await pages.put('/', '<p>Hello</p>'.repeat(1_000));
  console.log(
    'text:',
    (await pages.get('/'))?.length,
    'in Redis less than 1000:',
    (await redis.strLen('pages#/')) < 1_000,
  );

  const images = redis.getCache({ prefix: 'images', codec: bufferCodec });
  await images.put('logo', Buffer.from([0x89, 0x50, 0x4e, 0x47]));
  console.log('bytes:', await images.get('logo'));

  // An older version of the program, or another one, wrote a user without a name.
  await redis.set('users#1', '{"nick":"ada"}');
  const users = redis.getCache({
    prefix: 'users',
    codec: validated(userSchema),
    onEvent: (event) => {
      if (event.type === 'undecodable') console.log(`${event.key}: ${event.error.message}`);
    },
  });
  const user = await users.getOrSet('1', () => ({ name: 'Ada' }));
  console.log(user.name, await redis.get('users#1'));
} finally {
  await engine.close();
  await server.close();
}
