import { describe, expect, test } from 'vitest';
import { useRedis } from '../support/redis.js';
import { usePools } from './support.js';

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
});
