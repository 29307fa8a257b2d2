import { afterEach, describe, expect, test, vi } from 'vitest';
import { InvalidArgumentError, LockNotObtainedError, RedlockError } from '../../src/index.js';
import { countKeys, engineOver, eventually, failure, timed, useServers } from './support.js';

const servers = useServers(5);
const three = () => servers().slice(0, 3);
const CODES = ['p0', 'p1', 'p2'];
const FIVE = [...CODES, 'p3', 'p4'];
const ONCE = { retryCount: 0, tryTimeout: '2s' } as const;

afterEach(() => void vi.restoreAllMocks());

describe('a lock', () => {
  test('is the same key at every pool, with the token and the ttl', async () => {
    const redlock = (await engineOver(servers())).getRedlock(FIVE, ONCE);
    const lock = await redlock.lock('job', '10s');
    expect(lock.token).toMatch(/^[\w-]{22}$/);
    await eventually(async () => (await countKeys(servers(), 'job')) === 5);
    for (const server of servers()) {
      expect(String(await server.cli('GET', 'job')).split('#')[0]).toBe(lock.token);
      const left = Number(await server.cli('PTTL', 'job'));
      expect(left).toBeGreaterThan(8_000);
      expect(left).toBeLessThanOrEqual(10_000);
    }
  });

  test('is valid for the ttl less what asking took and the drift, exactly', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, ONCE);
    const clock = vi.spyOn(performance, 'now').mockReturnValue(50_000);
    const asked = redlock.lock('job', 10_000);
    clock.mockReturnValue(50_300);
    const lock = await asked;
    expect(lock.validity).toBe(10_000 - 300 - 102);
    expect(lock.expiresAt).toBe(50_000 + 10_000 - 102);
    clock.mockReturnValue(lock.expiresAt - 0.01);
    expect(lock.held).toBe(true);
    clock.mockReturnValue(lock.expiresAt);
    expect(lock.held).toBe(false);
  });

  test('takes the drift factor that it is given', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, { ...ONCE, driftFactor: 0.2 });
    vi.spyOn(performance, 'now').mockReturnValue(50_000);
    expect((await redlock.lock('job', 10_000)).validity).toBe(10_000 - 2_002);
  });

  test('of which nothing is left when the pools have answered is given back and not returned', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, ONCE);
    const clock = vi.spyOn(performance, 'now').mockReturnValue(50_000);
    const asked = redlock.lock('job', 10_000);
    clock.mockReturnValue(50_000 + 10_000 - 102);
    const error = await failure(asked);
    vi.restoreAllMocks();
    expect(error).toBeInstanceOf(RedlockError);
    expect(error?.message).toContain('nothing is left');
    expect(await countKeys(three(), 'job')).toBe(0);
  });

  test('excludes every other client, and is free again after its release', async () => {
    const [mine, theirs] = await Promise.all([engineOver(three()), engineOver(three())]);
    const lock = await mine.getRedlock(CODES, ONCE).lock('job', '10s');
    const other = theirs.getRedlock(CODES, ONCE);
    const error = await failure(other.lock('job', '10s'));
    expect(error).toBeInstanceOf(LockNotObtainedError);
    expect(error?.message).toContain('"job"');
    expect(await lock.release()).toBe(true);
    expect(await countKeys(three(), 'job')).toBe(0);
    await (await other.lock('job', '10s')).release();
  });

  test('is never held by two of many contenders', async () => {
    const engines = await Promise.all([engineOver(servers()), engineOver(servers())]);
    const redlocks = engines.map((engine) =>
      engine.getRedlock(FIVE, { retryCount: Number.POSITIVE_INFINITY, retryDelay: 20, tryTimeout: '1s' }),
    );
    let inside = 0;
    let most = 0;
    let done = 0;
    await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const lock = await redlocks[i % 2]?.lock('job', '20s');
        most = Math.max(most, ++inside);
        await new Promise(setImmediate);
        inside--;
        done++;
        await lock?.release();
      }),
    );
    expect({ most, done }).toEqual({ most: 1, done: 10 });
  });

  test('excludes those who use SET NX PX at a quorum of the servers, and is obtained where they have fewer', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, ONCE);
    await servers()[0]?.cli('SET', 'job', 'theirs', 'PX', '60000');
    const lock = await redlock.lock('job', '10s');
    expect(await lock.release()).toBe(true);
    await servers()[1]?.cli('SET', 'job', 'theirs', 'PX', '60000');
    expect(await failure(redlock.lock('job', '10s'))).toBeInstanceOf(LockNotObtainedError);
    // What is theirs is still there, and nothing else is.
    expect(await Promise.all(three().map((server) => server.cli('GET', 'job')))).toEqual(['theirs', 'theirs', null]);
  });

  test('hands each key to whoever waits for an ordinary lock on it', async () => {
    const engine = await engineOver(three());
    const lock = await engine.getRedlock(CODES, ONCE).lock('job', '30s');
    const waiting = engine.getRedis('p0').getLocker().obtain('job', '10s', '10s');
    await eventually(async () => (await engine.getRedis('p0').getLocker().inspect('job')).waiting === 1);
    expect(await lock.release()).toBe(true);
    expect(await waiting).not.toBeNull();
  });

  test('on a key of any bytes is one lock', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, ONCE);
    const key = Buffer.from([0, 255, 35, 123, 10]);
    await redlock.lock(key, '10s');
    expect(await failure(redlock.lock(key, '10s'))).toBeInstanceOf(LockNotObtainedError);
    expect(await redlock.unlock(Buffer.from(key))).toBe(true);
  });

  test('of one pool, or an even number of them, works too', async () => {
    const engine = await engineOver(servers());
    for (const codes of [['p0'], ['p0', 'p1'], ['p0', 'p1', 'p2', 'p3']]) {
      const redlock = engine.getRedlock(codes, ONCE);
      const lock = await redlock.lock('job', '10s');
      expect(await failure(redlock.lock('job', '10s'))).toBeInstanceOf(LockNotObtainedError);
      expect(await lock.release()).toBe(true);
    }
  });
});

describe('release', () => {
  test('is false the second time, and by `await using` it happens by itself', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, ONCE);
    const lock = await redlock.lock('job', '10s');
    expect(await Promise.all([lock.release(), lock.release()])).toEqual([true, false]);
    expect(lock.held).toBe(false);
    {
      await using again = await redlock.lock('job', '10s');
      expect(again.held).toBe(true);
    }
    expect(await countKeys(three(), 'job')).toBe(0);
  });

  test('is false if the lock was gone at a quorum, true if it was gone at fewer', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, ONCE);
    const lost = await redlock.lock('job', '10s');
    await eventually(async () => (await countKeys(three(), 'job')) === 3);
    for (const server of servers().slice(0, 2)) await server.cli('DEL', 'job');
    expect(await lost.release()).toBe(false);
    const held = await redlock.lock('job', '10s');
    await eventually(async () => (await countKeys(three(), 'job')) === 3);
    await servers()[0]?.cli('DEL', 'job');
    expect(await held.release()).toBe(true);
    expect(await countKeys(three(), 'job')).toBe(0);
  });

  test('by the old holder never releases the lock of the new one', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, ONCE);
    const old = await redlock.lock('job', '10s');
    await eventually(async () => (await countKeys(three(), 'job')) === 3);
    for (const server of three()) await server.cli('DEL', 'job'); // as if its time were over
    const next = await redlock.lock('job', '10s');
    await eventually(async () => (await countKeys(three(), 'job')) === 3);
    expect(await old.release()).toBe(false);
    expect(await countKeys(three(), 'job')).toBe(3);
    // The store still has the new one.
    expect(await redlock.unlock('job')).toBe(true);
    expect(await next.release()).toBe(false);
  });

  test('goes to every pool once, also if it says that the lock is not held', async () => {
    const engine = await engineOver(three());
    const redlock = engine.getRedlock(CODES, { retryCount: 5, retryDelay: 1 });
    await (await redlock.lock('warm', '10s')).release(); // the servers know the scripts now
    const seen: string[] = [];
    engine.registerQueryLogger(({ pool, operation }) => void (operation === 'EVALSHA' && seen.push(pool)));
    const lock = await redlock.lock('job', '10s');
    await eventually(() => seen.length === 3);
    for (const server of three()) await server.cli('DEL', 'job');
    expect(await lock.release()).toBe(false);
    await (await redlock.lock('other', '10s')).release();
    expect(seen.sort()).toEqual([...Array(4).fill('p0'), ...Array(4).fill('p1'), ...Array(4).fill('p2')]);
  });
});

describe('extend', () => {
  test('sets the time anew at every pool, and the validity with it', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, ONCE);
    const lock = await redlock.lock('job', '10s');
    await eventually(async () => (await countKeys(three(), 'job')) === 3);
    const startedAt = Math.ceil(performance.now());
    const clock = vi.spyOn(performance, 'now').mockReturnValue(startedAt);
    const asked = lock.extend('1m');
    await Promise.resolve(); // it is sent in the next turn of its queue
    clock.mockReturnValue(startedAt + 100);
    expect(await asked).toBe(true);
    expect(lock.expiresAt).toBe(startedAt + 60_000 - 602);
    expect(lock.validity).toBe(60_000 - 602 - 100);
    vi.restoreAllMocks();
    for (const server of three()) {
      await eventually(async () => Number(await server.cli('PTTL', 'job')) > 50_000);
    }
    expect(await lock.extend('5s')).toBe(true);
    expect(lock.validity).toBeLessThan(5_000);
  });

  test('is false once the lock is released, over, or lost at a quorum; true if it is lost at fewer', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, ONCE);
    const lock = await redlock.lock('job', '10s');
    await eventually(async () => (await countKeys(three(), 'job')) === 3);
    await servers()[0]?.cli('DEL', 'job');
    expect(await lock.extend('10s')).toBe(true);
    await servers()[1]?.cli('DEL', 'job');
    expect(await lock.extend('10s')).toBe(false);
    expect(lock.held).toBe(false);
    await lock.release();

    const released = await redlock.lock('job', '10s');
    await released.release();
    expect(await released.extend('10s')).toBe(false);

    const over = await redlock.lock('job', '10s');
    vi.spyOn(performance, 'now').mockReturnValue(over.expiresAt);
    expect(await over.extend('10s')).toBe(false);
  });
});

describe('a try that fails', () => {
  test.each([0, 2])('is made again retryCount times: %i', async (retryCount) => {
    const engine = await engineOver(three());
    await (await engine.getRedlock(CODES, ONCE).lock('warm', '10s')).release();
    for (const server of three()) await server.cli('SET', 'job', 'theirs');
    const seen: string[] = [];
    engine.registerQueryLogger(({ pool, operation }) => void (operation === 'EVALSHA' && seen.push(pool)));
    const redlock = engine.getRedlock(CODES, { retryCount, retryDelay: 5, tryTimeout: '2s' });
    expect(await failure(redlock.lock('job', '10s'))).toBeInstanceOf(LockNotObtainedError);
    for (const code of CODES) {
      // Each try asks for it, and gives it back.
      expect(seen.filter((pool) => pool === code)).toHaveLength(2 * (retryCount + 1));
    }
  });

  test('leaves no key anywhere', async () => {
    const redlock = (await engineOver(servers())).getRedlock(FIVE, { ...ONCE, retryCount: 1, retryDelay: 5 });
    for (const server of three()) await server.cli('SET', 'job', 'theirs');
    expect(await failure(redlock.lock('job', '10s'))).toBeInstanceOf(LockNotObtainedError);
    expect(await countKeys(servers(), 'job')).toBe(3);
  });

  test('succeeds as soon as the lock is free', async () => {
    const redlock = (await engineOver(three())).getRedlock(CODES, { retryCount: 1_000, retryDelay: 5 });
    for (const server of three()) await server.cli('SET', 'job', 'theirs', 'PX', '150');
    expect((await redlock.lock('job', '10s')).held).toBe(true);
  });
});

describe('an abort', () => {
  const PATIENT = { retryCount: 10, retryDelay: '1m', retryJitter: 0, tryTimeout: '2s' } as const;

  test('ends the delay before the next try, and nothing is left', async () => {
    const engine = await engineOver(three());
    const redlock = engine.getRedlock(CODES, PATIENT);
    for (const server of servers().slice(0, 2)) await server.cli('SET', 'job', 'theirs');
    const releases: string[] = [];
    engine.registerQueryLogger(({ pool }) => void releases.push(pool), { pools: ['p2'] });
    const abort = new AbortController();
    const asked = failure(redlock.lock('job', '10s', { signal: abort.signal }));
    await eventually(() => releases.length >= 2);
    abort.abort(new Error('enough'));
    const error = await asked;
    expect(error).toMatchObject({ code: 'ABORT_ERR', cause: { message: 'enough' } });
    expect(await countKeys(three(), 'job')).toBe(2);
  });

  test('ends a try in flight at once', async () => {
    const engine = await engineOver(three());
    const redlock = engine.getRedlock(CODES, { ...PATIENT, tryTimeout: '8s' });
    await (await redlock.lock('warm', '10s')).release();
    for (const server of servers().slice(0, 2)) await server.freeze();
    const abort = new AbortController();
    const asked = failure(redlock.lock('job', '1m', { signal: abort.signal }));
    await eventually(async () => (await countKeys(servers().slice(2, 3), 'job')) === 1);
    abort.abort();
    expect(await timed(asked)).toBeLessThan(1_000);
    expect(await asked).toMatchObject({ code: 'ABORT_ERR' });
    for (const server of servers().slice(0, 2)) await server.thaw();
    await eventually(async () => (await countKeys(three(), 'job')) === 0);
  });

  test('that came before sends nothing', async () => {
    const engine = await engineOver(three());
    const seen: unknown[] = [];
    engine.registerQueryLogger((event) => void seen.push(event));
    const error = await failure(engine.getRedlock(CODES).lock('job', '10s', { signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ code: 'ABORT_ERR' });
    expect(seen).toEqual([]);
  });

  test('is what the close of the engine is too', async () => {
    const engine = await engineOver(three());
    for (const server of three()) await server.cli('SET', 'job', 'theirs');
    const seen: string[] = [];
    engine.registerQueryLogger(({ pool }) => void seen.push(pool), { pools: ['p0'] });
    const asked = failure(engine.getRedlock(CODES, PATIENT).lock('job', '10s'));
    await eventually(() => seen.length >= 2);
    await engine.close();
    expect(await asked).toMatchObject({ code: 'LAGOON_CLOSED' });
  });
});

describe('what cannot be right is refused before anything is sent', () => {
  test('codes', async () => {
    const engine = await engineOver(three());
    expect(() => engine.getRedlock([])).toThrow(InvalidArgumentError);
    expect(() => engine.getRedlock(['p0', 'p1', 'p0'])).toThrow('"p0" stands there twice');
    expect(() => engine.getRedlock(['p0', 'px'])).toThrow(
      expect.objectContaining({ code: 'LAGOON_POOL_NOT_REGISTERED' }),
    );
    expect(() => engine.getRedlock('p0' as never)).toThrow(InvalidArgumentError);
    const same = await engineOver([...three(), ...servers().slice(0, 1)]);
    expect(() => same.getRedlock(['p0', 'p1', 'p3'])).toThrow(/"p0" and "p3" are the same server/);
  });

  test.each([
    { retryCount: -1 },
    { retryCount: 1.5 },
    { retryCount: Number.NaN },
    { retryDelay: -1 },
    { retryDelay: '5 s' },
    { retryJitter: Number.NaN },
    { driftFactor: -0.1 },
    { driftFactor: 1 },
    { driftFactor: Number.NaN },
    { driftFactor: '0.1' },
    { tryTimeout: 0 },
    { store: 'lfu' },
    { store: null },
    { store: { kind: 'map', gcInterval: 0 } },
    { store: { kind: 'lru', max: 0 } },
    { store: { kind: 'lru', max: 1.5 } },
    { store: { kind: 'lru', onEvict: 'no' } },
  ])('options: %o', async (options) => {
    const engine = await engineOver(three());
    expect(() => engine.getRedlock(CODES, options as never)).toThrow(InvalidArgumentError);
  });

  test.each([
    ['', '10s'],
    [7, '10s'],
    ['job', 0],
    ['job', -1],
    ['job', Number.NaN],
    ['job', '0ms'],
    ['job', 2],
    ['job', 500],
  ])('resource %o and ttl %o', async (resource, ttl) => {
    const engine = await engineOver(three());
    const seen: unknown[] = [];
    engine.registerQueryLogger((event) => void seen.push(event));
    const redlock = engine.getRedlock(CODES, { tryTimeout: 500 });
    expect(await failure(redlock.lock(resource as never, ttl as never))).toBeInstanceOf(InvalidArgumentError);
    expect(seen).toEqual([]);
  });
});

test('unlock refuses what is no key', async () => {
  const redlock = (await engineOver(three())).getRedlock(CODES);
  expect(await failure(redlock.unlock(undefined as never))).toBeInstanceOf(InvalidArgumentError);
});

test('it knows its pools and how many of them it takes', async () => {
  const redlock = (await engineOver(servers())).getRedlock(FIVE);
  expect(redlock.codes).toEqual(FIVE);
  expect(redlock.quorum).toBe(3);
});
