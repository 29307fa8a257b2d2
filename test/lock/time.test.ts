import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CommandTimeoutError, type Duration, type Lock, LockLostError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, startProxy, useRedis } from '../support/redis.js';
import { lockerOn, newKey, poolOn, waitersOf } from './support.js';

const server = useRedis();
afterEach(() => server().thaw());

/** Keeps the event loop busy. */
function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

function aborted(signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(performance.now()), { once: true }));
}

test('a wait ends no sooner than asked for, even where timers fire early', async () => {
  const locker = lockerOn(server());
  const key = newKey();
  const holder = await locker.obtain(key, '1m');
  const { setTimeout: inTime } = globalThis;
  const early = (fn: () => void, ms = 0) => inTime(fn, ms > 50 ? ms - 50 : ms);
  const hasty = vi.spyOn(globalThis, 'setTimeout').mockImplementation(early as typeof setTimeout);
  onTestFinished(() => hasty.mockRestore());
  const askedAt = performance.now();
  expect(await locker.obtain(key, '1m', 200)).toBeNull();
  expect(performance.now() - askedAt).toBeGreaterThanOrEqual(200);
  await holder?.release();
});

test('what takes longer than a timer can be set for', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  const locker = lockerOn(server());
  const key = newKey();
  const lock = (await locker.obtain(key, '100d', 0, { autoRenew: true })) as Lock;
  const { signal } = lock;
  const next = locker.obtain(key, '1m', '100d');
  await waitersOf(locker, key, 1);
  expect(signal.aborted).toBe(false);
  expect(await lock.release()).toBe(true);
  expect(await (await next)?.release()).toBe(true);
  expect(warnings).toEqual([]);
});

describe('validity', () => {
  test('counts from before the request was sent', async () => {
    const proxy = await startProxy(server().address);
    try {
      const locker = lockerOn(proxy);
      await locker.obtain(newKey(), '1m');
      proxy.delay(0, 500);
      const before = performance.now();
      const lock = await locker.obtain(newKey(), '10s');
      expect(performance.now() - before).toBeGreaterThan(495);
      expect(lock?.expiresAt).toBeGreaterThanOrEqual(before + 10_000);
      expect(lock?.expiresAt).toBeLessThan(before + 10_000 + 400);
      const refreshedAt = performance.now();
      await lock?.refresh('20s');
      expect(lock?.expiresAt).toBeGreaterThanOrEqual(refreshedAt + 20_000);
      expect(lock?.expiresAt).toBeLessThan(refreshedAt + 20_000 + 400);
    } finally {
      await proxy.stop();
    }
  });

  test('of a lock that was waited for counts from when it was handed over, not from when that was heard of', async () => {
    const proxy = await startProxy(server().address);
    try {
      const [far, near] = [lockerOn(proxy), lockerOn(server())];
      const key = newKey();
      const holder = await near.obtain(key, '1m');
      const waiter = far.obtain(key, '10s', '20s');
      await waitersOf(near, key, 1);
      await sleep(200);
      proxy.delay(0, 500);
      const releasedAt = performance.now();
      await holder?.release();
      const lock = await waiter;
      expect(performance.now() - releasedAt).toBeGreaterThan(490);
      expect(lock?.expiresAt).toBeGreaterThan(releasedAt + 10_000 - 100);
      expect(lock?.expiresAt).toBeLessThan(releasedAt + 10_000 + 400);
    } finally {
      await proxy.stop();
    }
  });

  test('never says more than the server has', async () => {
    const lockers = [lockerOn(server()), lockerOn(server())];
    const key = newKey();
    for (let i = 0; i < 20; i++) {
      const waiter = lockers[(i + 1) % 2]?.obtain(key, 2_000, '10s');
      const lock = i === 0 ? await lockers[0]?.obtain(key, 2_000, '10s') : undefined;
      await lock?.release();
      const next = (await waiter) as Lock;
      const said = next.expiresAt - performance.now();
      expect(said).toBeLessThanOrEqual((await next.ttl()) + 20);
      expect(said).toBeLessThanOrEqual(2_000);
      await next.release();
    }
  });

  test('a lock that is already over when it comes is released and not returned', async () => {
    const proxy = await startProxy(server().address);
    try {
      const [far, near] = [lockerOn(proxy), lockerOn(server())];
      await far.obtain(newKey(), '1m');
      const key = newKey();
      proxy.delay(500, 0);
      // On the server it has all its time, and here none is left.
      const slow = far.obtain(key, 400);
      expect(await slow).toBeNull();
      expect(await near.inspect(key)).toMatchObject({ held: false });
      proxy.delay(0);
      expect(await (await far.obtain(key, 400))?.release()).toBe(true);
    } finally {
      await proxy.stop();
    }
  });

  test('a lock that is over when it comes is released also if that fails at first, and that is no error', async () => {
    const proxy = await startProxy(server().address);
    try {
      const [far, near] = [lockerOn(proxy, { commandTimeout: 1_000 }), lockerOn(server())];
      await (await far.obtain(newKey(), '1m'))?.release();
      const key = newKey();
      // Redis lets it go only when the connection has been lost, and come back.
      proxy.delay(0, 900);
      const slow = far.obtain(key, 800);
      await eventually(async () => (await near.inspect(key)).held);
      const longer = `return redis.call('PEXPIRE', KEYS[1], 60000)`;
      expect(await server().cli('EVAL', longer, '1', key)).toBe(1);
      proxy.delay(10_000, 900);
      await sleep(1_100);
      proxy.cutAll();
      proxy.delay(0);
      expect(await slow).toBeNull();
      await eventually(async () => !(await near.inspect(key)).held);
    } finally {
      await proxy.stop();
    }
  });

  test('an abort ends an obtain that releases what was over when it came', async () => {
    const proxy = await startProxy(server().address);
    try {
      const far = lockerOn(proxy);
      await (await far.obtain(newKey(), '1m'))?.release();
      const key = newKey();
      const abort = new AbortController();
      proxy.delay(0, 400);
      const slow = failure(far.obtain(key, 300, '10s', { signal: abort.signal }));
      await eventually(async () => (await server().cli('EXISTS', key)) === 1);
      await server().freeze();
      await sleep(500);
      const abortedAt = performance.now();
      abort.abort();
      expect((await slow)?.code).toBe('ABORT_ERR');
      expect(performance.now() - abortedAt).toBeLessThan(1_000);
    } finally {
      await proxy.stop();
    }
  });

  test('a lock that is over when it comes is asked for again, as long as there is time to wait', async () => {
    const proxy = await startProxy(server().address);
    try {
      const far = lockerOn(proxy);
      await far.obtain(newKey(), '1m');
      const key = newKey();
      proxy.delay(500, 0);
      setTimeout(() => proxy.delay(0), 700);
      const lock = await far.obtain(key, 400, '10s');
      expect(lock).not.toBeNull();
      expect((lock as Lock).expiresAt - performance.now()).toBeLessThanOrEqual(400);
      expect(await lock?.release()).toBe(true);
    } finally {
      await proxy.stop();
    }
  });
});

describe('the signal', () => {
  test('aborts with LockLostError at the local deadline, though the server is frozen', async () => {
    const lock = (await lockerOn(server()).obtain(newKey(), 300)) as Lock;
    const { signal } = lock;
    await server().freeze();
    const at = await aborted(signal);
    expect(at).toBeGreaterThanOrEqual(lock.expiresAt);
    expect(at - lock.expiresAt).toBeLessThan(200);
    expect(signal.reason).toBeInstanceOf(LockLostError);
    expect(signal.reason).toMatchObject({ code: 'LAGOON_LOCK_LOST' });
    expect(signal.reason.message).toContain(String(lock.key));
    expect(lock.held).toBe(false);
  });

  test('follows the deadline when that is moved', async () => {
    const locker = lockerOn(server());
    const [longer, shorter] = (await Promise.all([newKey(), newKey()].map((key) => locker.obtain(key, 800)))) as [
      Lock,
      Lock,
    ];
    const [first, second] = [aborted(longer.signal), aborted(shorter.signal)];
    await Promise.all([longer.refresh(1_200), shorter.refresh(100)]);
    expect((await second) - shorter.expiresAt).toBeLessThan(200);
    expect(longer.signal.aborted).toBe(false);
    expect(await first).toBeGreaterThanOrEqual(longer.expiresAt);
  });

  test('counts with a shorter time as soon as it is asked for: Redis may have heard what it did not answer', async () => {
    const pool = poolOn(server(), { commandTimeout: '300ms' });
    const [lock, renewed] = (await Promise.all([
      pool.getLocker().obtain(newKey(), '50s'),
      pool.getLocker().obtain(newKey(), '50s', 0, { autoRenew: true }),
    ])) as [Lock, Lock];
    // Redis knows the script from now on, so that it executes what it hears.
    expect(await lock.refresh('49s')).toBe(true);
    const lost = aborted(lock.signal);
    await server().freeze();
    const refreshing = [lock, renewed].map((held) => failure(held.refresh('1s')));
    const leftMs = lock.expiresAt - performance.now();
    expect(leftMs).toBeLessThanOrEqual(1_000);
    for (const error of await Promise.all(refreshing)) expect(error).toBeInstanceOf(CommandTimeoutError);
    await server().thaw();
    expect((await lost) - lock.expiresAt).toBeLessThan(200);
    expect(lock.held).toBe(false);
    expect(Number(await server().cli('PTTL', String(lock.key)))).toBeLessThanOrEqual(1_000);
    // The next renewal of 50 s would have come too late for 1 s.
    expect(renewed.held).toBe(true);
    expect(await renewed.release()).toBe(true);
  });

  test('is of the last of several refreshes that are under way', async () => {
    const lock = (await lockerOn(server()).obtain(newKey(), '10s')) as Lock;
    const before = performance.now();
    expect(await Promise.all(['1s', '40s', '2s', '20s'].map((ttl) => lock.refresh(ttl as Duration)))).toEqual(
      Array(4).fill(true),
    );
    expect(lock.expiresAt).toBeGreaterThanOrEqual(before + 20_000);
    expect(lock.expiresAt).toBeLessThanOrEqual(performance.now() + 20_000);
    const left = await lock.ttl();
    expect(left).toBeGreaterThan(19_000);
    expect(left).toBeLessThanOrEqual(20_000);
    await lock.release();
  });

  test('aborts as soon as Redis says that the lock is gone', async () => {
    const lock = (await lockerOn(server()).obtain(newKey(), '1m')) as Lock;
    let times = 0;
    lock.signal.addEventListener('abort', () => times++);
    await server().cli('DEL', String(lock.key));
    expect(await lock.refresh('1m')).toBe(false);
    expect(times).toBe(1);
    await lock.release();
    expect(times).toBe(1);
  });

  test('does not abort on release', async () => {
    const lock = (await lockerOn(server()).obtain(newKey(), 300)) as Lock;
    const { signal } = lock;
    await lock.release();
    await eventually(() => performance.now() > lock.expiresAt + 20);
    expect(signal.aborted).toBe(false);
    expect(lock.held).toBe(false);
  });

  test('first asked for after the loss is aborted', async () => {
    const lock = (await lockerOn(server()).obtain(newKey(), 200)) as Lock;
    await eventually(() => performance.now() > lock.expiresAt);
    expect(lock.signal.aborted).toBe(true);
    expect(lock.signal.reason).toBeInstanceOf(LockLostError);
  });

  test('of an event loop that was blocked past the TTL is aborted before the next step', async () => {
    for (const look of [
      (signal: AbortSignal) => signal.aborted,
      (signal: AbortSignal) => {
        try {
          signal.throwIfAborted();
          return false;
        } catch (error) {
          return error instanceof LockLostError;
        }
      },
    ]) {
      const lock = (await lockerOn(server()).obtain(newKey(), 300)) as Lock;
      const { signal } = lock;
      let events = 0;
      signal.addEventListener('abort', () => events++);
      expect(look(signal)).toBe(false);
      block(400);
      await null;
      expect(look(signal)).toBe(true);
      expect(signal.aborted).toBe(true);
      expect(signal.reason).toBeInstanceOf(LockLostError);
      expect(lock.held).toBe(false);
      expect(events).toBe(1);
      await sleep(20);
      expect(events).toBe(1);
    }
  });

  test('of a blocked event loop stops what is made of it, too', async () => {
    const lock = (await lockerOn(server()).obtain(newKey(), 300)) as Lock;
    const any = AbortSignal.any([lock.signal]);
    const waits = failure(sleep(5_000, undefined, { signal: any }));
    block(400);
    expect((await waits)?.name).toBe('AbortError');
    expect(any.reason).toBeInstanceOf(LockLostError);
  });

  test('a renewal does not bring back a lock that was over while the event loop was blocked', async () => {
    const locker = lockerOn(server());
    const lock = (await locker.obtain(newKey(), 300, 0, { autoRenew: true })) as Lock;
    block(400);
    expect(lock.held).toBe(false);
    await sleep(150);
    expect(lock.held).toBe(false);
    expect(await lock.refresh('1m')).toBe(false);
    await eventually(async () => (await locker.inspect(lock.key)).held === false);
  });
});
