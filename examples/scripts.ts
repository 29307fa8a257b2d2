// Lua scripts: defined once, typed, sent as EVALSHA, and shared by the calls of one turn of the event loop.
import { defineScript, Registry, ReplyError } from 'lagoon';
import { redisForExample } from './support/redis.js';

/** Takes up to a number of elements from a list, and says how many are left. */
const takeUpTo = defineScript({
  lua: `
    -- KEYS[1] a list; ARGV[1] how many to take; returns { taken, left }
    return { redis.call('LPOP', KEYS[1], ARGV[1]) or {}, redis.call('LLEN', KEYS[1]) }`,
  keys: 1,
  args: 1,
  transform: (reply) => {
    const [taken, left] = reply as [string[], number];
    return { taken, left };
  },
});

/** Adds to a counter that must not pass a limit; for any number of counters at once. */
const addUpTo = defineScript({
  lua: `
    -- per call: one key, a counter, and two arguments, the step and the limit; returns one count (or error) per call
    local replies = {}
    for i, key in ipairs(KEYS) do
      local count = tonumber(redis.call('GET', key) or '0') + tonumber(ARGV[2 * i - 1])
      if count > tonumber(ARGV[2 * i]) then
        replies[i] = redis.error_reply('LIMIT reached')
      else
        redis.call('SET', key, count)
        replies[i] = count
      end
    end
    return replies`,
  keys: 1,
  args: 2,
  batch: 64,
  transform: Number,
});

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'scripts-example:' }).validate();
const redis = engine.getRedis();

try {
  await redis.rPush('queue', ['a', 'b', 'c']);
  console.log(await redis.runScript(takeUpTo, ['queue'], [2]));
  console.log(await redis.runScript(takeUpTo, ['queue'], [2]));

  let commands = 0;
  const unregister = engine.registerQueryLogger(() => commands++, { operations: ['EVAL', 'EVALSHA'] });
  const counts = await Promise.allSettled([
    redis.runScript(addUpTo, ['red'], [5, 10]),
    redis.runScript(addUpTo, ['blue'], [20, 10]),
    redis.runScript(addUpTo, ['red'], [3, 10]),
  ]);
  unregister();
  for (const outcome of counts) {
    if (outcome.status === 'fulfilled') console.log('count:', outcome.value);
    else if (outcome.reason instanceof ReplyError) console.log('error:', outcome.reason.message);
  }
  // One EVALSHA for the three of them, and at the very first use an EVAL that makes the script known.
  console.log('sent:', commands);
} finally {
  await redis.del(['queue', 'red', 'blue']);
  await engine.close();
  await server.close();
}
