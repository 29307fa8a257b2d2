import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Backoffs } from '../../src/cache/backoffs.js';

const MINUTE = 60_000;
let now = 0;

beforeEach(() => {
  now = 1_000;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** How long a key waits from now on. */
function waitMs(backoffs: Backoffs, key = 'k'): number {
  const from = now;
  while (backoffs.isWaiting(key)) now += 500;
  const waited = now - from;
  now = from;
  return waited;
}

/** How long it waits after each failure in a row. */
function waits(backoffs: Backoffs, firstMs: readonly number[]): number[] {
  return firstMs.map((ms) => {
    backoffs.failed('k', ms);
    const waited = waitMs(backoffs);
    now += waited;
    return waited;
  });
}

test('doubles with each failure in a row, up to a minute', () => {
  const doubling = waits(new Backoffs(), Array<number>(8).fill(1_000));
  expect(doubling).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, MINUTE, MINUTE]);
});

test('is never shorter than what is asked for, above a minute too', () => {
  expect(waits(new Backoffs(), Array<number>(4).fill(10 * MINUTE))).toEqual(Array<number>(4).fill(10 * MINUTE));
  expect(waits(new Backoffs(), [40_000, 40_000, 40_000])).toEqual([40_000, MINUTE, MINUTE]);
  expect(waits(new Backoffs(), [1_000, 10 * MINUTE, 1_000])).toEqual([1_000, 10 * MINUTE, MINUTE]);
});

test('begins anew after a success', () => {
  const backoffs = new Backoffs();
  waits(backoffs, [1_000, 1_000, 1_000]);
  backoffs.succeeded('k');
  expect(backoffs.isWaiting('k')).toBe(false);
  expect(waits(backoffs, [1_000])).toEqual([1_000]);
});

test('is a second at most where the loader was not called, and counts as no failure of it', () => {
  const backoffs = new Backoffs();
  backoffs.notCalled('k', 10 * MINUTE);
  expect(waitMs(backoffs)).toBe(1_000);
  expect(waits(backoffs, [2_000])).toEqual([2_000]);
  backoffs.notCalled('k', 2_000);
  expect(waitMs(backoffs)).toBe(1_000);
  expect(waits(backoffs, [2_000])).toEqual([4_000]);
});

test('is that of its key', () => {
  const backoffs = new Backoffs();
  backoffs.failed('k', 1_000);
  expect([backoffs.isWaiting('k'), backoffs.isWaiting('l')]).toEqual([true, false]);
});
