import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { storeLoaded } from '../../src/cache/loaded.js';
import { InvalidArgumentError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { type Gate, startGate } from './gate.js';
import { isUp, localCacheOn, newName, occupyFirstLane, type Probe, poolOn, turns, warm } from './support.js';

const server = useRedis();
const LANES = { pool: { lanes: 4 } };

describe('what this process wrote is what it reads, through a pool of 4 lanes', () => {
  /** A warm key, and a write of it that is held back while a read on another lane still finds the old value. */
  async function overtaken(
    command: string,
    write: (probe: Probe<unknown>) => Promise<unknown>,
    warmFirst = true,
  ): Promise<{ probe: Probe<unknown>; seen: unknown }> {
    const gate = await startGate(server());
    const probe = await localCacheOn(gate, {}, LANES);
    await probe.cache.put('k', 'old', { tags: ['t'] });
    await probe.pool.ping();
    if (warmFirst) await warm(probe.cache, 'k');
    const seen = await writeBehindRead(gate, probe, command, () => write(probe));
    return { probe, seen };
  }

  // The write waits on the first lane; a read goes ahead on the second and finds the old value; what the server tells of the
  // write is later than its reply.
  async function writeBehindRead(gate: Gate, { cache, pool }: Probe<unknown>, command: string, write: () => unknown) {
    const held = gate.holdCommand(command);
    const writing = write();
    await held.reached;
    const busy = await occupyFirstLane(pool);
    expect(await cache.get('k')).toBe('old');
    const silence = gate.holdInvalidations();
    held.release();
    await writing;
    const seen = await cache.get('k');
    silence.release();
    await busy.over;
    return seen;
  }

  test('after put', async () => {
    expect((await overtaken('SET', ({ cache }) => cache.put('k', 'new'))).seen).toBe('new');
  });

  test('after putMany', async () => {
    const write = ({ cache }: Probe<unknown>) => cache.putMany([['k', 'new']]);
    expect((await overtaken('SET', write)).seen).toBe('new');
  });

  test('after remove of the key', async () => {
    expect((await overtaken('EVALSHA', ({ cache }) => cache.remove('k'))).seen).toBeUndefined();
  });

  test('after remove of a pattern', async () => {
    expect((await overtaken('UNLINK', ({ cache }) => cache.removeByPattern('k*'))).seen).toBeUndefined();
  });

  test('after clear', async () => {
    expect((await overtaken('UNLINK', ({ cache }) => cache.clear())).seen).toBeUndefined();
  });

  test('after removeByTag', async () => {
    expect((await overtaken('UNLINK', ({ cache }) => cache.removeByTag('t'))).seen).toBeUndefined();
  });

  test('after getDel', async () => {
    expect((await overtaken('GETDEL', ({ cache }) => cache.getDel('k'))).seen).toBeUndefined();
  });

  test('after getOrSet stored what it loaded', async () => {
    const gate = await startGate(server());
    const { cache, pool, name } = await localCacheOn(gate, {}, LANES);
    const old = `\x01{"d":1000}\n"old"`;
    await server().cli('SET', name('k'), old, 'PX', '60000');
    await cache.getOrSet('other', () => 'knows the script');
    const held = gate.holdCommand('EVALSHA', storeLoaded.sha);
    expect(await cache.getOrSet('k', () => 'loaded', { earlyRefresh: 1e9 })).toBe('old');
    await held.reached;
    // The value that is about to be replaced is read again on another lane.
    const busy = await occupyFirstLane(pool);
    expect(await cache.get('k')).toBe('old');
    const silence = gate.holdInvalidations();
    held.release();
    await eventually(async () => expect(await cache.get('k')).toBe('loaded'));
    silence.release();
    await busy.over;
  });

  test('under load, with invalidations that are late', async () => {
    const gate = await startGate(server());
    const { cache } = await localCacheOn(gate, {}, LANES);
    const stale: string[] = [];
    const writer = async (key: string) => {
      for (let i = 0; i < 30; i++) {
        await cache.put(key, i);
        const seen = await cache.get(key);
        if (seen !== i) stale.push(`${key}: ${String(seen)} after ${i}`);
      }
    };
    let over = false;
    const reader = async (key: string) => {
      while (!over) await Promise.all([cache.get(key), turns(1)]);
    };
    const keys = Array.from({ length: 300 }, (_, i) => `key${i}`);
    const readers = keys.map(reader);
    let silence = gate.holdInvalidations();
    const flapping = setInterval(() => {
      silence.release();
      silence = gate.holdInvalidations();
    }, 20);
    await Promise.all(keys.map(writer));
    over = true;
    clearInterval(flapping);
    silence.release();
    await Promise.all(readers);
    expect(stale).toEqual([]);
  });
});

describe('what others wrote', () => {
  test('is seen, whichever command it was written with', async () => {
    const { cache, name } = await localCacheOn(server());
    const writes: [string, string[]][] = [
      ['SET', [name('k'), '"b"']],
      ['APPEND', [name('k'), ' ']],
      ['RENAME', [name('other'), name('k')]],
      ['DEL', [name('k')]],
      ['GETDEL', [name('k')]],
    ];
    for (const [command, args] of writes) {
      await cache.put('k', 'a');
      await cache.put('other', 'c');
      await warm(cache, 'k');
      await server().cli(command, ...args);
      const expected = { SET: 'b', APPEND: 'a', RENAME: 'c' }[command];
      await eventually(async () => expect(await cache.get('k')).toBe(expected));
      const { remoteHits, misses } = cache.stats();
      expect(remoteHits + misses).toBeGreaterThan(1);
    }
  });

  test('is seen when only the time to live changed', async () => {
    const { cache, name } = await localCacheOn(server());
    await cache.put('k', 'a');
    await warm(cache, 'k');
    await server().cli('PEXPIRE', name('k'), '30');
    await eventually(async () => expect(await cache.get('k')).toBeUndefined());
  });

  test('is seen by another engine, both with a local tier', async () => {
    const prefix = newName();
    const [one, two] = await Promise.all([localCacheOn(server(), { prefix }), localCacheOn(server(), { prefix })]);
    for (let i = 0; i < 50; i++) {
      await one.cache.put('k', i);
      await eventually(async () => (await two.cache.get('k')) === i, { interval: 0 });
      await warm(two.cache, 'k');
    }
  });

  test('is not missed if it comes between a read and its reply', async () => {
    const gate = await startGate(server());
    const { cache, name } = await localCacheOn(gate);
    await cache.put('k', 'old');
    for (let round = 0; round < 100; round++) {
      await server().cli('SET', name('k'), '"old"');
      const reading = Array.from({ length: 5 }, () => cache.get('k'));
      const written = server().cli('SET', name('k'), '"new"');
      await Promise.all([...reading, written]);
      await eventually(async () => (await cache.get('k')) === 'new', { interval: 0 });
      await turns(3);
      expect(await cache.get('k')).toBe('new');
    }
  });

  test('FLUSHALL during fetches leaves nothing that is served once it was told', async () => {
    const probe = await localCacheOn(server());
    const { cache, name } = probe;
    const direct = poolOn(server());
    const keys = Array.from({ length: 20 }, (_, i) => `key${i}`);
    const entries = Object.fromEntries(keys.map((key) => [name(key), '"old"']));
    let fetches = 0;
    let stale = 0;
    for (let round = 0; round < 500; round++) {
      await direct.mSet({ ...entries, [name('probe')]: '0' });
      await warm(cache, 'probe');
      const fetching: Promise<unknown>[] = [];
      const flushed = turns(round % 3).then(() =>
        Promise.all([direct.flushAll(), direct.set(name('probe'), String(round + 1))]),
      );
      for (const key of keys) {
        fetching.push(cache.get(key));
        fetches++;
        if (fetches % 7 === 0) await turns(1);
      }
      await Promise.all([...fetching, flushed]);
      // The probe was here too; that the new one is seen says that the flush was told.
      while ((await cache.get('probe')) !== round + 1) await turns(1);
      for (const value of await cache.getMany(keys)) if (value !== undefined) stale++;
    }
    expect(fetches).toBe(10_000);
    expect(stale).toBe(0);
  });

  test('keys that have the same beginning but another prefix are none of the cache', async () => {
    const { cache, prefix, pool } = await localCacheOn(server());
    await cache.put('k', 'a');
    await warm(cache, 'k');
    const reads = cache.stats().remoteHits;
    await pool.set(`${prefix}k`, 'x');
    await pool.set(`x${prefix}#k`, 'x');
    await turns(5);
    expect(await cache.get('k')).toBe('a');
    expect(cache.stats().remoteHits).toBe(reads);
  });

  test('a key that is not well-formed text, which is another key in Redis, is refused', async () => {
    const { cache } = await localCacheOn(server());
    expect(await failure(cache.put('\ud800', 'a'))).toBeInstanceOf(InvalidArgumentError);
    expect(await failure(cache.get('a\udc00'))).toBeInstanceOf(InvalidArgumentError);
  });

  test('keys of many bytes per character are matched', async () => {
    const { cache, name } = await localCacheOn(server(), { prefix: 'präfix-日本' }, { keyPrefix: 'ключ:' });
    await cache.put('schlüssel-🔑', 'a');
    await warm(cache, 'schlüssel-🔑');
    await server().cli('SET', `ключ:${name('schlüssel-🔑')}`, '"b"');
    await eventually(async () => expect(await cache.get('schlüssel-🔑')).toBe('b'));
  });
});

describe('a cache without a prefix', () => {
  test.each([
    ['of the cache and of the pool', {}, ''],
    ['of the cache, on a pool with a keyPrefix', { keyPrefix: 'app:' }, 'app:'],
  ])('%s has a local tier that hears of every key and tag', async (_, poolOptions, keyPrefix) => {
    const probe = await localCacheOn(server(), { prefix: '' }, poolOptions);
    const { cache } = probe;
    const key = newName('key');
    await cache.put(key, 'a', { tags: ['t'] });
    await warm(cache, key);
    await server().cli('SET', keyPrefix + key, '"b"');
    await eventually(async () => expect(await cache.get(key)).toBe('b'));
    await cache.put(key, 'c', { tags: ['t'] });
    await warm(cache, key);
    const other = poolOn(server(), poolOptions).getCache({ prefix: '' });
    await other.removeByTag('t');
    await eventually(async () => expect(await cache.get(key)).toBeUndefined());
  });
});

test('two caches of one prefix in one pool see each other', async () => {
  const one = await localCacheOn(server());
  const two = one.pool.getCache({ prefix: one.prefix, local: true });
  await isUp(one);
  await one.cache.put('k', 1);
  await warm(two, 'k');
  await one.cache.put('k', 2);
  await eventually(async () => (await two.get('k')) === 2);
  await sleep(0);
  two.close();
});
