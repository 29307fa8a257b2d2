import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { adjust, block, type Decision, decide, type Standing, type State } from '../../src/limit/algorithms.js';
import type { Quota, RateLimitRule } from '../../src/limit/quota.js';
import { resultOf } from '../../src/limit/result.js';
import { poolOn } from '../lock/support.js';
import { useRedis } from '../support/redis.js';
import { type Scripted, ScriptedLimits } from './scripted.js';
import { quotaOf } from './support.js';

const server = useRedis();

type Rule = RateLimitRule & { limit: number };

/** One thing that is done so long after what was done before, `times` times. */
interface Step {
  readonly key: string;
  /** µs, or below 0: the clock is set back. */
  readonly elapsed: number;
  readonly times: number;
  /** µs from one time to the next. */
  readonly apart: number;
  readonly action:
    | { readonly name: 'decide'; readonly cost: number; readonly count: number }
    | { readonly name: 'charge'; readonly points: number }
    | { readonly name: 'block'; readonly durationUs: number }
    | { readonly name: 'reset' };
  /** Whether the limits are others than usual, as they may be if they depend on something. */
  readonly other: boolean;
}

interface World {
  readonly rules: readonly Rule[];
  readonly start: number;
  readonly steps: readonly Step[];
}

/** What schedules may have beside calls and the passing of time. */
interface Extent {
  adjusting?: boolean;
  blocking?: boolean;
  settingBack?: boolean;
  changing?: boolean;
}

const ALGORITHMS = { s: 'sliding-window', g: 'gcra', f: 'fixed-window' } as const;
const PERIODS = [60_000, 60_001, 3_600_000, 86_400_000];
/** Ten years: more than the six bytes tell apart that a time in a sliding window mostly has. */
const LONG = 315_360_000_000;

/** Limits small enough to be met, and some above the 256 calls at which a sliding window becomes a ring. */
const limits = fc.oneof(
  fc.integer({ min: 1, max: 8 }),
  fc.integer({ min: 1, max: 200 }),
  fc.integer({ min: 240, max: 600 }),
);

function ruleOf(kind: keyof typeof ALGORITHMS, name: string): fc.Arbitrary<Rule> {
  const algorithm = ALGORITHMS[kind];
  // GCRA could not count so much in exact integers.
  const shared = { limit: limits, period: fc.constantFrom(...PERIODS, ...(kind === 'g' ? [] : [LONG])) };
  const rule = kind === 'g' ? { ...shared, burst: limits } : shared;
  return fc.record(rule).map((each) => ({ ...each, algorithm, name }));
}

function stepOf({ adjusting, blocking, settingBack, changing }: Extent): fc.Arbitrary<Step> {
  const elapsed = fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 2_000 }) },
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 30_000_000 }) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(...[...PERIODS, LONG].flatMap((ms) => [-1, 0, 1].map((by) => ms * 1_000 + by))),
    },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 100_000_000_000 }) },
    { weight: settingBack ? 2 : 0, arbitrary: fc.integer({ min: -100_000_000, max: -1 }) },
  );
  const decisions = fc.record({
    name: fc.constant('decide' as const),
    cost: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 210 })),
    count: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 0, max: 80 })),
  });
  const points = fc.integer({ min: 1, max: 120 });
  const charges = fc.record({
    name: fc.constant('charge' as const),
    points: fc.oneof(
      points,
      points.map((n) => -n),
    ),
  });
  const blocks = fc.record({
    name: fc.constant('block' as const),
    durationUs: fc.integer({ min: 1, max: 200_000 }).map((ms) => ms * 1_000),
  });
  return fc.record({
    key: fc.constantFrom('a', 'a', 'a', 'b', 'c'),
    elapsed,
    times: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 120 })),
    apart: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5_000_000 })),
    action: fc.oneof(
      { weight: 12, arbitrary: decisions },
      { weight: adjusting ? 3 : 0, arbitrary: charges },
      { weight: adjusting ? 1 : 0, arbitrary: fc.constant({ name: 'reset' as const }) },
      { weight: blocking ? 2 : 0, arbitrary: blocks },
    ),
    other: changing ? fc.boolean() : fc.constant(false),
  });
}

function worldOf(kinds: string, extent: Extent): fc.Arbitrary<World> {
  return fc.record({
    rules: fc
      .tuple(...[...kinds].map((kind, i) => ruleOf(kind as keyof typeof ALGORITHMS, `rule-${i}`)))
      .map((rules) => rules as Rule[]),
    start: fc.constantFrom(2 ** 50, 1_790_000_000_123_457, 2 ** 52),
    steps: fc.array(stepOf(extent), { minLength: 1, maxLength: 40 }),
  });
}

/** Plays a schedule in the reference and in Redis, where it is sent at once; both must say the same of every step. */
async function playBoth(scripts: ScriptedLimits, { rules, start, steps }: World): Promise<void> {
  const usual = rules.map(quotaOf);
  const others = rules.map((rule) => quotaOf({ ...rule, limit: rule.limit + 3 }));
  const known = new Map<string, readonly State[]>();
  const checks: Promise<void>[] = [];
  let now = start;
  let latest = start;
  const blocks: number[] = [];
  for (const [index, { key, elapsed, times, apart, action, other }] of steps.entries()) {
    // A block that is over may be forgotten: the clock is never set back into one.
    const over = blocks.filter((end) => end <= latest);
    now = elapsed < 0 ? Math.max(now + elapsed, ...over) : now + elapsed;
    const quotas = other ? others : usual;
    for (let time = 0; time < times; time++) {
      if (time > 0) now += apart;
      latest = Math.max(latest, now);
      if (action.name === 'block') blocks.push(now + action.durationUs);
      const states = known.get(key) ?? [];
      const where = `step ${index} (${JSON.stringify(steps[index])}), time ${time}, at ${now - start} µs`;
      if (action.name === 'decide') {
        const { cost, count } = action;
        const decision = decide(states, quotas, now, cost, count);
        // Only what is accepted is written.
        if (decision.accepted > 0) known.set(key, decision.states);
        const reply = scripts.decide(key, quotas, now, cost, count);
        const written = decision.accepted > 0 ? needsOf(decision.states, quotas, now) : undefined;
        checks.push(reply.then((scripted) => compare(where, scripted, decision, quotas, cost, count, written)));
      } else if (action.name === 'reset') {
        known.delete(key);
        checks.push(scripts.adjust(key, quotas, now, 'reset', 0).then(({ ttls }) => checkTtls(where, ttls, [])));
      } else {
        const change = (quota: Quota, i: number) =>
          action.name === 'charge'
            ? adjust(states[i], quota, now, action.points)
            : block(states[i], quota, now, action.durationUs);
        const changed = quotas.map(change);
        known.set(key, changed);
        const amount = action.name === 'charge' ? action.points : action.durationUs;
        const needs = needsOf(changed, quotas, now);
        checks.push(
          scripts.adjust(key, quotas, now, action.name, amount).then(({ ttls }) => checkTtls(where, ttls, needs)),
        );
      }
    }
  }
  await Promise.all(checks);
}

function compare(
  where: string,
  scripted: Scripted,
  decision: Decision,
  quotas: readonly Quota[],
  cost: number,
  count: number,
  needs: readonly Needs[] | undefined,
): void {
  expect(scripted.accepted, where).toBe(decision.accepted);
  // Nobody who was served waits for more.
  const told = (standings: readonly Standing[]) =>
    count > 0 && decision.accepted === count ? standings.map((each) => ({ ...each, waitUs: 0 })) : standings;
  if (scripted.full) expect(told(scripted.standings), where).toEqual(told(decision.standings));
  else expect(scripted.standings[0]?.used, where).toBe(decision.standings[0]?.used);
  for (const i of new Set([0, decision.accepted - 1, decision.accepted, count - 1])) {
    if (i < 0 || i >= count) continue;
    const accepted = i < decision.accepted;
    const later = accepted ? decision.accepted - 1 - i : 0;
    expect(resultOf(quotas, scripted.standings, cost, accepted, later), where).toEqual(
      resultOf(quotas, decision.standings, cost, accepted, later),
    );
  }
  if (needs) checkTtls(where, scripted.ttls, needs);
}

/** For how long what is known of a key matters, and for how long it may be kept, in µs. */
interface Needs {
  readonly least: number;
  readonly most: number;
}

function needsOf(states: readonly State[], quotas: readonly Quota[], now: number): Needs[] {
  const { standings } = decide(states, quotas, now, 1, 0);
  return standings.map(({ used, resetUs, blockedUs }, i) => {
    const { kind, drain, periodUs } = quotas[i] as Quota;
    const least = Math.max(blockedUs, kind === 'g' ? used / drain : resetUs);
    // The expiry of a sliding window and of GCRA is set for twice the time, and then only once in a while.
    const most = {
      s: 2 * Math.max(least, periodUs),
      g: Math.max(2 * least, 10_000_000),
      // As the server sees it: a clock that was set back must come to the end of the window first.
      f: Math.max(least, (states[i] as State).at + periodUs - now),
    };
    return { least, most: most[kind] };
  });
}

function checkTtls(where: string, ttls: Scripted['ttls'], needs: readonly Needs[]): void {
  for (const [i, ttl] of ttls.entries()) {
    const { least, most } = needs[i] ?? { least: 0, most: 0 };
    expect((ttl ?? 0) * 1_000, `TTL of rule ${i}, ${where}`).toBeGreaterThanOrEqual(least);
    expect((ttl ?? 0) * 1_000, `TTL of rule ${i}, ${where}`).toBeLessThanOrEqual(most + 3_000);
  }
}

const KINDS = ['s', 'g', 'f', 'sg', 'ssfg'];

describe.each(KINDS)('the scripts and the reference agree (%s)', (kinds) => {
  let scripts: ScriptedLimits;
  let flush: () => Promise<unknown>;
  beforeEach(async () => {
    const pool = poolOn(server());
    scripts = await new ScriptedLimits(pool, kinds).load();
    flush = () => pool.flushAll();
  });

  const check = (extent: Extent, numRuns = 40) =>
    fc.assert(
      fc.asyncProperty(worldOf(kinds, extent), async (world) => {
        await flush();
        await playBoth(scripts, world);
      }),
      { numRuns },
    );

  test('on calls, penalties, rewards and resets, with limits that change', () =>
    check({ adjusting: true, changing: true }));
  test('with blocks', () => check({ adjusting: true, blocking: true }));
  test('when the clock is set back', () => check({ adjusting: true, settingBack: true }));
  test('in everything', () => check({ adjusting: true, blocking: true, settingBack: true, changing: true }));
});

test('the script and the reference agree on a sliding window that moves on over hundreds of calls, few at a time', async () => {
  const pool = poolOn(server());
  const scripts = await new ScriptedLimits(pool, 's').load();
  const step: fc.Arbitrary<Step> = fc.record({
    key: fc.constant('a'),
    elapsed: fc.integer({ min: 1, max: 1_000_000 }),
    times: fc.integer({ min: 1, max: 60 }),
    // A period of 60 s holds 120 calls at the least, and 600.
    apart: fc.integer({ min: 100_000, max: 500_000 }),
    action: fc.record({
      name: fc.constant('decide' as const),
      cost: fc.constant(1),
      // More than 16 at once are remembered as one.
      count: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 3 }) }, fc.integer({ min: 17, max: 40 })),
    }),
    other: fc.constant(false),
  });
  const steps = fc.array(step, { minLength: 40, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, async (moving) => {
      await pool.flushAll();
      await playBoth(scripts, { rules: [{ limit: 100_000, period: 60_000 }], start: 2 ** 50, steps: moving });
    }),
    { numRuns: 5 },
  );
});

describe.each(['s', 'g', 'f'] as const)('a block of a key that was used before the clock was set back (%s)', (kind) => {
  const SECOND = 1_000_000;
  const start = 2 ** 50;
  const quotas = [quotaOf({ algorithm: ALGORITHMS[kind], limit: 5, period: '10s' })];
  let scripts: ScriptedLimits;
  beforeEach(async () => {
    const pool = poolOn(server());
    await pool.flushAll();
    scripts = await new ScriptedLimits(pool, kind).load();
    await scripts.decide('key', quotas, start + 100 * SECOND, 1, 1);
    await scripts.adjust('key', quotas, start, 'block', 50 * SECOND);
  });

  test('is kept by Redis until it ends', async () => {
    const { ttls } = await scripts.decide('key', quotas, start, 1, 0);
    expect(ttls[0]).toBeGreaterThanOrEqual(50_000);
  });

  test('outlives a penalty and a reward', async () => {
    for (const points of [3, -3, -10]) {
      const { ttls } = await scripts.adjust('key', quotas, start + SECOND, 'charge', points);
      expect(ttls[0], `TTL after ${points}`).toBeGreaterThanOrEqual(49_000);
      const reply = await scripts.decide('key', quotas, start + 49 * SECOND, 1, 1);
      expect(reply, `after ${points}`).toMatchObject({ accepted: 0, standings: [{ blockedUs: SECOND }] });
    }
    expect(await scripts.decide('key', quotas, start + 50 * SECOND, 1, 1)).toMatchObject({ accepted: 1 });
  });
});

test('a call counts for no less time than those before it, though the clock was set back (s)', async () => {
  const SECOND = 1_000_000;
  const start = 2 ** 50;
  const quotas = [quotaOf({ limit: 5, period: '60s' })];
  const pool = poolOn(server());
  await pool.flushAll();
  const scripts = await new ScriptedLimits(pool, 's').load();
  const used: (number | undefined)[] = [];
  for (const at of [0, 20, 10, 75, 81]) {
    const { standings } = await scripts.decide('key', quotas, start + at * SECOND, 1, 1);
    used.push(standings[0]?.used);
  }
  expect(used).toEqual([1, 2, 3, 3, 2]);
});
