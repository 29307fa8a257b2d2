import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COARSE, decide, type State } from '../../src/limit/algorithms.js';
import { MemoryLimits } from '../../src/limit/memory.js';
import { quotaOf } from './support.js';

const MS = 1_000;
const START = 2 ** 50;

/** A key as a process counts it, which is asked at times that the test chooses. */
class Counted {
  readonly #quotas;
  #states: readonly State[] = [];

  constructor(limit: number, periodMs: number) {
    this.#quotas = [quotaOf({ limit, period: periodMs })];
  }

  /** Whether so many calls pass at a time. */
  consume(nowUs: number, cost: number): boolean {
    const { accepted, states } = decide(this.#states, this.#quotas, nowUs, cost, 1, COARSE);
    this.#states = states;
    return accepted > 0;
  }

  /** What is remembered. */
  get moments(): number {
    return this.#states[0]?.accepted.length ?? 0;
  }
}

describe('a large sliding window that a process counts', () => {
  const LIMIT = 500;
  const PERIOD_MS = 1_000;

  test('never admits more than the limit in any window of the period', () => {
    const gaps = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 * MS }), fc.integer({ min: 1, max: 60 })), {
      minLength: 50,
      maxLength: 400,
    });
    fc.assert(
      fc.property(gaps, (calls) => {
        const key = new Counted(LIMIT, PERIOD_MS);
        const passed: { at: number; cost: number }[] = [];
        let now = START;
        for (const [gap, cost] of calls) {
          now += gap;
          if (key.consume(now, cost)) passed.push({ at: now, cost });
        }
        for (const { at: end } of passed) {
          const inWindow = passed.filter(({ at }) => at <= end && at > end - PERIOD_MS * MS);
          expect(inWindow.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(LIMIT);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('remembers the same number of moments, however many calls it has', () => {
    const key = new Counted(100_000, PERIOD_MS);
    let most = 0;
    for (let i = 0; i < 20_000; i++) {
      key.consume(START + i * 100, 1);
      most = Math.max(most, key.moments);
    }
    expect(most).toBeLessThanOrEqual(202);
  });

  test('lets a call come back within 1 % of the period after its time', () => {
    const key = new Counted(LIMIT, PERIOD_MS);
    for (let i = 0; i < LIMIT; i++) expect(key.consume(START + i, 1)).toBe(true);
    expect(key.consume(START + PERIOD_MS * MS - 1, 1)).toBe(false);
    expect(key.consume(START + 1.01 * PERIOD_MS * MS, LIMIT)).toBe(true);
  });

  test('of 100 calls is exact', () => {
    const key = new Counted(100, PERIOD_MS);
    for (let i = 0; i < 100; i++) expect(key.consume(START + i * 10, 1)).toBe(true);
    expect(key.consume(START + PERIOD_MS * MS - 1, 1)).toBe(false);
    expect(key.consume(START + PERIOD_MS * MS, 1)).toBe(true);
    expect(key.consume(START + PERIOD_MS * MS, 1)).toBe(false);
    expect(key.consume(START + PERIOD_MS * MS + 10, 1)).toBe(true);
  });
});

describe('the counts of a process', () => {
  const quotas = [quotaOf({ limit: 3, period: '1h' })];

  test('are forgotten, the oldest first, when their keys take 16 MiB', () => {
    const limits = new MemoryLimits();
    const key = (i: number) => `${i}:${'x'.repeat(1024 * 1024)}`;
    for (let i = 0; i < 20; i++) limits.consume(quotas, key(i), 3, 1);
    const known = Array.from({ length: 20 }, (_, i) => !limits.consume(quotas, key(i), 1, 0).allowed);
    expect(known.slice(0, 13)).toEqual(Array(13).fill(false));
    expect(known.slice(13)).toEqual(Array(7).fill(true));
  });

  test('are of the 10,000 keys that were seen last', () => {
    const limits = new MemoryLimits();
    for (let i = 0; i < 10_001; i++) limits.consume(quotas, String(i), 3, 1);
    expect(limits.consume(quotas, '0', 1, 0).allowed).toBe(true);
    expect(limits.consume(quotas, '1', 1, 0).allowed).toBe(false);
  });

  test('stay when the limit of a key becomes another', () => {
    const limits = new MemoryLimits();
    limits.consume(quotas, 'ada', 3, 1);
    const raised = [quotaOf({ limit: 5, period: '1h' })];
    expect(limits.consume(raised, 'ada', 1, 1)).toMatchObject({ allowed: true, remaining: 1 });
    expect(limits.consume(quotas, 'ada', 1, 1)).toMatchObject({ allowed: false, remaining: 0 });
  });
});
