// Commands that Lagoon does not know, as those of a module: declared, they share a connection as all others do.
import { Registry, ReplyError } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry()
  .registerRedis(server.address, 0, 'default', {
    commands: {
      'MYMOD.GET': 'shared', // its key, if it has one, stands behind the name
      'MYMOD.MGET': { keys: { first: 1, last: -1 } }, // all arguments are keys
      'MYMOD.MERGE': { keys: { count: 2 } }, // argument 2 is the number of keys that follow
      'MYMOD.STATS': { keys: 'none' },
    },
  })
  .validate();
const redis = engine.getRedis();

try {
  console.log(redis.getPoolConfig().commands);

  // This server has no such module, and says so; the connection stays.
  const refused = await redis.sendCommand(['MYMOD.GET', 'key']).catch((error: unknown) => error);
  if (refused instanceof ReplyError) console.log(refused.replyCode, redis.stats().connections);

  // What is not declared works as well, on a connection that is closed afterwards.
  const unknown = await redis.sendCommand(['OTHER.GET', 'key']).catch((error: unknown) => error);
  if (unknown instanceof ReplyError) console.log(unknown.replyCode, redis.stats().connections);
} finally {
  await engine.close();
  await server.close();
}
