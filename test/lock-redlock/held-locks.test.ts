import createDebug from 'debug';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createHeldLocks } from '../../src/lock/redlock/held-locks.js';
import type { RedlockLock } from '../../src/lock/redlock/redlock-lock.js';
import { countKeys, engineOver, failure, useServers } from './support.js';

const servers = useServers(3);
const CODES = ['p0', 'p1', 'p2'];
const ONCE = { retryCount: 0, tryTimeout: '2s' } as const;

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  createDebug.disable();
});

describe.each(['map', 'lru'] as const)('with the store %s', (store) => {
  test('unlock releases by name what lock obtained', async () => {
    const redlock = (await engineOver(servers())).getRedlock(CODES, { ...ONCE, store });
    const lock = await redlock.lock('job', '10s');
    expect(await redlock.unlock('job')).toBe(true);
    expect(await countKeys(servers(), 'job')).toBe(0);
    expect(lock.held).toBe(false);
    expect(await redlock.unlock('job')).toBe(false);
  });

  test('unlock is false for what was never locked, or not through this object', async () => {
    const engine = await engineOver(servers());
    await engine.getRedlock(CODES, { ...ONCE, store }).lock('job', '10s');
    expect(await engine.getRedlock(CODES, { store }).unlock('job')).toBe(false);
    expect(await countKeys(servers(), 'job')).toBe(3);
  });

  test('unlock is false for what was released, or was never obtained', async () => {
    const redlock = (await engineOver(servers())).getRedlock(CODES, { ...ONCE, store });
    await (await redlock.lock('job', '10s')).release();
    expect(await redlock.unlock('job')).toBe(false);
    for (const server of servers()) await server.cli('SET', 'job', 'theirs');
    await failure(redlock.lock('job', '10s'));
    expect(await redlock.unlock('job')).toBe(false);
    expect(await countKeys(servers(), 'job')).toBe(3);
  });
});

/** As far as a store looks at a lock. */
const held = (resource: string, expiresAt: number) => ({ resource, expiresAt, held: true }) as unknown as RedlockLock;

describe('the map', () => {
  const fakeTimers = () => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });

  test('forgets what is over at its interval, and stops when nothing is left', () => {
    fakeTimers();
    const store = createHeldLocks({ kind: 'map', gcIntervalMs: 100 }, new AbortController().signal);
    expect(vi.getTimerCount()).toBe(0);
    store.add(held('short', performance.now() + 150));
    store.add(held('long', performance.now() + 250));
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(100);
    expect(store.get('short')).toBeDefined();
    vi.advanceTimersByTime(100);
    expect(store.get('short')).toBeUndefined();
    expect(store.get('long')).toBeDefined();
    vi.advanceTimersByTime(100);
    expect(store.get('long')).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
    store.add(held('again', performance.now() + 150));
    expect(vi.getTimerCount()).toBe(1);
  });

  test('stops when the last lock is released', () => {
    fakeTimers();
    const store = createHeldLocks({ kind: 'map', gcIntervalMs: 100 }, new AbortController().signal);
    const lock = held('job', performance.now() + 1_000);
    store.add(lock);
    store.delete(lock);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('stops when the engine closes, and does not start again', () => {
    fakeTimers();
    const closing = new AbortController();
    const store = createHeldLocks({ kind: 'map', gcIntervalMs: 100 }, closing.signal);
    store.add(held('job', performance.now() + 1_000));
    closing.abort();
    expect(vi.getTimerCount()).toBe(0);
    store.add(held('other', performance.now() + 1_000));
    expect(vi.getTimerCount()).toBe(0);
  });

  test('does not keep the process alive', () => {
    const made = vi.spyOn(globalThis, 'setInterval');
    const closing = new AbortController();
    createHeldLocks({ kind: 'map', gcIntervalMs: 100 }, closing.signal).add(held('job', performance.now() + 1_000));
    expect(made.mock.results.map(({ value }) => value.hasRef())).toEqual([false]);
    closing.abort();
  });

  test('has nothing left to do once every lock is released by its handle', async () => {
    const made = vi.spyOn(globalThis, 'setInterval');
    const cleared = vi.spyOn(globalThis, 'clearInterval');
    const store = { kind: 'map', gcInterval: 54_321 } as const;
    const redlock = (await engineOver(servers())).getRedlock(CODES, { ...ONCE, store });
    const locks = [await redlock.lock('one', '10s'), await redlock.lock('two', '10s')];
    const timers = made.mock.results.filter((_, i) => made.mock.calls[i]?.[1] === 54_321).map(({ value }) => value);
    expect(timers).toHaveLength(1);
    for (const lock of locks) {
      expect(cleared).not.toHaveBeenCalledWith(timers[0]);
      await lock.release();
    }
    expect(cleared).toHaveBeenCalledWith(timers[0]);
  });

  test('keeps the newer lock on a resource when the older one is deleted', () => {
    for (const kind of ['map', 'lru'] as const) {
      const options = kind === 'map' ? { kind, gcIntervalMs: 60_000 } : { kind, max: 5, onEvict: undefined };
      const store = createHeldLocks(options, new AbortController().signal);
      const older = held('job', 0);
      const newer = held('job', performance.now() + 60_000);
      store.add(older);
      store.add(newer);
      store.delete(older);
      expect(store.get('job')).toBe(newer);
      store.delete(newer);
      expect(store.get('job')).toBeUndefined();
    }
  });
});

describe('the lru', () => {
  test('reports what it forgets while it is held, which its own release still gives back', async () => {
    const evicted: RedlockLock[] = [];
    const engine = await engineOver(servers());
    const onEvict = (lock: RedlockLock) => void evicted.push(lock);
    const redlock = engine.getRedlock(CODES, { ...ONCE, store: { kind: 'lru', max: 2, onEvict } });
    const warnings: (Error & { code?: string })[] = [];
    const onWarning = (warning: Error) => void (warning.name === 'LagoonWarning' && warnings.push(warning));
    process.on('warning', onWarning);
    const lines: string[] = [];
    const write = vi.spyOn(createDebug, 'log').mockImplementation((...args) => void lines.push(args.join(' ')));
    createDebug.enable('lagoon:lock');

    const first = await redlock.lock('first', '10s');
    await redlock.lock('second', '10s');
    expect(evicted).toEqual([]);
    await redlock.lock('third', '10s');
    expect(evicted).toEqual([first]);
    const fourth = await redlock.lock('fourth', '10s');
    expect(evicted).toHaveLength(2);

    await new Promise(setImmediate); // warnings are emitted behind what runs now
    process.off('warning', onWarning);
    write.mockRestore();
    // Once, however many there are.
    expect(warnings.map(({ code }) => code)).toEqual(['LAGOON_REDLOCK_EVICTED']);
    expect(warnings[0]?.message).toContain('"first"');
    expect(lines.filter((line) => line.includes('evicted'))).toHaveLength(2);

    expect(await redlock.unlock('first')).toBe(false);
    expect(await countKeys(servers(), 'first')).toBe(3);
    expect(await first.release()).toBe(true);
    expect(await countKeys(servers(), 'first')).toBe(0);
    expect(await redlock.unlock('fourth')).toBe(true);
    expect(await fourth.release()).toBe(false);
  });

  test('says nothing of what was released, replaced or is over', () => {
    const evicted: RedlockLock[] = [];
    const store = createHeldLocks(
      { kind: 'lru', max: 1, onEvict: (lock) => void evicted.push(lock) },
      new AbortController().signal,
    );
    const released = held('released', 1);
    store.add(released);
    store.delete(released);
    store.add(held('same', 1));
    store.add(Object.assign(held('same', 2), { held: false }));
    store.add(held('last', 3));
    expect(evicted).toEqual([]);
  });

  test('does not let an onEvict that throws fail a lock', async () => {
    const engine = await engineOver(servers());
    const onEvict = () => {
      throw new Error('mine');
    };
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const redlock = engine.getRedlock(CODES, { ...ONCE, store: { kind: 'lru', max: 1, onEvict } });
    await redlock.lock('first', '10s');
    expect((await redlock.lock('second', '10s')).held).toBe(true);
  });
});
