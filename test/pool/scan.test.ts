import { RESP_TYPES } from 'redis';
import { beforeAll, describe, expect, test } from 'vitest';
import { AbortError } from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { failure, usePools } from './support.js';

const NAMES = Array.from({ length: 300 }, (_, i) => `n${i}`).sort();

describe('scan iterators', () => {
  const redis = useRedis();
  const open = usePools(redis);

  beforeAll(async () => {
    await redis().cli('MSET', ...(NAMES.flatMap((name) => [name, '1']) as [string]));
    await redis().cli('HSET', 'hash', ...NAMES.flatMap((name) => [name, `value of ${name}`]));
    await redis().cli('SADD', 'set', ...NAMES);
    await redis().cli('ZADD', 'sorted', ...NAMES.flatMap((name, i) => [String(i), name]));
  });

  async function gather<T>(iterator: AsyncIterable<T[]>): Promise<{ items: T[]; pages: number }> {
    const items: T[] = [];
    let pages = 0;
    for await (const page of iterator) {
      items.push(...page);
      pages++;
    }
    return { items, pages };
  }

  test('go through every key, page by page', async () => {
    const { items, pages } = await gather(open().scanIterator({ MATCH: 'n*', COUNT: 50 }));
    expect([...new Set(items)].sort()).toEqual(NAMES);
    expect(pages).toBeGreaterThan(3);
  });

  test('go through hashes, sets and sorted sets', async () => {
    const pool = open();
    const fields = await gather(pool.hScanIterator('hash'));
    expect(fields.items.map(({ field, value }) => value === `value of ${field}`)).toEqual(NAMES.map(() => true));
    const members = await gather(pool.sScanIterator('set', { COUNT: 20 }));
    expect([...new Set(members.items)].sort()).toEqual(NAMES);
    expect(members.pages).toBeGreaterThan(3);
    const scored = await gather(pool.zScanIterator('sorted', { MATCH: 'n1' }));
    expect(scored.items).toEqual([{ value: 'n1', score: NAMES.indexOf('n1') }]);
  });

  test('follow the view they are called on', async () => {
    const pool = open();
    const buffers = pool.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const { items } = await gather(buffers.sScanIterator('set'));
    expect(items.map(String).sort()).toEqual(NAMES);
    expect(items.every((item) => Buffer.isBuffer(item))).toBe(true);

    const controller = new AbortController();
    const iterator = pool.withAbortSignal(controller.signal).scanIterator({ COUNT: 10 });
    await iterator.next();
    controller.abort();
    expect(await failure(iterator.next())).toBeInstanceOf(AbortError);
  });

  test('run on isolated connections', async () => {
    const { items } = await open().isolated((own) => gather(own.sScanIterator('set')));
    expect(items.sort()).toEqual(NAMES);
  });
});
