import { RESP_TYPES } from 'redis';
import { describe, expect, test } from 'vitest';
import { CommandRefusedError, InvalidArgumentError } from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { failure, usePools } from './support.js';

describe('keyPrefix', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test('stands before the keys of typed commands, strings and Buffers', async () => {
    const pool = open({ keyPrefix: 'app:' });
    await pool.set('k:string', '1');
    await pool.set(Buffer.from('k:buffer'), '2');
    await pool.mSet({ 'k:a': '3', 'k:b': '4' });
    await pool.hSet('k:hash', 'field', 'value');
    await pool.zUnionStore('k:union', ['k:z1', 'k:z2']);
    expect(await redis().cli('MGET', 'app:k:string', 'app:k:buffer', 'app:k:a', 'app:k:b')).toEqual([
      '1',
      '2',
      '3',
      '4',
    ]);
    expect(await redis().cli('HGET', 'app:k:hash', 'field')).toBe('value');
    expect(await pool.mGet(['k:a', 'k:b'])).toEqual(['3', '4']);
    expect(await pool.exists(['k:string', 'k:buffer', 'app:k:string'])).toBe(2);
    expect(await redis().cli('EXISTS', 'k:string', 'k:buffer', 'k:a', 'k:hash')).toBe(0);
  });

  test('stands before the keys of blocking commands, EVAL and isolated connections', async () => {
    const pool = open({ keyPrefix: 'app:' });
    await redis().cli('RPUSH', 'app:k:list', 'element');
    expect((await pool.blPop('k:list', 1))?.element).toBe('element');
    expect(await pool.eval('return KEYS[1]', { keys: ['k:eval'], arguments: [] })).toBe('app:k:eval');
    await pool.isolated((own) => own.set('k:own', 'value'));
    expect(await redis().cli('GET', 'app:k:own')).toBe('value');
  });

  test('does not stand before what sendCommand sends, nor before channels', async () => {
    const pool = open({ keyPrefix: 'app:' });
    await pool.sendCommand(['SET', 'k:raw', 'raw']);
    await pool.isolated((own) => own.sendCommand(['SET', 'k:raw2', 'raw']));
    expect(await redis().cli('MGET', 'k:raw', 'k:raw2')).toEqual(['raw', 'raw']);
    await pool.subscribe('k:channel', () => {});
    expect(await redis().cli('PUBSUB', 'CHANNELS', '*')).toEqual(['k:channel']);
  });

  test('of one pool does not touch another', async () => {
    await open({ keyPrefix: 'one:' }).set('k', '1');
    await open({ keyPrefix: 'two:' }).set('k', '2');
    expect(await redis().cli('MGET', 'one:k', 'two:k')).toEqual(['1', '2']);
  });

  describe.each(['app:', 'a*p[?]\\:', 'präfix日:'])('%j in patterns and replies', (keyPrefix) => {
    const names = ['s:1', 's:2', 's:10'];

    async function filled() {
      await redis().cli('FLUSHALL');
      const pool = open({ keyPrefix });
      await pool.mSet(Object.fromEntries(names.map((name) => [name, name])));
      // What the prefix would match as a pattern, and what is another's.
      await redis().cli('MSET', 's:1', 'x', 'aXp?\\:s:3', 'x', 'other:s:4', 'x');
      return pool;
    }

    test('KEYS and scans find keys with the prefix only, and give them without it', async () => {
      const pool = await filled();
      expect((await pool.keys('*')).sort()).toEqual([...names].sort());
      expect((await pool.keys(Buffer.from('s:1*'))).sort()).toEqual(['s:1', 's:10']);
      expect((await pool.scan('0', { COUNT: 100 })).keys.sort()).toEqual([...names].sort());
      expect((await pool.scan('0', { MATCH: 's:?', COUNT: 100, TYPE: 'string' })).keys.sort()).toEqual(['s:1', 's:2']);
      expect((await gathered(pool.scanIterator())).sort()).toEqual([...names].sort());
      expect((await gathered(pool.scanIterator({ MATCH: 's:1*' }))).sort()).toEqual(['s:1', 's:10']);
    });

    test('what an iterator gives can be read and removed', async () => {
      const pool = await filled();
      const found = await gathered(pool.scanIterator({ MATCH: 's:*' }));
      expect(await pool.mGet(found)).toEqual(found);
      expect(await pool.del(found)).toBe(3);
      expect(await redis().cli('DBSIZE')).toBe(3);
    });

    test('it is the same on isolated connections, in multi() and in pipelines', async () => {
      const pool = await filled();
      const own = await pool.isolated(async (connection) => [
        (await connection.keys('s:2')).join(),
        (await gathered(connection.scanIterator({ MATCH: 's:2' }))).join(),
        ...(await connection.multi().keys('s:2').get('s:2').exec()).flat(),
      ]);
      expect(own).toEqual(['s:2', 's:2', 's:2', 's:2']);
      const build = () => pool.multi().keys('s:1*').scan('0', { MATCH: 's:2', COUNT: 100 }).get('s:2');
      for (const replies of [await build().exec(), await build().execAsPipeline()]) {
        const [found, page, value] = replies as unknown as [string[], { keys: string[] }, string];
        expect([found.sort(), page.keys, value]).toEqual([['s:1', 's:10'], ['s:2'], 's:2']);
      }
    });

    test('keys as Buffers come without it too', async () => {
      const buffers = (await filled()).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
      expect((await gathered(buffers.scanIterator({ MATCH: 's:2' }))).map(String)).toEqual(['s:2']);
      await buffers.rPush('list', 'element');
      expect(await buffers.lmPop('list', 'LEFT')).toEqual([Buffer.from('list'), [Buffer.from('element')]]);
    });

    test('pops and stream reads name the key as the caller does', async () => {
      const pool = await filled();
      await pool.rPush('l', ['a', 'b', 'c']);
      await pool.zAdd('z', [
        { score: 1, value: 'a' },
        { score: 2, value: 'b' },
        { score: 3, value: 'c' },
      ]);
      await pool.xAdd('x', '1-0', { f: 'v' });
      expect(await pool.blPop(['none', 'l'], 1)).toEqual({ key: 'l', element: 'a' });
      expect(await pool.lmPop(['none', 'l'], 'LEFT')).toEqual(['l', ['b']]);
      expect(await pool.blmPop(1, ['none', 'l'], 'LEFT')).toEqual(['l', ['c']]);
      expect(await pool.lmPop('l', 'LEFT')).toBeNull();
      expect(await pool.zmPop('z', 'MIN')).toMatchObject({ key: 'z' });
      expect(await pool.bzPopMin('z', 1)).toMatchObject({ key: 'z', value: 'b' });
      expect(await pool.bzmPop(1, 'z', 'MIN')).toMatchObject({ key: 'z' });
      expect(await pool.blPop('l', 0.01)).toBeNull();
      const read = [{ name: 'x', messages: [{ id: '1-0', message: { f: 'v' } }] }];
      expect(await pool.xRead({ key: 'x', id: '0' })).toEqual(read);
      expect(await pool.multi().xRead({ key: 'x', id: '0' }).exec()).toEqual([read]);
      expect(await pool.xRead({ key: 'x', id: '1-0' })).toBeNull();
    });
  });

  test('stands before what SORT looks up, and lets it read nothing else', async () => {
    const pool = open({ keyPrefix: 'app:' });
    await redis().cli('MSET', 'secret', 'of another', 'weight_2', '9');
    await pool.rPush('ids', ['1', '2', 'secret']);
    await pool.mSet({ weight_1: '3', weight_2: '2', weight_secret: '1', name_1: 'one', name_2: 'two' });
    const sorted = ['secret', null, '2', 'two', '1', 'one'];
    const options = { BY: 'weight_*', GET: ['#', 'name_*'] };
    expect(await pool.sort('ids', options)).toEqual(sorted);
    expect(await pool.sortRo('ids', options)).toEqual(sorted);
    expect(await pool.sort('ids', { BY: 'nosort', GET: '*' })).toEqual([null, null, null]);
    expect(await pool.sortStore('ids', 'stored', { ...options, LIMIT: { offset: 1, count: 1 } })).toBe(2);
    expect(await redis().cli('LRANGE', 'app:stored', '0', '-1')).toEqual(['2', 'two']);
  });

  test('with a star in it refuses what SORT would look up with that star', async () => {
    const pool = open({ keyPrefix: 'a*:' });
    await pool.rPush('l', ['2', '1']);
    expect(await pool.sort('l', { BY: 'nosort', GET: '#' })).toEqual(['2', '1']);
    expect(await failure(pool.sort('l', { BY: 'w_*' }))).toBeInstanceOf(InvalidArgumentError);
    expect(await failure(pool.multi().sort('l', { GET: 'w_*' }).exec())).toBeInstanceOf(InvalidArgumentError);
  });

  test('refuses RANDOMKEY, which would name a key of another', async () => {
    const pool = open({ keyPrefix: 'app:' });
    expect(await failure(pool.randomKey())).toBeInstanceOf(CommandRefusedError);
    expect(await failure(pool.multi().randomKey().exec())).toBeInstanceOf(CommandRefusedError);
    await open().set('k', 'v');
    expect(await open().randomKey()).toBeTypeOf('string');
  });

  test('does not stand before what is queued raw, whatever the command is', async () => {
    const pool = open({ keyPrefix: 'app:' });
    await pool.multi().addCommand(['SET', 'k:queued', 'raw']).sendCommand(['SET', 'k:queued2', 'raw']).exec();
    expect(await redis().cli('MGET', 'k:queued', 'k:queued2')).toEqual(['raw', 'raw']);
    expect(await pool.multi().addCommand(['KEYS', 'k:queued']).exec()).toEqual([['k:queued']]);
  });
});

async function gathered<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const items: T[] = [];
  for await (const page of pages) items.push(...page);
  return items;
}
