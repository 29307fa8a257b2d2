import { RESP_TYPES } from 'redis';
import { expect, test } from 'vitest';
import { AbortError, defineScript } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

const BUFFERS = { [RESP_TYPES.BLOB_STRING]: Buffer } as const;

/** withTypeMapping() and withAbortSignal(); withTimeout() is in frozen.ts. */
export function views(site: Site): void {
  test('withTypeMapping() is for its own commands, of every kind', async () => {
    const { redis } = site;
    const key = site.key('view');
    const buffers = redis.withTypeMapping(BUFFERS);
    const value = Buffer.from('väl');
    await redis.set(key, 'väl');
    expect(await Promise.all([redis.get(key), buffers.get(key), redis.get(key)])).toEqual(['väl', value, 'väl']);
    expect(await buffers.sendCommand(['GET', site.inRedis(key)])).toEqual(value);
    expect(await buffers.multi().get(key).exec()).toEqual([value]);
    expect(await buffers.isolated((own) => own.get(key), { key })).toEqual(value);
    expect(await buffers.transaction((own) => own.get(key), { watch: key })).toEqual(value);
    await redis.sAdd(`${key}:set`, 'member');
    for await (const page of buffers.sScanIterator(`${key}:set`)) expect(page).toEqual([Buffer.from('member')]);
  });

  test('withTypeMapping() holds for scripts, and for what the replies of several servers are made into', async () => {
    const { redis } = site;
    const key = site.key('view');
    const view = redis.withTypeMapping({ ...BUFFERS, [RESP_TYPES.NUMBER]: String });
    const alone = defineScript({ lua: 'return { redis.call("GET", KEYS[1]), 7 }', keys: 1 });
    const batched = defineScript({
      lua: 'local all = {} for i, key in ipairs(KEYS) do all[i] = { redis.call("GET", key), 7 } end return all',
      keys: 1,
      args: 0,
      batch: 5,
    });
    await redis.set(key, 'väl');
    const mapped = [Buffer.from('väl'), '7'];
    expect(await Promise.all([view.runScript(alone, [key]), view.runScript(batched, [key])])).toEqual([mapped, mapped]);
    expect(await Promise.all([redis.runScript(batched, [key]), view.runScript(batched, [key])])).toEqual([
      ['väl', 7],
      mapped,
    ]);
    expect(await view.isolated((own) => own.runScript(alone, [key]), { key })).toEqual(mapped);
    expect(await view.dbSize()).toMatch(/^\d+$/);
    expect(await view.scriptExists(['0'.repeat(40)])).toEqual(['0']);
    expect((await view.keys('*')).every((name) => Buffer.isBuffer(name))).toBe(true);
  });

  test('withAbortSignal() ends what waits and what blocks, and swallows no element', async () => {
    const { redis } = site;
    const key = site.key('view');
    expect(await failure(redis.withAbortSignal(AbortSignal.abort()).set(key, 'value'))).toBeInstanceOf(AbortError);
    expect(await redis.exists(key)).toBe(0);
    const own = site.open().getRedis();
    const controller = new AbortController();
    const popped = own.withAbortSignal(controller.signal).blPop(`${key}:list`, 0);
    await site.blocked(own);
    controller.abort(new Error('enough'));
    const error = await failure(popped);
    expect(error).toBeInstanceOf(AbortError);
    expect(error?.cause).toMatchObject({ message: 'enough' });
    await eventually(() => own.stats().leases.inUse === 0);
    await redis.rPush(`${key}:list`, 'element');
    expect(await redis.lRange(`${key}:list`, 0, -1)).toEqual(['element']);
  });

  test('views combine', async () => {
    const key = site.key('view');
    const controller = new AbortController();
    const view = site.redis.withTypeMapping(BUFFERS).withTimeout('10s').withAbortSignal(controller.signal);
    await view.set(key, 'value');
    expect(await view.get(key)).toEqual(Buffer.from('value'));
    controller.abort();
    expect(await failure(view.get(key))).toBeInstanceOf(AbortError);
    expect(await site.redis.get(key)).toBe('value');
  });
}
