import { RESP_TYPES } from 'redis';
import { expect, test } from 'vitest';
import { ReplyError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

const BUFFERS = { [RESP_TYPES.BLOB_STRING]: Buffer } as const;

/** Commands of every type of data, blocking ones, and those about all keys. */
export function rawCommands(site: Site): void {
  test('strings', async () => {
    const { redis } = site;
    const key = site.key('string');
    expect(await redis.set(key, 'one', { expiration: { type: 'PX', value: 60_000 } })).toBe('OK');
    expect(await redis.set(key, 'two', { condition: 'NX' })).toBeNull();
    expect(await redis.get(key)).toBe('one');
    expect(await redis.append(key, ' and more')).toBe(12);
    expect(await redis.getRange(key, 4, 6)).toBe('and');
    expect(await redis.setRange(key, 0, 'ONE')).toBe(12);
    expect(await redis.getEx(key, { type: 'PERSIST' })).toBe('ONE and more');
    expect(await redis.ttl(key)).toBe(-1);
    expect(await redis.getDel(key)).toBe('ONE and more');
    expect(await redis.exists(key)).toBe(0);
    expect(await redis.incrBy(`${key}:n`, 5)).toBe(5);
    expect(await redis.decr(`${key}:n`)).toBe(4);
    expect(await redis.incrByFloat(`${key}:n`, 0.5)).toBe('4.5');
  });

  test('several keys at once, which share a slot', async () => {
    const { redis } = site;
    const key = site.key('several');
    expect(await redis.mSet({ [`${key}:a`]: '1', [`${key}:b`]: '2' })).toBe('OK');
    expect(await redis.mSetNX({ [`${key}:b`]: '3', [`${key}:c`]: '3' })).toBe(0);
    expect(await redis.mGet([`${key}:a`, `${key}:b`, `${key}:c`])).toEqual(['1', '2', null]);
    expect(await redis.copy(`${key}:a`, `${key}:c`)).toBe(1);
    expect(await redis.rename(`${key}:b`, `${key}:d`)).toBe('OK');
    expect(await redis.exists([`${key}:a`, `${key}:b`, `${key}:c`, `${key}:d`])).toBe(3);
    expect(await redis.unlink([`${key}:a`, `${key}:c`, `${key}:d`])).toBe(3);
  });

  test('any keys, each by a command of its own, in one turn', async () => {
    const keys = site.keys(100, 'any');
    expect(await Promise.all(keys.map((key) => site.redis.set(key, key)))).toEqual(keys.map(() => 'OK'));
    expect(await Promise.all(keys.map((key) => site.elsewhere.get(key)))).toEqual(keys);
  });

  test('bitmaps', async () => {
    const { redis } = site;
    const key = site.key('bits');
    expect(await redis.setBit(`${key}:a`, 7, 1)).toBe(0);
    expect(await redis.getBit(`${key}:a`, 7)).toBe(1);
    await redis.setBit(`${key}:b`, 3, 1);
    expect(await redis.bitOp('OR', `${key}:both`, [`${key}:a`, `${key}:b`])).toBe(1);
    expect(await redis.bitCount(`${key}:both`)).toBe(2);
    expect(await redis.bitPos(`${key}:both`, 1)).toBe(3);
    expect(await redis.bitField(key, [{ operation: 'INCRBY', encoding: 'u8', offset: 0, increment: 7 }])).toEqual([7]);
  });

  test('hashes', async () => {
    const { redis } = site;
    const key = site.key('hash');
    expect(await redis.hSet(key, { name: 'Ada', born: '1815' })).toBe(2);
    expect(await redis.hGet(key, 'name')).toBe('Ada');
    expect({ ...(await redis.hGetAll(key)) }).toEqual({ name: 'Ada', born: '1815' });
    expect(await redis.hmGet(key, ['born', 'died'])).toEqual(['1815', null]);
    expect(await redis.hIncrBy(key, 'born', 1)).toBe(1816);
    expect(await redis.hDel(key, 'born')).toBe(1);
    expect(await redis.hKeys(key)).toEqual(['name']);
  });

  test('lists', async () => {
    const { redis } = site;
    const key = site.key('list');
    expect(await redis.rPush(key, ['b', 'c', 'd'])).toBe(3);
    expect(await redis.lPush(key, 'a')).toBe(4);
    expect(await redis.lRange(key, 0, -1)).toEqual(['a', 'b', 'c', 'd']);
    expect(await redis.lMove(key, `${key}:other`, 'LEFT', 'RIGHT')).toBe('a');
    expect(await redis.lmPop(key, 'RIGHT', { COUNT: 2 })).toEqual([key, ['d', 'c']]);
    expect(await redis.lPos(`${key}:other`, 'a')).toBe(0);
    expect(await redis.lTrim(key, 1, 0)).toBe('OK');
    expect(await redis.lLen(key)).toBe(0);
  });

  test('sets', async () => {
    const { redis } = site;
    const key = site.key('set');
    await redis.sAdd(`${key}:a`, ['1', '2', '3']);
    await redis.sAdd(`${key}:b`, ['2', '3', '4']);
    expect((await redis.sInter([`${key}:a`, `${key}:b`])).sort()).toEqual(['2', '3']);
    expect(await redis.sUnionStore(`${key}:all`, [`${key}:a`, `${key}:b`])).toBe(4);
    expect(await redis.sIsMember(`${key}:all`, '4')).toBe(1);
    expect(await redis.sMove(`${key}:a`, `${key}:b`, '1')).toBe(1);
    expect(await redis.sCard(`${key}:b`)).toBe(4);
  });

  test('sorted sets', async () => {
    const { redis } = site;
    const key = site.key('sorted');
    const scores = [
      { score: 7, value: 'Ada' },
      { score: 3, value: 'Grace' },
    ];
    expect(await redis.zAdd(key, scores)).toBe(2);
    expect(await redis.zIncrBy(key, 5, 'Grace')).toBe(8);
    expect(await redis.zRangeWithScores(key, 0, -1)).toEqual([
      { score: 7, value: 'Ada' },
      { score: 8, value: 'Grace' },
    ]);
    expect(await redis.zRank(key, 'Grace')).toBe(1);
    expect(await redis.zScore(key, 'nobody')).toBeNull();
    expect(await redis.zUnionStore(`${key}:sum`, [key, key])).toBe(2);
    expect(await redis.zPopMax(`${key}:sum`)).toEqual({ value: 'Grace', score: 16 });
  });

  test('places and counts of what is different', async () => {
    const { redis } = site;
    const key = site.key('geo');
    await redis.geoAdd(key, [
      { member: 'Palermo', longitude: 13.361389, latitude: 38.115556 },
      { member: 'Catania', longitude: 15.087269, latitude: 37.502669 },
    ]);
    expect(await redis.geoDist(key, 'Palermo', 'Catania', 'km')).toBeCloseTo(166.27, 1);
    expect(await redis.geoSearch(key, 'Catania', { radius: 10, unit: 'km' })).toEqual(['Catania']);
    expect(await redis.pfAdd(`${key}:seen`, ['a', 'b', 'a'])).toBe(1);
    expect(await redis.pfCount(`${key}:seen`)).toBe(2);
  });

  test('expiry, types and what is inside', async () => {
    const { redis } = site;
    const key = site.key('generic');
    await redis.set(key, 'soon gone');
    expect(await redis.pExpire(key, 60_000)).toBe(1);
    expect(await redis.pTTL(key)).toBeGreaterThan(50_000);
    expect(await redis.type(key)).toBe('string');
    const dumped = await redis.withTypeMapping(BUFFERS).dump(key);
    expect(await redis.restore(`${key}:copy`, 0, dumped)).toBe('OK');
    expect(await redis.get(`${key}:copy`)).toBe('soon gone');
    await redis.pExpire(key, 1);
    await eventually(async () => (await redis.exists(key)) === 0);
  });

  test('any bytes as keys and values', async () => {
    const bytes = Buffer.from([0, 255, 13, 10, 0x7b, 0x7d, 128]);
    const key = Buffer.concat([Buffer.from(site.key('bytes')), bytes]);
    await site.redis.set(key, bytes);
    expect(await site.redis.withTypeMapping(BUFFERS).get(key)).toEqual(bytes);
  });

  test('what only sendCommand has, and errors of the server', async () => {
    const { redis } = site;
    const key = site.key('raw');
    expect(await redis.sendCommand(['set', site.inRedis(key), 'raw'])).toBe('OK');
    expect(await redis.sendCommand(['GET', site.inRedis(key)].map((word) => Buffer.from(word)))).toBe('raw');
    const error = await failure(redis.lPush(key, 'element'));
    expect(error).toBeInstanceOf(ReplyError);
    expect(error?.replyCode).toBe('WRONGTYPE');
    expect((await failure(redis.sendCommand(['NONSENSE'])))?.replyCode).toBe('ERR');
  });

  test('blocking commands wait beside everything else, for what others push', async () => {
    const { redis, elsewhere } = site;
    const key = site.key('blocking');
    const popped = [
      redis.blPop(`${key}:list`, 10),
      redis.bzPopMin(`${key}:sorted`, 10),
      redis.blMove(`${key}:from`, `${key}:to`, 'LEFT', 'RIGHT', 10),
      redis.sendCommand(['BRPOP', site.inRedis(`${key}:raw`), '10']),
    ];
    expect(await redis.echo('not kept waiting')).toBe('not kept waiting');
    await elsewhere.rPush(`${key}:list`, 'element');
    await elsewhere.zAdd(`${key}:sorted`, { score: 1, value: 'member' });
    await elsewhere.rPush(`${key}:from`, 'moved');
    await elsewhere.rPush(`${key}:raw`, 'raw');
    expect(await Promise.all(popped)).toEqual([
      { key: `${key}:list`, element: 'element' },
      { key: `${key}:sorted`, value: 'member', score: 1 },
      'moved',
      [site.inRedis(`${key}:raw`), 'raw'],
    ]);
    expect(await elsewhere.lRange(`${key}:to`, 0, -1)).toEqual(['moved']);
    expect(await redis.blPop(`${key}:list`, 0.05)).toBeNull();
  });

  test('iterators go through every key, and every member', async () => {
    const { redis } = site;
    const keys = site.keys(200, 'scanned').sort();
    await Promise.all(keys.map((key) => redis.set(key, '1')));
    const gather = async <T>(pages: AsyncIterable<T[]>) => {
      const items: T[] = [];
      for await (const page of pages) items.push(...page);
      return items;
    };
    const found = await gather(redis.scanIterator({ MATCH: '{scanned-*', COUNT: 50 }));
    expect([...new Set(found)].sort()).toEqual(keys);
    expect(await Promise.all(found.map((key) => redis.get(key)))).toEqual(found.map(() => '1'));
    expect((await redis.keys('{scanned-*')).sort()).toEqual(keys);

    const hash = site.key('many');
    const members = Array.from({ length: 300 }, (_, i) => `m${i}`).sort();
    await redis.hSet(`${hash}:h`, Object.fromEntries(members.map((member) => [member, `value of ${member}`])));
    await redis.sAdd(`${hash}:s`, members);
    await redis.zAdd(
      `${hash}:z`,
      members.map((value, score) => ({ value, score })),
    );
    expect((await gather(redis.hScanIterator(`${hash}:h`))).map(({ field }) => field).sort()).toEqual(members);
    expect([...new Set(await gather(redis.sScanIterator(`${hash}:s`, { COUNT: 20 })))].sort()).toEqual(members);
    expect(await gather(redis.zScanIterator(`${hash}:z`, { MATCH: 'm299' }))).toEqual([
      { value: 'm299', score: members.indexOf('m299') },
    ]);
  });

  test('commands without a key', async () => {
    const { redis } = site;
    expect(await redis.ping()).toBe('PONG');
    expect(await redis.info('server')).toContain('redis_version');
    expect(Array.isArray(await redis.time())).toBe(true);
    await redis.set(site.key('counted'), '1');
    expect(await redis.dbSize()).toBeGreaterThan(0);
    expect((await redis.role())?.role).toBe('master');
  });
}
