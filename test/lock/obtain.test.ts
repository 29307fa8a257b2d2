import { describe, expect, test } from 'vitest';
import { AbortError, InvalidArgumentError, type Lock } from '../../src/index.js';
import { engineOn, failure, timed } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { lockerOn, newKey, poolOn, scriptCalls } from './support.js';

const server = useRedis();

async function obtained(promise: Promise<Lock | null>): Promise<Lock> {
  const lock = await promise;
  expect(lock).not.toBeNull();
  return lock as Lock;
}

describe('obtain', () => {
  test('gives the lock to one caller, and null to another without waiting', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const lock = await obtained(a.obtain(key, '1m'));
    expect(await timed(b.obtain(key, '1m'))).toBeLessThan(500);
    expect(await b.obtain(key, '1m')).toBeNull();
    expect(await a.obtain(key, '1m')).toBeNull();
    expect(await lock.release()).toBe(true);
    await obtained(b.obtain(key, '1m'));
  });

  test('tells what it holds', async () => {
    const key = newKey();
    const lock = await obtained(lockerOn(server()).obtain(key, '1m', 0, { metadata: ' host 7' }));
    expect(lock).toMatchObject({ key, keys: [key], metadata: ' host 7', held: true });
    expect(lock.fence).toBeGreaterThan(Date.now() * 999);
    expect(lock.signal.aborted).toBe(false);
    const stored = String(await server().cli('GET', key));
    expect(stored.startsWith(`${lock.token} host 7`)).toBe(true);
  });

  test('draws a token of 128 random bits or more for each lock', async () => {
    const locker = lockerOn(server());
    const locks = await Promise.all(Array.from({ length: 600 }, () => obtained(locker.obtain(newKey(), '1m'))));
    const tokens = locks.map((lock) => lock.token);
    expect(new Set(tokens).size).toBe(600);
    for (const token of tokens) expect(Buffer.from(token, 'base64url').length).toBeGreaterThanOrEqual(16);
    // No byte is the same in all of them.
    for (let at = 0; at < 16; at++) {
      expect(new Set(tokens.map((token) => Buffer.from(token, 'base64url')[at])).size).toBeGreaterThan(64);
    }
  });

  test("takes the caller's token and metadata", async () => {
    const key = newKey();
    const lock = await obtained(lockerOn(server()).obtain(key, '1m', 0, { token: 'mine', metadata: '{"pid":7}' }));
    expect(lock).toMatchObject({ token: 'mine', metadata: '{"pid":7}' });
    expect(String(await server().cli('GET', key))).toMatch(/^mine\{"pid":7\}/);
    expect(await lock.refresh('2m')).toBe(true);
    expect(await lock.release()).toBe(true);
  });

  test('makes exactly one attempt with waitTimeout 0', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await obtained(locker.obtain(key, '1m'));
    await server().cli('CONFIG', 'RESETSTAT');
    expect(await locker.obtain(key, '1m', 0)).toBeNull();
    expect(await scriptCalls(server())).toBe(1);
    expect(await locker.inspect(key)).toMatchObject({ waiting: 0 });
  });

  test('waits as long as waitTimeout says and not longer', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await obtained(locker.obtain(key, '1m'));
    for (const wait of [300, '300ms'] as const) {
      const startedAt = performance.now();
      expect(await locker.obtain(key, '1m', wait)).toBeNull();
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(299);
      expect(performance.now() - startedAt).toBeLessThan(700);
    }
    expect(await locker.inspect(key)).toMatchObject({ held: true, waiting: 0 });
  });

  test('may wait longer than its ttl, and gets the lock when the holder expires', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const holder = await obtained(locker.obtain(key, 400));
    const next = await obtained(locker.obtain(key, 200, '5s'));
    expect(next.fence).toBeGreaterThan(holder.fence);
    expect(holder.held).toBe(false);
  });

  test('waits for ever until it is aborted, and tells why', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    await obtained(locker.obtain(key, '1m'));
    const abort = new AbortController();
    const waits = failure(locker.obtain(key, '1m', Number.POSITIVE_INFINITY, { signal: abort.signal }));
    await eventually(async () => (await locker.inspect(key)).waiting === 1);
    const reason = new Error('no longer needed');
    abort.abort(reason);
    const error = await waits;
    expect(error).toBeInstanceOf(AbortError);
    expect(error?.cause).toBe(reason);
    await eventually(async () => (await locker.inspect(key)).waiting === 0);
  });

  test('asks for nothing with a signal that is aborted', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const error = await failure(locker.obtain(key, '1m', '1s', { signal: AbortSignal.abort(new Error('before')) }));
    expect(error).toBeInstanceOf(AbortError);
    expect(error?.cause).toEqual(new Error('before'));
    expect((await locker.inspect(key)).held).toBe(false);
  });
});

describe('what can never be right is refused before anything is sent', () => {
  const bad = [0, -1, Number.NaN, 1.5, Number.POSITIVE_INFINITY, '0ms', '-1s', '5', '', 'soon', null, {}] as never[];

  test.each(bad)('ttl %s', async (ttl) => {
    const locker = lockerOn({ address: '127.0.0.1:1' });
    const error = await failure(locker.obtain('key', ttl));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error?.message).toMatch(/^ttl must be a duration greater than 0/);
  });

  test('no ttl', async () => {
    const error = await failure(lockerOn({ address: '127.0.0.1:1' }).obtain('key', undefined as never));
    expect(error).toBeInstanceOf(InvalidArgumentError);
  });

  test.each([-1, Number.NaN, 0.5, Number.NEGATIVE_INFINITY, '-1s', 'long', null] as never[])(
    'waitTimeout %s',
    async (waitTimeout) => {
      const error = await failure(lockerOn({ address: '127.0.0.1:1' }).obtain('key', '1s', waitTimeout));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error?.message).toMatch(/^waitTimeout /);
    },
  );

  test.each([
    ['an empty key', ''],
    ['an empty Buffer', Buffer.alloc(0)],
    ['a number', 5],
    ['nothing', undefined],
    ['no key at all', []],
    ['an empty key among others', ['a', '']],
    ['the same key twice', ['a', 'b', 'a']],
    ['the same key as string and Buffer', ['a', Buffer.from('a')]],
  ] as never[][])('%s as key', async (_, key) => {
    const locker = lockerOn({ address: '127.0.0.1:1' });
    expect(await failure(locker.obtain(key as never, '1s'))).toBeInstanceOf(InvalidArgumentError);
  });

  test.each(['', 5, null, Buffer.from('token')] as never[])('token %s', async (token) => {
    const locker = lockerOn({ address: '127.0.0.1:1' });
    expect(await failure(locker.obtain('key', '1s', 0, { token }))).toBeInstanceOf(InvalidArgumentError);
  });

  test('metadata that is no string', async () => {
    const locker = lockerOn({ address: '127.0.0.1:1' });
    expect(await failure(locker.obtain('key', '1s', 0, { metadata: {} as never }))).toBeInstanceOf(
      InvalidArgumentError,
    );
  });

  test.each([0, -1, Number.NaN, '0ms'] as never[])('refresh(%s), and the lock stays as it is', async (ttl) => {
    const lock = await obtained(lockerOn(server()).obtain(newKey(), '1m'));
    expect(await failure(lock.refresh(ttl))).toBeInstanceOf(InvalidArgumentError);
    expect(await lock.ttl()).toBeGreaterThan(50_000);
  });
});

describe('keys', () => {
  test.each([
    ['binary', Buffer.from([0, 255, 13, 10, 123, 128, 1])],
    ['of 1 KB', 'k'.repeat(1024)],
    ['of 1 KB, binary', Buffer.alloc(1024, 200)],
    ['with a hash tag', 'user:{42}:lock'],
    ['with braces that are no tag', '}{a}{{}}'],
    ['with spaces and line breaks', 'a b\r\n c'],
    ['not in ASCII', 'ключ-🔑'],
  ])('%s', async (_, key) => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const first = await obtained(a.obtain(key, '1m'));
    expect(first.key).toBe(key);
    const second = b.obtain(key, '1m', '5s');
    await eventually(async () => (await b.inspect(key)).waiting === 1);
    expect(await first.release()).toBe(true);
    const lock = await obtained(second);
    expect(lock.fence).toBeGreaterThan(first.fence);
    expect(await lock.refresh('2m')).toBe(true);
    expect(await lock.ttl()).toBeGreaterThan(60_000);
    expect(await lock.release()).toBe(true);
    expect(await b.inspect(key)).toMatchObject({ held: false, waiting: 0 });
  });

  test('are those that were given, whatever becomes of the array or the Buffer', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const keys = [newKey(), newKey()];
    const key = Buffer.from(newKey());
    const all = [...keys, String(key)];
    const [several, one] = await Promise.all([obtained(a.obtain(keys, '1m')), obtained(a.obtain(key, '1m'))]);
    const next = all.map((name) => obtained(b.obtain(name, '1m', '5s')));
    keys.pop();
    key.fill('x');
    expect(await Promise.all([several.release(), one.release()])).toEqual([true, true]);
    for (const lock of await Promise.all(next)) expect(await lock.release()).toBe(true);
  });

  test('a Buffer and a string of the same bytes are one key', async () => {
    const locker = lockerOn(server());
    await obtained(locker.obtain('ключ', '1m'));
    expect(await locker.obtain(Buffer.from('ключ'), '1m')).toBeNull();
    expect(await locker.obtain(Buffer.from('ключ'), '1m', 50)).toBeNull();
  });

  test("the pool's prefix goes before them, so that pools with other prefixes do not meet", async () => {
    const key = newKey();
    const [one, two] = [lockerOn(server(), { keyPrefix: 'one:' }), lockerOn(server(), { keyPrefix: 'two:' })];
    const first = await obtained(one.obtain(key, '1m'));
    expect(first.key).toBe(key);
    const other = await obtained(two.obtain(key, '1m'));
    expect(await server().cli('EXISTS', `one:${key}`, `two:${key}`, key)).toBe(2);
    expect(await lockerOn(server()).obtain(`one:${key}`, '1m')).toBeNull();
    const next = one.obtain(key, '1m', '5s');
    await eventually(async () => (await one.inspect(key)).waiting === 1);
    await first.release();
    expect(await (await obtained(next)).release()).toBe(true);
    expect(other.held).toBe(true);
  });
});

describe('refresh', () => {
  test('sets the time that is left, counted from now', async () => {
    const lock = await obtained(lockerOn(server()).obtain(newKey(), '10s'));
    expect(await lock.refresh('1m')).toBe(true);
    expect(await lock.ttl()).toBeGreaterThan(59_000);
    expect(lock.expiresAt - performance.now()).toBeGreaterThan(59_000);
    expect(await lock.refresh('2s')).toBe(true);
    expect(await lock.ttl()).toBeLessThanOrEqual(2_000);
    expect(await lock.ttl()).toBeGreaterThan(1_000);
    expect(lock.expiresAt - performance.now()).toBeLessThanOrEqual(2_000);
  });

  test('is false once the lock was lost to another, and the other keeps it', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const lost = await obtained(a.obtain(key, '1m'));
    await server().cli('DEL', key);
    const lock = await obtained(b.obtain(key, '10s'));
    expect(await lost.refresh('1m')).toBe(false);
    expect(lost.held).toBe(false);
    expect(lost.signal.aborted).toBe(true);
    expect(await lock.ttl()).toBeLessThanOrEqual(10_000);
    expect(await lost.refresh('1m')).toBe(false);
    expect(await lost.ttl()).toBe(0);
  });

  test('is false once the lock has expired, even if nobody else took it', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const lock = await obtained(locker.obtain(key, 400));
    await eventually(() => !lock.held);
    expect(await lock.refresh('1m')).toBe(false);
    // On the server, which counts from later, it may live a little longer.
    await eventually(async () => !(await locker.inspect(key)).held);
  });

  test('is false after release', async () => {
    const lock = await obtained(lockerOn(server()).obtain(newKey(), '1m'));
    await lock.release();
    expect(await lock.refresh('1m')).toBe(false);
    expect(await lock.ttl()).toBe(0);
  });
});

describe('ttl()', () => {
  test('is what the server has, not what was asked for', async () => {
    const key = newKey();
    const lock = await obtained(lockerOn(server()).obtain(key, '1m'));
    await server().cli('PEXPIRE', key, '5000');
    expect(await lock.ttl()).toBeLessThanOrEqual(5_000);
    expect(await lock.ttl()).toBeGreaterThan(4_000);
  });

  test('is 0 when the key is gone or belongs to another', async () => {
    const key = newKey();
    const lock = await obtained(lockerOn(server()).obtain(key, '1m'));
    await server().cli('DEL', key);
    expect(await lock.ttl()).toBe(0);
    await server().cli('SET', key, 'other', 'PX', '60000');
    expect(await lock.ttl()).toBe(0);
  });
});

describe('release', () => {
  test('is true once, then false, also when both are under way', async () => {
    const locker = lockerOn(server());
    const lock = await obtained(locker.obtain(newKey(), '1m'));
    expect(await Promise.all([lock.release(), lock.release()])).toEqual([true, false]);
    expect(await lock.release()).toBe(false);
    expect(lock.held).toBe(false);
    expect(lock.signal.aborted).toBe(false);
  });

  test('a second one does not take the lock from who got it meanwhile', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const lock = await obtained(locker.obtain(key, '1m', 0, { token: 'same' }));
    await lock.release();
    const next = await obtained(locker.obtain(key, '1m', 0, { token: 'same' }));
    expect(await lock.release()).toBe(false);
    expect(await next.ttl()).toBeGreaterThan(0);
  });

  test('of one who lost the lock does not take it from another with the same token, though others wait', async () => {
    const locker = lockerOn(server());
    for (const keys of [[newKey()], [newKey(), newKey()]]) {
      const lost = await obtained(locker.obtain(keys, '1m', 0, { token: 'same' }));
      await server().cli('DEL', ...(keys as [string]));
      const lock = await obtained(locker.obtain(keys, '1m', 0, { token: 'same' }));
      const waiter = locker.obtain(keys, '1m', '10s');
      await eventually(async () => (await locker.inspect(keys[0] as string)).waiting === 1);
      expect(await lost.release()).toBe(false);
      expect(await lock.ttl()).toBeGreaterThan(0);
      expect(await lock.release()).toBe(true);
      await (await obtained(waiter)).release();
    }
  });

  test('is false after expiry, and another who holds the key now keeps it', async () => {
    const [a, b] = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    const expired = await obtained(a.obtain(key, 400));
    const lock = await obtained(b.obtain(key, '1m', '5s'));
    expect(await expired.release()).toBe(false);
    expect(await lock.ttl()).toBeGreaterThan(0);
    expect(await lock.release()).toBe(true);
  });

  test("is false while the key belongs to another, whatever the other's token", async () => {
    const locker = lockerOn(server());
    for (const theirs of ['', 'x', '#', '#12', '-meta', '#1700000000000000']) {
      const key = newKey();
      const lock = await obtained(locker.obtain(key, '1m', 0, { token: 'mine' }));
      await server().cli('SET', key, `mine${theirs}`, 'PX', '60000');
      expect(await lock.refresh('2m')).toBe(false);
      expect(await lock.release()).toBe(false);
      expect(await server().cli('GET', key)).toBe(`mine${theirs}`);
    }
  });

  test.each([
    ['a prefix of', 'holder', 'hold'],
    ['an extension of', 'hold', 'holder'],
    ['with the fence of', 'holder', 'holder#1'],
  ])('a token that is %s the token of the holder owns nothing', async (_, theirs, ours) => {
    const locker = lockerOn(server());
    for (const keys of [[newKey()], [newKey(), newKey()]]) {
      const lock = await obtained(locker.obtain(keys, '1m', 0, { token: ours }));
      for (const key of keys) await server().cli('DEL', key);
      const other = await obtained(locker.obtain(keys, '1m', 0, { token: theirs }));
      expect(await lock.ttl()).toBe(0);
      expect(await lock.release()).toBe(false);
      expect(await other.ttl()).toBeGreaterThan(0);
      expect(await other.release()).toBe(true);
    }
  });

  test('is what `await using` does', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    {
      await using lock = await obtained(locker.obtain(key, '1m'));
      expect((await locker.inspect(key)).fence).toBe(lock.fence);
    }
    expect((await locker.inspect(key)).held).toBe(false);
  });
});

describe('the locks of a pool', () => {
  test('are one object', () => {
    const pool = poolOn(server());
    expect(pool.getLocker()).toBe(pool.getLocker());
  });

  test('go on after SCRIPT FLUSH', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const lock = await obtained(locker.obtain(key, '1m'));
    for (const step of [
      () => lock.refresh('2m'),
      async () => (await lock.ttl()) > 60_000,
      async () => (await locker.obtain(key, '1m', 30)) === null,
      () => lock.release(),
    ]) {
      await server().cli('SCRIPT', 'FLUSH');
      expect(await step()).toBe(true);
    }
  });

  test('asked for in one turn share script calls, each with its own outcome', async () => {
    const locker = lockerOn(server());
    const taken = await obtained(locker.obtain(newKey(), '1m'));
    const keys = [newKey(), taken.key as string, newKey(), newKey()];
    await server().cli('CONFIG', 'RESETSTAT');
    const locks = await Promise.all(keys.map((key) => locker.obtain(key, '1m')));
    expect(locks.map((lock) => lock?.key)).toEqual([keys[0], undefined, keys[2], keys[3]]);
    const released = await Promise.all(locks.map((lock) => lock?.release()));
    expect(released).toEqual([true, undefined, true, true]);
    expect(await scriptCalls(server())).toBe(2);
  });

  test('asked for on one key in one turn go to the first', async () => {
    const locker = lockerOn(server());
    const key = newKey();
    const locks = await Promise.all(Array.from({ length: 70 }, () => locker.obtain(key, '1m')));
    expect(locks.map((lock) => lock !== null)).toEqual(locks.map((_, i) => i === 0));
  });
});

test('text that is no Unicode is refused, as it would be the same as other such text in Redis', async () => {
  const locker = lockerOn(server());
  const half = 'user:\ud800';
  for (const attempt of [
    () => locker.obtain(half, '1m'),
    () => locker.obtain([newKey(), half], '1m'),
    () => locker.tryLock(half, '1m'),
    () => locker.run(half, { ttl: '1m' }, () => undefined),
    () => locker.semaphore(half, 1).obtain('1m'),
    () => locker.readWriteLock(half).obtainRead('1m'),
    () => locker.inspect(half),
    () => locker.obtain(newKey(), '1m', 0, { token: half }),
    () => locker.obtain(newKey(), '1m', 0, { metadata: half }),
  ]) {
    const error = await failure(attempt());
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error?.message).toContain('surrogate');
  }
  expect(await locker.obtain(Buffer.from(half), '1m')).not.toBeNull();
  expect(await locker.obtain('user:\ud83d\ude00', '1m')).not.toBeNull();
});

describe('an option that is not known is refused with the nearest name', () => {
  const wrong = (options: object) => options as never;

  test('of every kind of lock, before anything is sent', async () => {
    const pool = poolOn(server());
    const locker = pool.getLocker();
    const attempts: [() => Promise<unknown>, RegExp][] = [
      [() => locker.obtain('k', '1m', 0, wrong({ autoRenwe: true })), /"autoRenwe".*"autoRenew"/],
      [() => locker.obtain('k', '1m', 0, wrong({ watchdog: true })), /"watchdog".*"autoRenew"/],
      [() => locker.obtain('k', '1m', 0, wrong(new AbortController().signal)), /obtain takes an object with options/],
      [() => locker.obtain('k', '1m', 0, null as never), /obtain takes an object with options/],
      [() => locker.obtain('k', '1m', wrong({ token: 'secret' })), /waitTimeout must be a duration; options are/],
      [() => locker.semaphore('k', 2).obtain('1m', 0, wrong({ sginal: undefined })), /"sginal".*"signal"/],
      [() => locker.readWriteLock('k').obtainRead('1m', 0, wrong({ replica: 1 })), /"replica".*"replicas"/],
      [() => locker.readWriteLock('k').obtainWrite('1m', 0, wrong({ abortSignal: 1 })), /"abortSignal".*"signal"/],
      [() => locker.run('k', wrong({ ttl: '1m', timeout: '1s' }), () => 1), /"timeout".*"waitTimeout"/],
      [() => locker.run('k', wrong({ ttl: '1m', autoRenew: false }), () => 1), /"autoRenew" is not an option of run/],
      [
        () =>
          locker.run(
            'k',
            wrong(() => 1),
            undefined as never,
          ),
        /run takes an object with options/,
      ],
      [() => locker.run('k', { ttl: '1m' }, undefined as never), /run needs the function/],
      [async () => locker.mutex('k', wrong({ tll: '1m' })), /"tll".*"ttl"/],
      [async () => locker.mutex('k', undefined as never), /mutex takes an object with options \(ttl\)/],
    ];
    for (const [attempt, message] of attempts) {
      const error = await failure(attempt());
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error?.message).toMatch(message);
      expect(error?.message).not.toContain('secret');
    }
    expect(pool.stats()).toMatchObject({ connections: 0, pending: 0 });
  });

  test('of a Redlock and its store', async () => {
    const engine = engineOn(server().address);
    const redlock = (options: object) => () => engine.getRedlock(['default'], wrong(options));
    expect(redlock({ retries: 3 })).toThrow(/"retries".*"retryCount"/);
    expect(redlock({ store: { kind: 'map', max: 3 } })).toThrow(/"max" is not an option of store of getRedlock/);
    expect(redlock({ store: { kind: 'lru', maxSize: 3 } })).toThrow(/"maxSize".*"max"/);
    const error = await failure(engine.getRedlock(['default']).lock('k', '1m', wrong({ singal: undefined })));
    expect(error?.message).toMatch(/"singal".*"signal"/);
  });
});
