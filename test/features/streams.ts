import { expect, test } from 'vitest';
import type { Site } from './site.js';

/** Streams and their groups of consumers. */
export function streams(site: Site): void {
  test('are written, read and cut', async () => {
    const { redis } = site;
    const key = site.key('stream');
    for (const n of [1, 2, 3]) await redis.xAdd(key, `${n}-0`, { n: String(n) });
    expect(await redis.xLen(key)).toBe(3);
    expect(await redis.xRange(key, '2', '+')).toEqual([
      { id: '2-0', message: { n: '2' } },
      { id: '3-0', message: { n: '3' } },
    ]);
    expect(await redis.xRead({ key, id: '2-0' })).toEqual([
      { name: key, messages: [{ id: '3-0', message: { n: '3' } }] },
    ]);
    expect(await redis.xTrim(key, 'MAXLEN', 1)).toBe(2);
    expect(await redis.xDel(key, '3-0')).toBe(1);
  });

  test('are waited for', async () => {
    const key = site.key('stream');
    const read = site.redis.xRead({ key, id: '0' }, { BLOCK: 10_000, COUNT: 1 });
    await site.elsewhere.xAdd(key, '1-0', { field: 'value' });
    expect(await read).toEqual([{ name: key, messages: [{ id: '1-0', message: { field: 'value' } }] }]);
  });

  test('are shared by the consumers of a group, who can take over from each other', async () => {
    const { redis, elsewhere } = site;
    const key = site.key('stream');
    expect(await redis.xGroupCreate(key, 'workers', '0', { MKSTREAM: true })).toBe('OK');
    const waiting = elsewhere.xReadGroup('workers', 'ann', { key, id: '>' }, { BLOCK: 10_000, COUNT: 1 });
    await redis.xAdd(key, '1-0', { job: 'first' });
    expect(await waiting).toEqual([{ name: key, messages: [{ id: '1-0', message: { job: 'first' } }] }]);
    await redis.xAdd(key, '2-0', { job: 'second' });
    const [second] = (await redis.xReadGroup('workers', 'bob', { key, id: '>' })) ?? [];
    expect(second).toMatchObject({ messages: [{ id: '2-0' }] });
    expect(await redis.xAck(key, 'workers', '2-0')).toBe(1);
    expect(await redis.xPending(key, 'workers')).toMatchObject({ pending: 1, firstId: '1-0' });
    const claimed = await redis.xAutoClaim(key, 'workers', 'bob', 0, '0');
    expect(claimed.messages).toEqual([{ id: '1-0', message: { job: 'first' } }]);
    expect(await redis.xAck(key, 'workers', '1-0')).toBe(1);
    expect((await redis.xInfoGroups(key))[0]).toMatchObject({ name: 'workers', pending: 0, consumers: 2 });
  });
}
