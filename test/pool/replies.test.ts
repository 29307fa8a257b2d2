import { createClient, RESP_TYPES, type TypeMapping } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RedisPool, Registry, ReplyError } from '../../src/index.js';
import { useRedis } from '../support/redis.js';

type Redis = Pick<RedisPool, keyof RedisPool & keyof ReturnType<typeof createClient>>;

const MEMBERS = [
  { score: 1.5, value: 'a' },
  { score: -2, value: 'b' },
  { score: 1 / 3, value: 'c' },
];
const PLACES = [
  { longitude: 13.361389, latitude: 38.115556, member: 'Palermo' },
  { longitude: 15.087269, latitude: 37.502669, member: 'Catania' },
];
const NEAR = { longitude: 15, latitude: 37 };
const WITHIN = { radius: 200, unit: 'km' } as const;

/** Commands in an order in which each finds what it needs. */
const CALLS: readonly [title: string, call: (redis: Redis) => Promise<unknown>][] = [
  ['SET', (r) => r.set('string', 'välue')],
  ['SET with GET', (r) => r.set('string', 'value', { GET: true })],
  ['SET with NX on a key that exists', (r) => r.set('string', 'x', { condition: 'NX' })],
  ['GET', (r) => r.get('string')],
  ['GET of nothing', (r) => r.get('nothing')],
  ['GETRANGE', (r) => r.getRange('string', 1, 2)],
  ['MSET', (r) => r.mSet({ one: '1', two: '2' })],
  ['MGET', (r) => r.mGet(['one', 'nothing', 'two'])],
  ['INCRBYFLOAT', (r) => r.incrByFloat('one', 0.5)],
  ['INCRBY', (r) => r.incrBy('two', 9_007_199_254_740_000)],
  ['EXPIRE', (r) => r.expire('two', 100)],
  ['TTL', (r) => r.ttl('two')],
  ['TYPE', (r) => r.type('string')],
  ['EXISTS', (r) => r.exists(['string', 'nothing', 'string'])],
  ['OBJECT ENCODING', (r) => r.objectEncoding('string')],
  ['LCS', (r) => r.lcsIdxWithMatchLen('string', 'string')],
  ['SETBIT', (r) => r.setBit('bits', 7, 1)],
  ['BITFIELD', (r) => r.bitField('bits', [{ operation: 'GET', encoding: 'u8', offset: 0 }])],
  ['BITCOUNT', (r) => r.bitCount('bits')],
  ['HSET', (r) => r.hSet('hash', { field: 'value', other: 'välue' })],
  ['HGETALL', (r) => r.hGetAll('hash')],
  ['HGETALL of nothing', (r) => r.hGetAll('nothing')],
  ['HMGET', (r) => r.hmGet('hash', ['field', 'nothing'])],
  ['HSCAN', (r) => r.hScan('hash', '0')],
  ['HRANDFIELD with values', (r) => r.hRandFieldCountWithValues('hash', 2)],
  ['HINCRBYFLOAT', (r) => r.hIncrByFloat('hash', 'number', 1.25)],
  ['RPUSH', (r) => r.rPush('list', ['a', 'b', 'c', 'd'])],
  ['LRANGE', (r) => r.lRange('list', 0, -1)],
  ['LPOS', (r) => r.lPos('list', 'nothing')],
  ['LPOP with a count', (r) => r.lPopCount('list', 2)],
  ['LMPOP', (r) => r.lmPop(['list'], 'LEFT')],
  ['LMPOP of nothing', (r) => r.lmPop(['nothing'], 'LEFT')],
  ['BLPOP', (r) => r.blPop(['nothing', 'list'], 1)],
  ['BLPOP in vain', (r) => r.blPop('nothing', 0.01)],
  ['SADD', (r) => r.sAdd('set', ['a', 'b'])],
  ['SMEMBERS', async (r) => [...(await r.sMembers('set'))].map(String).sort()],
  ['SMISMEMBER', (r) => r.smIsMember('set', ['a', 'z'])],
  ['SSCAN', (r) => r.sScan('set', '0', { MATCH: 'a*' })],
  ['ZADD', (r) => r.zAdd('sorted', MEMBERS)],
  ['ZADD with INCR', (r) => r.zAddIncr('sorted', { score: 0.1, value: 'a' })],
  ['ZSCORE', (r) => r.zScore('sorted', 'c')],
  ['ZSCORE of nothing', (r) => r.zScore('sorted', 'z')],
  ['ZMSCORE', (r) => r.zmScore('sorted', ['a', 'z'])],
  ['ZRANGE with scores', (r) => r.zRangeWithScores('sorted', 0, -1)],
  ['ZRANGE by score', (r) => r.zRange('sorted', '-inf', '+inf', { BY: 'SCORE', LIMIT: { offset: 1, count: 2 } })],
  ['ZRANK', (r) => r.zRank('sorted', 'b')],
  ['ZSCAN', (r) => r.zScan('sorted', '0')],
  ['ZADD of an infinity', (r) => r.zAdd('sorted', { score: Number.POSITIVE_INFINITY, value: 'inf' })],
  ['ZPOPMAX', (r) => r.zPopMax('sorted')],
  ['ZPOPMIN of nothing', (r) => r.zPopMin('nothing')],
  ['ZMPOP', (r) => r.zmPop(['sorted'], 'MIN')],
  ['BZPOPMIN', (r) => r.bzPopMin('sorted', 1)],
  ['GEOADD', (r) => r.geoAdd('geo', PLACES)],
  ['GEOPOS', (r) => r.geoPos('geo', ['Palermo', 'nowhere'])],
  ['GEODIST', (r) => r.geoDist('geo', 'Palermo', 'Catania', 'km')],
  ['GEOSEARCH', (r) => r.geoSearchWith('geo', NEAR, WITHIN, ['WITHCOORD', 'WITHDIST', 'WITHHASH'], { SORT: 'ASC' })],
  ['XADD', (r) => r.xAdd('stream', '1-1', { field: 'value', other: 'välue' })],
  ['XRANGE', (r) => r.xRange('stream', '-', '+')],
  ['XREAD', (r) => r.xRead({ key: 'stream', id: '0' })],
  ['XREAD of nothing new', (r) => r.xRead({ key: 'stream', id: '$' })],
  ['XREAD that blocks in vain', (r) => r.xRead({ key: 'stream', id: '$' }, { BLOCK: 10 })],
  ['XGROUP CREATE', (r) => r.xGroupCreate('stream', 'group', '0')],
  ['XREADGROUP', (r) => r.xReadGroup('group', 'consumer', { key: 'stream', id: '>' })],
  ['XPENDING', (r) => r.xPending('stream', 'group')],
  ['XAUTOCLAIM', (r) => r.xAutoClaim('stream', 'group', 'other', 0, '0')],
  ['XINFO STREAM', (r) => r.xInfoStream('stream')],
  ['PFADD', (r) => r.pfAdd('hyper', ['a', 'b'])],
  ['PFCOUNT', (r) => r.pfCount('hyper')],
  ['SCAN', async (r) => (await r.scan('0', { MATCH: 's*', COUNT: 1000 })).keys.map(String).sort()],
  ['SORT', (r) => r.sort('set', { ALPHA: true })],
  ['DUMP', (r) => r.dump('string')],
  ['CONFIG GET', (r) => r.configGet(['maxmemory', 'appendonly'])],
  ['INFO', async (r) => String(await r.info('server')).match(/redis_version:\S+/)?.[0]],
  ['COMMAND COUNT', (r) => r.commandCount()],
  ['COMMAND GETKEYS', (r) => r.commandGetKeys(['MSET', 'a', '1', 'b', '2'])],
  ['ECHO', (r) => r.echo('välue')],
  ['ACL GETUSER', (r) => r.aclGetUser('default')],
  ['MEMORY USAGE', (r) => r.memoryUsage('nothing')],
  ['PUBSUB NUMSUB', (r) => r.pubSubNumSub(['channel'])],
  ['ROLE', (r) => r.role()],
  ['EVAL', (r) => r.eval('return {1, "two", false, {3}, redis.call("GET", KEYS[1]), ARGV[1]}', EVAL)],
  ['SCRIPT LOAD', (r) => r.scriptLoad('return 1')],
  ['SCRIPT EXISTS', (r) => r.scriptExists(['e0e1f9fabfc9d4800c877a703b823ac0578ff8db', '0'.repeat(40)])],
  ['a raw HGETALL', (r) => r.sendCommand(['HGETALL', 'hash'])],
  ['a raw ZRANGE', (r) => r.sendCommand(['ZRANGE', 'geo', '0', '-1', 'WITHSCORES'])],
  ['WRONGTYPE', (r) => r.lPush('string', 'x')],
  ['a syntax error', (r) => r.sendCommand(['SET', 'string', 'x', 'nonsense'])],
  ['an unknown command', (r) => r.sendCommand(['NONSENSE'])],
  ['an error of a script', (r) => r.eval('return redis.error_reply("OWN reason")')],
];
const EVAL = { keys: ['string'], arguments: ['argument'] };

const MAPPINGS: readonly [title: string, mapping: TypeMapping][] = [
  ["node-redis's own types", {}],
  ['Buffers', { [RESP_TYPES.BLOB_STRING]: Buffer }],
  [
    'Maps, Sets and doubles as strings',
    { [RESP_TYPES.MAP]: Map, [RESP_TYPES.SET]: Set, [RESP_TYPES.DOUBLE]: String, [RESP_TYPES.NUMBER]: String },
  ],
  [
    'arrays for maps, Buffers for every string',
    {
      [RESP_TYPES.MAP]: Array,
      [RESP_TYPES.BLOB_STRING]: Buffer,
      [RESP_TYPES.SIMPLE_STRING]: Buffer,
      [RESP_TYPES.VERBATIM_STRING]: Buffer,
    },
  ],
];

describe.each(MAPPINGS)('a reply is what bare node-redis gives: %s', (_, mapping) => {
  const redis = useRedis();
  let pool: Redis;
  let bare: Redis;
  let end: () => Promise<unknown>;

  beforeAll(async () => {
    const engine = new Registry().registerRedis(redis().address, 0).validate();
    const client = createClient({ url: redis().url, database: 1 });
    await client.connect();
    pool = engine.getRedis().withTypeMapping(mapping) as unknown as Redis;
    bare = client.withTypeMapping(mapping) as unknown as Redis;
    end = () => Promise.all([engine.close(), client.close()]);
  });
  afterAll(() => end());

  const outcome = (call: Promise<unknown>) =>
    call.then(
      (reply) => ({ reply }),
      (error: Error) => ({ error }),
    );

  test.each(CALLS)('%s', async (_title, call) => {
    const [ours, theirs] = await Promise.all([outcome(call(pool)), outcome(call(bare))]);
    if ('error' in theirs) {
      expect(ours).toEqual({ error: expect.any(ReplyError) });
      expect((ours as typeof theirs).error.message).toBe(theirs.error.message);
    } else {
      expect(ours).toStrictEqual(theirs);
    }
  });
});
