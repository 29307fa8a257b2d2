// A real Redis for a test: started here, broken on purpose, and gone at the end.
import { CommandTimeoutError, Registry } from 'lagoon';
import { startRedis } from 'lagoon/testing';

const server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
const engine = new Registry().registerRedis(server.address).validate();
const redis = engine.getRedis();

try {
  await redis.set('greeting', 'hello');

  // A crash: kill -9, then a restart on the same port. The append-only file asked for above kept the data.
  await server.kill();
  await server.restart();
  console.log('after a crash:', await redis.get('greeting'));

  // A hang: connections stay open and nothing answers.
  await server.freeze();
  const answer = await redis
    .withTimeout('200ms')
    .get('greeting')
    .catch((error: unknown) => (error instanceof CommandTimeoutError ? 'no answer' : Promise.reject(error)));
  console.log('while frozen:', answer);
  await server.thaw();
  console.log('after the thaw:', await redis.get('greeting'));

  // A look from outside, whatever the code under test has done to its connections.
  console.log('keys:', await server.cli('DBSIZE'));
} finally {
  await engine.close();
  await server.stop();
}
