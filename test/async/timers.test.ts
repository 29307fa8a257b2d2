import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sleep, startInterval, startTimer } from '../../src/async/timers.js';
import { engineOn } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';

const DAY_MS = 86_400_000;

describe('a timer', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test.each([1, 24 * DAY_MS, 2 ** 31 - 1, 2 ** 31, 30 * DAY_MS, 365 * DAY_MS])('of %d ms ends then, once', (ms) => {
    const ended = vi.fn();
    startTimer(ended, ms);
    vi.advanceTimersByTime(ms - 1);
    expect(ended).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2 * DAY_MS);
    expect(ended).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])('of %d ms does not end, until it is stopped', (ms) => {
    const ended = vi.fn();
    const timer = startTimer(ended, ms);
    vi.advanceTimersByTime(1_000 * DAY_MS);
    expect(ended).not.toHaveBeenCalled();
    clearTimeout(timer);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('of 60 days can be stopped after 40', () => {
    const ended = vi.fn();
    const timer = startTimer(ended, 60 * DAY_MS);
    vi.advanceTimersByTime(40 * DAY_MS);
    clearTimeout(timer);
    vi.advanceTimersByTime(40 * DAY_MS);
    expect(ended).not.toHaveBeenCalled();
  });

  test.each([10, 30 * DAY_MS])('at every %d ms ends that often', (ms) => {
    const ended = vi.fn();
    const timer = startInterval(ended, ms);
    vi.advanceTimersByTime(3 * ms + 3);
    expect(ended).toHaveBeenCalledTimes(3);
    clearInterval(timer);
    vi.advanceTimersByTime(3 * ms);
    expect(ended).toHaveBeenCalledTimes(3);
  });

  test('can be slept for', async () => {
    let awake = false;
    const sleeping = sleep(40 * DAY_MS).then(() => {
      awake = true;
    });
    await vi.advanceTimersByTimeAsync(39 * DAY_MS);
    expect(awake).toBe(false);
    await vi.advanceTimersByTimeAsync(DAY_MS + 2);
    await sleeping;
  });
});

test('a long timer is no reason for the process to stay, if it is unref’d, and stays so', async () => {
  const timer = startTimer(() => {}, 60 * DAY_MS).unref();
  expect(timer.hasRef()).toBe(false);
  timer.refresh();
  expect(timer.hasRef()).toBe(false);
  clearTimeout(timer);
});

test('every timer of the library is one that takes any length, and no signal is left with what listens to it', async () => {
  const direct = /\b(setTimeout|setInterval)\(|timers\/promises|\bAbortSignal\.(any|timeout)\(/;
  const users: string[] = [];
  for (const file of await readdir('src', { recursive: true })) {
    if (!file.endsWith('.ts')) continue;
    const text = (await readFile(join('src', file), 'utf8')).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    if (direct.test(text)) users.push(file);
  }
  expect(users).toEqual([join('async', 'timers.ts')]);
});

describe('a duration of 25 days and more', () => {
  const server = useRedis();
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  beforeEach(() => {
    warnings.length = 0;
    process.on('warning', onWarning);
  });
  afterEach(() => {
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  for (const long of ['25d', '30d', '60d', Number.MAX_SAFE_INTEGER] as const) {
    test(`is as long as any: ${long}`, async () => {
      const engine = engineOn(server().address);
      await engine.connect({ timeout: long });
      const redis = engine.getRedis();
      const heard: string[] = [];
      const subscription = await redis.subscribe('long', (message) => heard.push(message));
      await redis.publish('long', 'x');
      await eventually(() => heard.length === 1);
      await subscription.unsubscribe();
      expect(await redis.withTimeout(long).set('long', 'v')).toBe('OK');

      const lock = await redis.getLocker().obtain('long:lock', '60d', 0, { autoRenew: true });
      expect(lock?.signal.aborted).toBe(false);
      const waiting = redis.getLocker().obtain('long:lock', '60d', long);
      await eventually(async () => (await redis.getLocker().inspect('long:lock')).waiting === 1);
      await lock?.release();
      const next = await waiting;
      expect(next?.held).toBe(true);
      await next?.release();

      const limiter = redis.getRateLimiter({ limit: 1, period: '60d' });
      await limiter.reset('long');
      await limiter.consume('long');
      const allowed = limiter.wait('long', { timeout: Number.MAX_SAFE_INTEGER });
      await eventually(() => redis.stats().pending === 0);
      await limiter.reset('long');
      expect((await allowed).allowed).toBe(true);

      const cache = redis.getCache({ prefix: 'long', timeout: long });
      expect(await cache.getOrSet('k', () => 'v', { lock: true, ttl: '60d' })).toBe('v');
      await cache.remove('k');

      await server().freeze();
      const late = redis.set('long', 'late');
      const closed = engine.close({ timeout: long });
      await server().thaw();
      expect(await late).toBe('OK');
      await closed;
    });
  }
});
