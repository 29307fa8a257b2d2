import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RateLimitRule } from '../../src/index.js';
import { adjust, block, decide } from '../../src/limit/algorithms.js';
import { quotaOf, Reference } from './support.js';

type Rule = RateLimitRule & { limit: number };
/** When, in µs from the start; the cost; then allowed, remaining, and retryAfter and resetAfter in ms. */
type Row = [at: number, cost: number, allowed: boolean, remaining: number, retryAfter: number, resetAfter: number];

const MS = 1_000;
const S = 1_000_000;
const YEAR_MS = 365 * 86_400_000;
/** A time at which a Lua number printed without care, or seconds as a float, would have lost its µs. */
const START = 2 ** 50;

function play(rules: Rule | Rule[], rows: readonly Row[], start = START): void {
  const key = new Reference(...[rules].flat());
  for (const [index, [at, cost, allowed, remaining, retryAfter, resetAfter]] of rows.entries()) {
    expect(key.consume(start + at, cost), `row ${index}, at ${at} µs`).toMatchObject({
      allowed,
      exceeded: !allowed,
      remaining,
      retryAfter,
      resetAfter,
    });
  }
}

describe('sliding window', () => {
  const rule: Rule = { limit: 3, period: '10s' };

  test('counts the last period, to the µs', () => {
    play(rule, [
      [0, 1, true, 2, 0, 10_000],
      [1 * S, 1, true, 1, 0, 10_000],
      [2 * S, 1, true, 0, 0, 10_000],
      [2 * S, 1, false, 0, 8_000, 10_000],
      [9_999_999, 1, false, 0, 1, 2_001],
      [10 * S, 1, true, 0, 0, 10_000],
      [10 * S, 1, false, 0, 1_000, 10_000],
      [11 * S, 1, true, 0, 0, 10_000],
      [60 * S, 1, true, 2, 0, 10_000],
    ]);
  });

  test('waits until enough is free for the cost', () => {
    play({ limit: 5, period: '10s' }, [
      [0, 2, true, 3, 0, 10_000],
      [1 * S, 1, true, 2, 0, 10_000],
      [2 * S, 2, true, 0, 0, 10_000],
      [3 * S, 1, false, 0, 7_000, 9_000],
      [3 * S, 2, false, 0, 7_000, 9_000],
      [3 * S, 3, false, 0, 8_000, 9_000],
      [3 * S, 4, false, 0, 9_000, 9_000],
      [3 * S, 6, false, 0, -1, 9_000],
      [10 * S, 3, false, 2, 1_000, 2_000],
      [10 * S, 2, true, 0, 0, 10_000],
    ]);
  });

  test('of a year and 2^31 calls', () => {
    const limit = 2 ** 31;
    play({ limit, period: YEAR_MS }, [
      [0, limit - 1, true, 1, 0, YEAR_MS],
      [1, 1, true, 0, 0, YEAR_MS],
      [2, 1, false, 0, YEAR_MS, YEAR_MS],
      [YEAR_MS * MS - 1, 1, false, 0, 1, 1],
      [YEAR_MS * MS, limit - 1, true, 0, 0, YEAR_MS],
      [YEAR_MS * MS, 1, false, 0, 1, YEAR_MS],
      [YEAR_MS * MS + 1, 1, true, 0, 0, YEAR_MS],
    ]);
  });
});

describe('GCRA', () => {
  test('lets a burst through, and then one per interval', () => {
    play({ algorithm: 'gcra', limit: 5, period: '10s' }, [
      [0, 1, true, 4, 0, 2_000],
      [0, 1, true, 3, 0, 4_000],
      [0, 1, true, 2, 0, 6_000],
      [0, 1, true, 1, 0, 8_000],
      [0, 1, true, 0, 0, 10_000],
      [0, 1, false, 0, 2_000, 10_000],
      [1_999_999, 1, false, 0, 1, 8_001],
      [2 * S, 1, true, 0, 0, 10_000],
      [3 * S, 1, false, 0, 1_000, 9_000],
      [7 * S, 2, true, 0, 0, 9_000],
      [7 * S, 3, false, 0, 5_000, 9_000],
      [60 * S, 1, true, 4, 0, 2_000],
    ]);
  });

  test('with a burst of its own', () => {
    play({ algorithm: 'gcra', limit: 10, period: '10s', burst: 2 }, [
      [0, 3, false, 2, -1, 0],
      [0, 2, true, 0, 0, 2_000],
      [0, 1, false, 0, 1_000, 2_000],
      [1 * S, 1, true, 0, 0, 2_000],
      [1 * S, 2, false, 0, 2_000, 2_000],
      [3 * S, 2, true, 0, 0, 2_000],
    ]);
  });

  test('a burst may exceed the limit', () => {
    play({ algorithm: 'gcra', limit: 1, period: '10s', burst: 3 }, [
      [0, 3, true, 0, 0, 30_000],
      [0, 1, false, 0, 10_000, 30_000],
      [10 * S, 1, true, 0, 0, 30_000],
    ]);
  });

  test('with limits that do not divide the period', () => {
    play({ algorithm: 'gcra', limit: 7, period: '1s', burst: 1 }, [
      [0, 1, true, 0, 0, 143],
      [142_857, 1, false, 0, 1, 1],
      [142_858, 1, true, 0, 0, 143],
    ]);
    play({ algorithm: 'gcra', limit: 1_000, period: 999 }, [
      [0, 1_000, true, 0, 0, 999],
      [998, 1, false, 0, 1, 999],
      [999, 1, true, 0, 0, 999],
    ]);
  });

  test('of 2^31 calls, and of a year', () => {
    const limit = 2 ** 31;
    play({ algorithm: 'gcra', limit, period: '1s' }, [
      [0, limit - 1, true, 1, 0, 1_000],
      [0, 1, true, 0, 0, 1_000],
      [0, 1, false, 0, 1, 1_000],
      [1, 2_147, true, 0, 0, 1_000],
      [1, 1, false, 0, 1, 1_000],
      [1 * S, limit, false, 2_147_481_501, 1, 1],
      [1 * S + 1, limit, true, 0, 0, 1_000],
    ]);
    play({ algorithm: 'gcra', limit: 7, period: YEAR_MS }, [
      [0, 7, true, 0, 0, YEAR_MS],
      [0, 1, false, 0, Math.ceil(YEAR_MS / 7), YEAR_MS],
      [Math.floor((YEAR_MS * MS) / 7), 1, false, 0, 1, Math.ceil((YEAR_MS / 7) * 6)],
      [Math.floor((YEAR_MS * MS) / 7) + 1, 1, true, 0, 0, YEAR_MS],
      [YEAR_MS * MS, 6, true, 0, 0, YEAR_MS],
    ]);
  });

  /** When the call with this number (from 0) can pass, in µs from the start, if every call is made as soon as it can be. */
  const passesAt = (call: number, limit: number, periodMs: number) => {
    const beyond = BigInt(Math.max(0, call + 1 - limit)) * BigInt(periodMs) * 1_000n;
    return Number((beyond + BigInt(limit) - 1n) / BigInt(limit));
  };

  test.each([
    [7, 1_000],
    [1_000, 999],
    [3, 86_400_000],
    [999_983, 1_000],
  ])('%i per %i ms stays exact over a long run', (limit, period) => {
    const key = new Reference({ algorithm: 'gcra', limit, period });
    key.consume(START, limit);
    for (let call = limit; call < limit + 30_000; call++) {
      const at = passesAt(call, limit, period);
      // Where several pass within the same µs, the one before is not denied.
      if (at > passesAt(call - 1, limit, period)) {
        const early = key.consume(START + at - 1);
        if (early.allowed) expect.fail(`call ${call} passed 1 µs too early`);
      }
      if (!key.consume(START + at).allowed) expect.fail(`call ${call} did not pass when it should`);
    }
  });

  test('never drifts, whatever limit and period', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1, max: 10_000_000 }),
        fc.integer({ min: 0, max: 2_000 }),
        (limit, period, calls) => {
          const key = new Reference({ algorithm: 'gcra', limit, period });
          key.consume(START, limit);
          for (let call = limit; call < limit + calls; call++) {
            if (!key.consume(START + passesAt(call, limit, period)).allowed) return false;
          }
          const next = passesAt(limit + calls, limit, period);
          const last = passesAt(limit + calls - 1, limit, period);
          return next === last || !key.consume(START + next - 1).allowed;
        },
      ),
    );
  });
});

describe('fixed window', () => {
  const rule: Rule = { algorithm: 'fixed-window', limit: 3, period: '10s' };

  test('counts from the first call on', () => {
    play(rule, [
      [0, 1, true, 2, 0, 10_000],
      [4 * S, 2, true, 0, 0, 6_000],
      [9_999_999, 1, false, 0, 1, 1],
      [10 * S, 3, true, 0, 0, 10_000],
      [10 * S, 1, false, 0, 10_000, 10_000],
      [35 * S, 1, true, 2, 0, 10_000],
      [44 * S, 3, false, 2, 1_000, 1_000],
      [44 * S, 4, false, 2, -1, 1_000],
      [45 * S, 3, true, 0, 0, 10_000],
    ]);
  });

  test('begins with the first call wherever the clock stands, right after its zero too', () => {
    for (const start of [1, 5 * S, 10 * S, START]) {
      play(rule, [[0, 1, true, 2, 0, 10_000]], start);
    }
  });

  test('does not begin with a call that is denied', () => {
    const hourly: Rule = { algorithm: 'fixed-window', limit: 5, period: '1h' };
    const quota = quotaOf(hourly);
    const denied = decide([], [quota], START, 6, 1);
    expect(denied.accepted).toBe(0);
    const accepted = decide(denied.states, [quota], START + 600 * S, 1, 1);
    expect(accepted.standings).toMatchObject([{ used: 1, resetUs: 3_600 * S }]);
  });

  test('of a year and 2^31 calls', () => {
    const limit = 2 ** 31;
    play({ algorithm: 'fixed-window', limit, period: YEAR_MS }, [
      [0, limit - 1, true, 1, 0, YEAR_MS],
      [1, 1, true, 0, 0, YEAR_MS],
      [YEAR_MS * MS - 1, 1, false, 0, 1, 1],
      [YEAR_MS * MS, limit, true, 0, 0, YEAR_MS],
    ]);
  });
});

describe('several rules', () => {
  const rules: Rule[] = [
    { name: 'second', limit: 2, period: '1s' },
    { name: 'minute', algorithm: 'fixed-window', limit: 5, period: '1m' },
    { name: 'hour', algorithm: 'gcra', limit: 60, period: '1h', burst: 4 },
  ];

  test('all have room and all are charged, or none is', () => {
    const key = new Reference(...rules);
    expect(key.consume(START, 2)).toMatchObject({ allowed: true, rule: 'second', remaining: 0 });
    for (let i = 0; i < 100; i++) {
      expect(key.consume(START)).toMatchObject({ allowed: false, rule: 'second', retryAfter: 1_000 });
    }
    // Had the denied ones been charged, minute and hour had nothing left.
    expect(key.consume(START + S, 2)).toMatchObject({ allowed: true });
    expect(key.consume(START + 2 * S, 1)).toMatchObject({ allowed: false, rule: 'hour', retryAfter: 58_000 });
    expect(key.consume(START + 60 * S, 1)).toMatchObject({ allowed: true, rule: 'hour', remaining: 0 });
  });

  test('the one that denies for longest decides, and one that always will before all', () => {
    const key = new Reference(...rules);
    key.consume(START, 2);
    key.consume(START + S, 2);
    expect(key.consume(START + S, 1)).toMatchObject({ rule: 'hour', limit: 60, retryAfter: 59_000 });
    expect(key.consume(START + S, 3)).toMatchObject({ rule: 'second', limit: 2, retryAfter: -1 });
    expect(key.consume(START + S, 5)).toMatchObject({ retryAfter: -1 });
  });

  test('the one that has least left decides on what is allowed', () => {
    const key = new Reference(...rules);
    expect(key.consume(START)).toMatchObject({ rule: 'second', remaining: 1 });
    expect(key.consume(START + S)).toMatchObject({ rule: 'second', remaining: 1 });
    expect(key.consume(START + 2 * S)).toMatchObject({ rule: 'second', remaining: 1 });
    expect(key.consume(START + 3 * S)).toMatchObject({ rule: 'hour', remaining: 0 });
  });
});

describe.each(['sliding-window', 'gcra', 'fixed-window'] as const)('%s', (algorithm) => {
  test('says how much remains after the first call exactly, for every limit', () => {
    const remains = (limit: number, cost: number, start: number) => {
      const result = new Reference({ algorithm, limit, period: '1s' }).consume(start, cost);
      return result.allowed && result.remaining === limit - cost && result.limit === limit;
    };
    for (let limit = 1; limit <= 20_000; limit++) {
      if (!remains(limit, 1, START)) expect.fail(`limit ${limit}`);
    }
    const limitAndCost = fc
      .integer({ min: 1, max: 2 ** 31 })
      .chain((limit) => fc.tuple(fc.constant(limit), fc.integer({ min: 1, max: limit })));
    fc.assert(
      fc.property(limitAndCost, fc.integer({ min: S, max: 2 ** 52 }), ([limit, cost], start) =>
        remains(limit, cost, start),
      ),
      { numRuns: 2_000 },
    );
  });

  test('never passes what costs more than there ever is, and says so', () => {
    for (const limit of [1, 5, 2 ** 31]) {
      const key = new Reference({ algorithm, limit, period: '1s' });
      for (const cost of [limit + 1, 2 ** 52, Number.MAX_SAFE_INTEGER]) {
        expect(key.consume(START, cost)).toMatchObject({ allowed: false, retryAfter: -1, remaining: limit });
      }
      expect(key.consume(START, limit)).toMatchObject({ allowed: true, remaining: 0 });
      expect(key.consume(START, limit + 1)).toMatchObject({ allowed: false, retryAfter: -1, remaining: 0 });
    }
  });

  test('what was denied passes when it was told to come back, and not a µs before', () => {
    const rule: Rule = { algorithm, limit: 5, period: 1_000 };
    const calls = fc.array(fc.tuple(fc.integer({ min: 0, max: 700_000 }), fc.integer({ min: 1, max: 5 })), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(calls, (schedule) => {
        const key = new Reference(rule);
        const quota = quotaOf(rule);
        let now = START;
        for (const [step, cost] of schedule) {
          now += step;
          const before = key.states;
          const result = key.consume(now, cost);
          if (result.allowed) continue;
          const allowedAt = (at: number) => decide(before, [quota], at, cost, 1).accepted === 1;
          expect(allowedAt(now + result.retryAfter * MS)).toBe(true);
          expect(allowedAt(now + (result.retryAfter - 1) * MS)).toBe(false);
        }
      }),
    );
  });

  test('decides on calls that come together as on calls that come one after the other', () => {
    const quota = quotaOf({ algorithm, limit: 10, period: '10s' });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 12 }), (count, cost) => {
        const first = decide([], [quota], START, 3, 1);
        const both = decide(first.states, [quota], START + S, cost, count);
        let states = first.states;
        let accepted = 0;
        for (let i = 0; i < count; i++) {
          const one = decide(states, [quota], START + S, cost, 1);
          accepted += one.accepted;
          if (one.accepted > 0) states = one.states;
        }
        expect(both.accepted).toBe(accepted);
        if (accepted > 0) expect(both.states[0]?.used).toBe(states[0]?.used);
      }),
    );
  });

  test('is charged beyond the limit by a penalty, and given back by a reward', () => {
    const quota = quotaOf({ algorithm, limit: 10, period: '10s' });
    const now = START;
    const rules = [quota];
    const penalised = adjust(undefined, quota, now, 15);
    expect(decide([penalised], rules, now, 1, 1).accepted).toBe(0);
    const rewarded = adjust(penalised, quota, now, -8);
    expect(decide([rewarded], rules, now, 1, 100).accepted).toBe(3);
    const emptied = adjust(rewarded, quota, now, -1_000);
    expect(decide([emptied], rules, now, 1, 100).accepted).toBe(10);
  });

  test('denies all while blocked, and what was used stays', () => {
    const quota = quotaOf({ algorithm, limit: 10, period: '1h' });
    const { states } = decide([], [quota], START, 4, 1);
    const blocked = block(states[0], quota, START, 5 * S);
    const during = decide([blocked], [quota], START + 5 * S - 1, 1, 1);
    expect(during).toMatchObject({ accepted: 0, standings: [{ blockedUs: 1 }] });
    const after = decide([blocked], [quota], START + 5 * S, 6, 1);
    expect(after.accepted).toBe(1);
    expect(decide([blocked], [quota], START + 5 * S, 7, 1).accepted).toBe(0);
  });

  test('gives nothing away when the clock is set back', () => {
    const key = new Reference({ algorithm, limit: 3, period: '10s' });
    expect(key.consume(START, 3).allowed).toBe(true);
    expect(key.consume(START - 3_600 * S).allowed).toBe(false);
    expect(key.consume(START).allowed).toBe(false);
    expect(key.consume(START + 10 * S).allowed).toBe(true);
  });
});
