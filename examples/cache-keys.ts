// What stands in Redis, and how keys are found by a pattern.
import { escapeGlob, Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'cache-keys:' }).validate();
const redis = engine.getRedis();
const files = redis.getCache<string>({ prefix: 'files', ttl: '1h' });

try {
  await files.put('notes.txt', 'plain');
  await files.put('notes[1].txt', 'with grace', { grace: '5m' });
  await files.put('notes1.txt', 'with a tag', { tags: ['text'] });

  console.log(JSON.stringify(await redis.get('files#notes.txt')));
  console.log(JSON.stringify(await redis.get('files#notes[1].txt')));
  const version = await redis.get('lagoon:tags:files#text');
  console.log((await redis.get('files#notes1.txt')) === `\x01{"t":{"text":"${version}"}}\n"with a tag"`);

  // A key is what it is, whatever it holds. A pattern is one for keys() and removeByPattern() only.
  const key = 'notes[1].txt';
  console.log(await files.get(key));
  console.log('as a pattern:', await files.keys(key));
  console.log('as it is:', await files.keys(escapeGlob(key)));
  console.log('removed:', await files.remove(key), 'left:', (await files.keys()).sort());
} finally {
  await engine.close();
  await server.close();
}
