import { closeAll, IN_MEMORY, LAGOON, OURS, openAll, PEERS, REMEMBERING } from '../../harness/limiters.mjs';
import { throughput } from '../../harness/load.mjs';
import { atLeast } from '../../harness/requirements.mjs';
import { interleave } from '../../harness/rounds.mjs';
import { median, medianRatio } from '../../harness/stats.mjs';
import { count, ratio, thousands } from '../../harness/table.mjs';

const IN_FLIGHT = [1, 100, 1000];
const WARM_UP_MS = 300;
/** So many that each is asked about again only after a while, so few that its counts are not the first ones either. */
const KEYS = Array.from({ length: 100_000 }, (_, i) => `user:${i}`);
const HOT = 'user:hot';
const IOREDIS = Object.keys(PEERS).filter((name) => name.includes('ioredis'));

/**
 * The limits of what is allowed are never reached. A sliding window remembers every call of its period, and so the period of
 * the hot key is as short as rate-limiter-flexible can have it: a second.
 *
 * `required`: what Lagoon's rate over the best of these rates must be, by how many are in flight.
 *
 * @type {Record<string, { rule: import('../../harness/limiters.mjs').Rule, keys: string[], allowed: boolean,
 *   required: { over: string, peers: string[], times: Record<number, number> }[] }>}
 */
const CASES = {
  'distinct keys, allowed': {
    rule: { limit: 100, periodMs: 60_000 },
    keys: KEYS,
    allowed: true,
    required: [
      { over: 'at its best', peers: Object.keys(PEERS), times: { 1: 0.95, 100: 1.8, 1000: 3 } },
      { over: 'on ioredis', peers: IOREDIS, times: { 100: 3, 1000: 3 } },
    ],
  },
  // Whole windows of few calls can be read together; of windows that may be long, Lagoon reads each by itself.
  'distinct keys, allowed, a high limit': {
    rule: { limit: 10_000, periodMs: 60_000 },
    keys: KEYS,
    allowed: true,
    required: [],
  },
  'one hot key, allowed': {
    rule: { limit: 1_000_000_000, periodMs: 1_000 },
    keys: [HOT],
    allowed: true,
    required: [{ over: 'at its best', peers: Object.keys(PEERS), times: { 1: 0.95, 100: 3, 1000: 15 } }],
  },
  'one hot key, denied': {
    rule: { limit: 1, periodMs: 3_600_000 },
    keys: [HOT],
    allowed: false,
    required: [
      { over: 'at its best', peers: Object.keys(PEERS), times: { 1: 30, 100: 30, 1000: 30 } },
      { over: 'remembering', peers: [IN_MEMORY], times: { 1: 4, 100: 4, 1000: 4 } },
    ],
  },
};

/**
 * Decisions, in three cases. Every single one is checked to be what the case says.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, perSecond: number, lagoonTimes: number }} Row `lagoonTimes`: Lagoon's rate over this one's
 * @typedef {{ name: string, inFlight: number, rows: Row[] }} Cell
 */
export async function rates({ server, rounds, ms, progress }) {
  const cells = [];
  for (const [name, { rule, keys, allowed }] of Object.entries(CASES)) {
    // Redis never holds more than what was asked for in one case; nor does a process remember denials of another.
    await server.cli('FLUSHALL');
    const limiters = await openAll(server, { ...OURS, ...PEERS, ...(!allowed && REMEMBERING) });
    try {
      if (!allowed) await useUp(limiters, rule, keys);
      const ops = Object.entries(limiters).map(([contestant, limiter]) => [
        contestant,
        inTurn(limiter.decider(rule, allowed), keys),
      ]);
      for (const [contestant, op] of ops) {
        progress(`warming up ${contestant}, ${name}`);
        await throughput(op, 100, WARM_UP_MS);
      }
      for (const inFlight of IN_FLIGHT) {
        progress(`${name}, ${inFlight} in flight`);
        if (allowed) await server.cli('FLUSHALL');
        const runs = ops.map(([contestant, op]) => [contestant, () => throughput(op, inFlight, ms)]);
        const measured = await interleave(Object.fromEntries(runs), rounds);
        const rows = Object.entries(measured).map(([contestant, values]) => ({
          name: contestant,
          perSecond: median(values),
          lagoonTimes: medianRatio(measured[LAGOON], values),
        }));
        cells.push({ name, inFlight, rows });
      }
    } finally {
      await closeAll(limiters);
    }
  }
  return cells;
}

/** The limit is 1: after the one call that is allowed, the others are denied. */
async function useUp(limiters, rule, keys) {
  for (const limiter of Object.values(limiters)) {
    const decide = limiter.decider(rule, true);
    for (const key of keys) await decide(key);
  }
}

function inTurn(decide, keys) {
  let turn = 0;
  return () => decide(keys[turn++ % keys.length]);
}

/** @param {Cell[]} cells */
export function ratesTables(cells) {
  return Object.keys(CASES).map((name) => {
    const ofCase = cells.filter((cell) => cell.name === name);
    return {
      caption: `${name}: thousands of decisions per second, and what Lagoon's sliding window does for each of them`,
      columns: ['in flight', ...ofCase.flatMap(({ inFlight }) => [count(inFlight), 'Lagoon is'])],
      rows: ofCase[0].rows.map((row, i) => [
        row.name,
        ...ofCase.flatMap(({ rows }) => [thousands(rows[i].perSecond), ratio(rows[i].lagoonTimes)]),
      ]),
    };
  });
}

/** @param {Cell[]} cells */
export function ratesSummary(cells) {
  return Object.keys(CASES).map((name) => {
    const ofCase = cells.filter((cell) => cell.name === name);
    return {
      caption: `${name}: the rate of Lagoon's sliding window over theirs, by how many decisions are in flight`,
      columns: ['', ...ofCase.map(({ inFlight }) => count(inFlight))],
      rows: ofCase[0].rows
        .filter((row) => row.name !== LAGOON)
        .map((row, i) => [row.name, ...ofCase.map(({ rows }) => ratio(rows[i + 1].lagoonTimes))]),
    };
  });
}

/** @param {Cell[]} cells */
export function ratesRequirements(cells) {
  return cells.flatMap(({ name, inFlight, rows }) =>
    CASES[name].required
      .filter(({ times }) => times[inFlight] !== undefined)
      .map(({ over, peers, times }) => {
        const candidates = rows.filter((row) => peers.includes(row.name));
        const best = candidates.reduce((fastest, row) => (row.perSecond > fastest.perSecond ? row : fastest));
        return atLeast(
          times[inFlight],
          best.lagoonTimes,
          `${name}, ${inFlight} in flight: Lagoon / ${over} (${best.name})`,
        );
      }),
  );
}
