// Commands on a pool: what is forwarded, what is refused, views, blocking commands, scans, and a connection of one's own.
import { CommandRefusedError, CommandTimeoutError, Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry()
  .registerRedis(server.address, 0, 'default', { keyPrefix: 'commands-example:' })
  .validate();
const redis = engine.getRedis();

const WORK_FOR_300_MS = `
  local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
  local stop = now() + 300
  repeat until now() > stop`;

try {
  // Every command has a method, with node-redis's types. The prefix of the pool stands before each key.
  await redis.set('name', 'Ada', { expiration: { type: 'EX', value: 60 } });
  await redis.zAdd('scores', [
    { score: 7, value: 'Ada' },
    { score: 3, value: 'Grace' },
  ]);
  console.log(await redis.get('name'), await redis.zRangeWithScores('scores', 0, -1));

  // sendCommand sends what it is given: no prefix, no transformation of the reply.
  console.log(await redis.sendCommand(['GET', 'commands-example:name']));

  // What would change a shared connection is refused, however it is spelt, and nothing is sent.
  const refused = await redis.sendCommand(['select', '3']).catch((error: unknown) => error);
  if (refused instanceof CommandRefusedError) console.log(refused.message);

  // A view is the same pool with a timeout, a signal or a type mapping of its own.
  const patient = redis.withTimeout('10s').withAbortSignal(AbortSignal.timeout(60_000));
  console.log(await patient.get('name'));
  const slow = await redis
    .withTimeout('100ms')
    .eval(WORK_FOR_300_MS, { keys: [], arguments: [] })
    .catch((error: unknown) => error);
  if (slow instanceof CommandTimeoutError) console.log('no reply within', slow.timeoutMs, 'ms');

  // A blocking command has a connection to itself: the others go on meanwhile.
  const job = redis.blPop('jobs', 5);
  await redis.rPush('jobs', 'send-invoice');
  console.log(await job);

  // An abort ends it where it waits, and swallows no element.
  const leaving = new AbortController();
  const aborted = redis
    .withAbortSignal(leaving.signal)
    .blPop('jobs', 0)
    .catch((error: Error) => error.name);
  leaving.abort();
  console.log(await aborted);

  // Page by page through what is too much for one reply.
  const members: string[] = [];
  for await (const page of redis.zScanIterator('scores')) members.push(...page.map(({ value }) => value));
  console.log(members);

  // A connection of one's own, for what needs one; it goes back clean when the callback ends.
  const replicas = await redis.isolated(async (own) => {
    await own.set('name', 'Grace');
    return own.wait(0, 100); // how many replicas have the writes of this connection
  });
  console.log('replicas:', replicas);
} finally {
  await redis.del(['name', 'scores', 'jobs']);
  await engine.close();
  await server.close();
}
