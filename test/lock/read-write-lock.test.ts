import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ClosedError, type Lock, type Locker } from '../../src/index.js';
import { engineOn, failure } from '../support/engine.js';
import { eventually, startProxy, useRedis } from '../support/redis.js';
import { channels, lockerOn, newKey, scriptCalls } from './support.js';

const server = useRedis();

function waiting(key: string, count: number): Promise<unknown> {
  return eventually(async () => (await server().cli('LLEN', `lagoon:locks:${key}`)) === count);
}

describe('a read/write lock', () => {
  test('is shared by readers and not by a writer', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const readers = [
      await a.readWriteLock(key).obtainRead('1m'),
      await b.readWriteLock(key).obtainRead('1m'),
      await a.readWriteLock(key).obtainRead('1m'),
    ];
    expect(readers).not.toContain(null);
    expect(await a.readWriteLock(key).obtainWrite('1m')).toBeNull();
    for (const reader of readers) {
      expect(await a.readWriteLock(key).obtainWrite('1m')).toBeNull();
      expect(await reader?.release()).toBe(true);
    }
    const writer = await a.readWriteLock(key).obtainWrite('1m');
    expect(writer).not.toBeNull();
    expect(await b.readWriteLock(key).obtainWrite('1m')).toBeNull();
    expect(await b.readWriteLock(key).obtainRead('1m')).toBeNull();
    expect(await writer?.release()).toBe(true);
    expect(await b.readWriteLock(key).obtainRead('1m')).not.toBeNull();
  });

  test('gives a waiting writer its turn before readers who come later, then to all of those at once', async () => {
    const lockers = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const lock = (n: number) => (lockers[n % 2] as Locker).readWriteLock(key);
    const reader = await lock(0).obtainRead('1m');
    const order: string[] = [];
    const writer = lock(1).obtainWrite('1m', '10s');
    void writer.then(() => order.push('writer'));
    await waiting(key, 1);
    expect(await lock(0).obtainRead('1m')).toBeNull();
    const late = [0, 1, 2].map((n) => {
      const wait = lock(n).obtainRead('1m', '10s');
      void wait.then(() => order.push('reader'));
      return wait;
    });
    await waiting(key, 4);
    await reader?.release();
    const writing = await writer;
    expect(order).toEqual(['writer']);
    await writing?.release();
    const readers = await Promise.all(late);
    // They hold it together.
    expect(await server().cli('ZCARD', key)).toBe(3);
    expect(readers.map((each) => each?.held)).toEqual([true, true, true]);
  });

  test('is first in, first out: readers up to the next writer go together', async () => {
    const locker = lockerOn(server()).readWriteLock(newKey());
    const writer = await locker.obtainWrite('1m');
    const order: string[] = [];
    const take = async (name: string, wait: Promise<Lock | null>) => {
      const lock = await wait;
      order.push(`${name}+`);
      await sleep(20);
      order.push(`${name}-`);
      await lock?.release();
    };
    const all = [
      take('r1', locker.obtainRead('1m', '10s')),
      take('r2', locker.obtainRead('1m', '10s')),
      take('w1', locker.obtainWrite('1m', '10s')),
      take('r3', locker.obtainRead('1m', '10s')),
      take('w2', locker.obtainWrite('1m', '10s')),
    ];
    await sleep(50);
    await writer?.release();
    await Promise.all(all);
    expect(order).toEqual(['r1+', 'r2+', 'r1-', 'r2-', 'w1+', 'w1-', 'r3+', 'r3-', 'w2+', 'w2-']);
  });

  test('never has a writer beside anybody, with 50 callers', async () => {
    const lockers = [lockerOn(server()), lockerOn(server()), lockerOn(server())];
    const key = newKey();
    let readers = 0;
    let writers = 0;
    let together = 0;
    const callers = Array.from({ length: 50 }, async (_, n) => {
      const lock = (lockers[n % 3] as Locker).readWriteLock(key);
      for (let i = 0; i < 4; i++) {
        const writes = (n + i) % 5 === 0;
        const held = await (writes ? lock.obtainWrite('1m', '20s') : lock.obtainRead('1m', '20s'));
        expect(held).not.toBeNull();
        if (writes) writers++;
        else readers++;
        expect(writers === 0 || (writers === 1 && readers === 0)).toBe(true);
        together = Math.max(together, readers);
        await sleep(1);
        if (writes) writers--;
        else readers--;
        await held?.release();
      }
    });
    await Promise.all(callers);
    expect(together).toBeGreaterThan(1);
    expect(await server().cli('EXISTS', key)).toBe(0);
  });

  test('makes room when readers or a writer expire', async () => {
    const lock = lockerOn(server()).readWriteLock(newKey());
    await Promise.all([lock.obtainRead(100), lock.obtainRead(250)]);
    const startedAt = performance.now();
    const writer = await lock.obtainWrite(150, '5s');
    expect(writer).not.toBeNull();
    expect(performance.now() - startedAt).toBeGreaterThan(200);
    const readers = await Promise.all([1, 2, 3].map(() => lock.obtainRead('1m', '5s')));
    expect(readers).not.toContain(null);
    expect(performance.now() - startedAt).toBeLessThan(400 + 500);
  });

  test('lets the readers behind a writer go on when it gives up', async () => {
    const key = newKey();
    const lock = lockerOn(server()).readWriteLock(key);
    await lock.obtainRead('1m');
    const abort = new AbortController();
    const writer = failure(lock.obtainWrite('1m', '10s', { signal: abort.signal }));
    await waiting(key, 1);
    const readers = [lock.obtainRead('1m', '10s'), lock.obtainRead('1m', '10s')];
    await waiting(key, 3);
    abort.abort();
    expect(await writer).toMatchObject({ code: 'ABORT_ERR' });
    expect(await Promise.all(readers)).not.toContain(null);
    const brief = lock.obtainWrite('1m', 50);
    expect(await brief).toBeNull();
  });

  test('does not let a writer whose process is gone keep readers waiting for long', async () => {
    const key = newKey();
    const [lock, other] = [lockerOn(server()).readWriteLock(key), lockerOn(server()).readWriteLock(key)];
    await lock.obtainRead('1m');
    const engine = engineOn(server().address);
    const writer = failure(engine.getRedis().getLocker().readWriteLock(key).obtainWrite('1m', '1m'));
    await waiting(key, 1);
    // The clock was ahead, an hour ago.
    const mark = `lagoon:locks?${(await channels(server()))[0]}`;
    await server().cli('SET', mark, String(Date.now() + 3_600_000));
    await engine.close();
    expect(await writer).toBeInstanceOf(ClosedError);
    // The server has read of the closed connection.
    await eventually(async () => (await channels(server())).length === 0);
    const askedAt = performance.now();
    expect(await other.obtainRead('1m', '30s')).not.toBeNull();
    expect(performance.now() - askedAt).toBeLessThan(10_000);
    await waiting(key, 0);
  });

  test('keeps the place of a writer that is away for a moment, and again for a moment later', async () => {
    const proxy = await startProxy(server().address);
    try {
      const key = newKey();
      const lock = lockerOn(server()).readWriteLock(key);
      const reader = await lock.obtainRead('1m');
      const writer = lockerOn(proxy).readWriteLock(key).obtainWrite('1m', '1m');
      await waiting(key, 1);
      const [channel] = await channels(server());
      const mark = `lagoon:locks?${channel}`;
      for (const moment of [1, 2]) {
        proxy.blackhole(true);
        proxy.cutAll();
        await eventually(async () => (await channels(server())).length === 0);
        expect(await lock.obtainRead('1m')).toBeNull();
        expect(await server().cli('PTTL', mark)).toBeGreaterThan(60_000);
        // The first was long ago.
        if (moment === 1) await server().cli('SET', mark, '1', 'KEEPTTL');
        proxy.blackhole(false);
        await eventually(async () => (await server().cli('EXISTS', mark)) === 0);
      }
      await reader?.release();
      expect(await (await writer)?.release()).toBe(true);
    } finally {
      await proxy.stop();
    }
  });

  test('keeps writers in their order though their connections are cut', async () => {
    const key = newKey();
    const lockers = Array.from({ length: 5 }, () => lockerOn(server()));
    const reader = await lockerOn(server()).readWriteLock(key).obtainRead('1m');
    const order: number[] = [];
    const writers: Promise<void>[] = [];
    for (const [i, locker] of lockers.entries()) {
      const write = async () => {
        const lock = await locker.readWriteLock(key).obtainWrite('1m', '1m');
        order.push(i);
        await lock?.release();
      };
      writers.push(write());
      await waiting(key, i + 1);
    }
    for (let round = 0; round < 3; round++) {
      await server().cli('CONFIG', 'RESETSTAT');
      for (const kind of ['pubsub', 'normal']) await server().cli('CLIENT', 'KILL', 'TYPE', kind, 'SKIPME', 'yes');
      await eventually(async () => (await channels(server())).length === 5 && (await scriptCalls(server())) >= 5);
    }
    await reader?.release();
    await Promise.all(writers);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  test('needs no right to send messages where nobody is handed anything', async () => {
    const key = newKey();
    const all = lockerOn(server()).readWriteLock(key);
    await server().cli('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+@all', '-publish');
    const few = lockerOn(server(), { username: 'reader', password: 'secret' }).readWriteLock(key);
    await all.obtainRead('1m');
    const reader = await few.obtainRead('1m');
    const writer = all.obtainWrite('1m', '10s');
    await waiting(key, 1);
    const [channel] = await channels(server());
    // Nor does it take away what others found out.
    await server().cli('SET', `lagoon:locks?${channel}`, '1');
    expect(await few.obtainRead('1m')).toBeNull();
    expect(await server().cli('EXISTS', `lagoon:locks?${channel}`)).toBe(1);
    expect(await reader?.release()).toBe(true);
    await server().cli('DEL', key);
    expect(await all.obtainRead('1m', 1)).toBeNull();
    expect(await (await writer)?.release()).toBe(true);
  });

  test('takes the options of a lock, and refresh, ttl and fence work', async () => {
    const lock = lockerOn(server()).readWriteLock(newKey());
    const reader = (await lock.obtainRead('10s', 0, { token: 'reader', metadata: '!' })) as Lock;
    expect(reader).toMatchObject({ token: 'reader', metadata: '!' });
    expect(await reader.refresh('1m')).toBe(true);
    expect(await reader.ttl()).toBeGreaterThan(50_000);
    expect(await reader.release()).toBe(true);
    expect(await reader.ttl()).toBe(0);
    const writer = (await lock.obtainWrite(400, 0, { autoRenew: true })) as Lock;
    expect(writer.fence).toBeGreaterThan(reader.fence);
    await sleep(900);
    expect(writer.signal.aborted).toBe(false);
    expect(await writer.ttl()).toBeGreaterThan(0);
    expect(await writer.release()).toBe(true);
  });
});

test('nobody follows a holder before its own deadline, not by a part of a ms', async () => {
  const [locker, other] = [lockerOn(server()), lockerOn(server())];
  for (let held = 0; held < 40; ) {
    const key = newKey();
    const holder = await locker.readWriteLock(key).obtainWrite(20);
    // On a busy machine it may be over when it comes.
    if (!holder) continue;
    held++;
    let next: Lock | null = null;
    while (!next) next = await other.readWriteLock(key).obtainRead('1m');
    expect(performance.now()).toBeGreaterThanOrEqual(holder.expiresAt);
  }
});
