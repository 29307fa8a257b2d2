import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, type State } from '../../src/limit/algorithms.js';
import type { Quota } from '../../src/limit/quota.js';
import { poolOn } from '../lock/support.js';
import { useRedis } from '../support/redis.js';
import { ScriptedLimits } from './scripted.js';
import { quotaOf } from './support.js';

/*
 * What a sliding window promises, said without it: of all windows of the period that there are, none holds more than the limit, and
 * nothing is denied that would have left it so.
 */

const server = useRedis();
const PERIOD_MS = 60_000;
const PERIOD_US = PERIOD_MS * 1_000;
const START = 2 ** 50 + 1;

interface Call {
  readonly at: number;
  readonly cost: number;
  readonly count: number;
}

interface Served extends Call {
  readonly accepted: number;
}

const schedules = fc.record({
  limit: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 200 })),
  steps: fc.array(
    fc.tuple(
      fc.oneof(
        fc.constant(0),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.constantFrom(PERIOD_US - 1, PERIOD_US, PERIOD_US + 1, PERIOD_US / 2),
        fc.integer({ min: 1, max: PERIOD_US }),
      ),
      fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 50 })),
      fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 40 })),
    ),
    { minLength: 1, maxLength: 250 },
  ),
});

function callsOf(steps: readonly (readonly [number, number, number])[]): Call[] {
  let at = START;
  return steps.map(([elapsed, cost, count]) => {
    at += elapsed;
    return { at, cost, count };
  });
}

/** What was accepted from `from` on and before a period later. */
function inWindow(served: readonly Served[], from: number): number {
  return served
    .filter(({ at }) => at >= from && at < from + PERIOD_US)
    .reduce((sum, { cost, accepted }) => sum + cost * accepted, 0);
}

function check(limit: number, served: readonly Served[]): void {
  for (const [index, { at, cost, count, accepted }] of served.entries()) {
    // A window that holds the most begins with something that was accepted.
    expect(inWindow(served, at), `window from ${at}`).toBeLessThanOrEqual(limit);
    if (accepted === count) continue;
    const before = inWindow(served.slice(0, index + 1), at - PERIOD_US + 1);
    expect(before + cost, `what was denied at ${at}`).toBeGreaterThan(limit);
  }
}

describe('never more than the limit in any window of the period, and no call denied without need', () => {
  test('by the reference', () => {
    const play = (quota: Quota, calls: readonly Call[]) => {
      let states: readonly State[] = [];
      return calls.map((call) => {
        const decision = decide(states, [quota], call.at, call.cost, call.count);
        states = decision.states;
        return { ...call, accepted: decision.accepted };
      });
    };
    fc.assert(
      fc.property(schedules, ({ limit, steps }) =>
        check(limit, play(quotaOf({ limit, period: PERIOD_MS }), callsOf(steps))),
      ),
      { numRuns: 300 },
    );
  });

  test('by Redis', async () => {
    const pool = poolOn(server());
    const scripts = await new ScriptedLimits(pool, 's').load();
    let key = 0;
    await fc.assert(
      fc.asyncProperty(schedules, async ({ limit, steps }) => {
        const name = String(++key);
        const quotas = [quotaOf({ limit, period: PERIOD_MS })];
        const serve = async (call: Call) => {
          const { accepted } = await scripts.decide(name, quotas, call.at, call.cost, call.count);
          return { ...call, accepted };
        };
        check(limit, await Promise.all(callsOf(steps).map(serve)));
      }),
      { numRuns: 60 },
    );
  });
});
