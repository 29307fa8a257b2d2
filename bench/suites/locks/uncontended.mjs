import { throughput } from '../../harness/load.mjs';
import { LAGOON, LOCKERS, TUNED } from '../../harness/lockers.mjs';
import { atLeast } from '../../harness/requirements.mjs';
import { interleave } from '../../harness/rounds.mjs';
import { median, medianRatio } from '../../harness/stats.mjs';
import { count, ratio, thousands } from '../../harness/table.mjs';

/** What Lagoon's rate over the best peer's must be, by how many pairs are in flight. */
const REQUIRED = { 1: 0.95, 100: 2.5, 1000: 4 };
const IN_FLIGHT = Object.keys(REQUIRED).map(Number);
/** Each in flight has a key of its own. */
const KEYS = Array.from({ length: 10_000 }, (_, i) => `lock:${i}`);
const PIPELINED = 'redis-semaphore, auto-pipelining';
const WARM_UP_MS = 300;

/**
 * Obtain and release, the same key never twice at once.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, perSecond: number, lagoonTimes: number }} Row `lagoonTimes`: Lagoon's rate over this one's
 * @typedef {{ inFlight: number, rows: Row[] }} Cell
 */
export async function uncontended({ server, rounds, ms, progress }) {
  const lockers = {};
  for (const [name, { open }] of Object.entries({ ...LOCKERS, [PIPELINED]: TUNED[PIPELINED] })) {
    lockers[name] = await open(server);
  }
  let turn = 0;
  const ops = Object.entries(lockers).map(([name, locker]) => [
    name,
    async () => locker.release(await locker.obtain(KEYS[turn++ % KEYS.length])),
  ]);
  for (const [name, op] of ops) {
    progress(`warming up ${name}`);
    await throughput(op, 100, WARM_UP_MS);
  }
  const cells = [];
  for (const inFlight of IN_FLIGHT) {
    progress(`obtain and release, ${inFlight} in flight`);
    const runs = ops.map(([name, op]) => [name, () => throughput(op, inFlight, ms)]);
    const rates = await interleave(Object.fromEntries(runs), rounds);
    const rows = Object.entries(rates).map(([name, values]) => ({
      name,
      perSecond: median(values),
      lagoonTimes: medianRatio(rates[LAGOON], values),
    }));
    cells.push({ inFlight, rows });
  }
  for (const locker of Object.values(lockers)) await locker.close();
  return cells;
}

/** @param {Cell[]} cells */
export function uncontendedTable(cells) {
  return {
    caption: "Obtain and release of a free lock: thousands of pairs per second, and Lagoon's rate over it",
    columns: ['in flight', ...cells.flatMap(({ inFlight }) => [count(inFlight), 'Lagoon is'])],
    rows: cells[0].rows.map(({ name }, i) => [
      name,
      ...cells.flatMap(({ rows }) => [thousands(rows[i].perSecond), ratio(rows[i].lagoonTimes)]),
    ]),
  };
}

/** @param {Cell[]} cells */
export function uncontendedSummary(cells) {
  return {
    caption: "Lagoon's rate of obtain and release over theirs, by how many pairs are in flight",
    columns: ['', ...cells.map(({ inFlight }) => count(inFlight))],
    rows: cells[0].rows
      .filter(({ name }) => name !== LAGOON)
      .map(({ name }) => [name, ...cells.map(({ rows }) => ratio(rows.find((row) => row.name === name).lagoonTimes))]),
  };
}

/** @param {Cell[]} cells */
export function uncontendedRequirements(cells) {
  return cells.map(({ inFlight, rows }) => {
    const peers = rows.filter(({ name }) => name !== LAGOON && Object.hasOwn(LOCKERS, name));
    const best = peers.reduce((fastest, row) => (row.perSecond > fastest.perSecond ? row : fastest));
    return atLeast(
      REQUIRED[inFlight],
      best.lagoonTimes,
      `obtain and release, ${inFlight} in flight: Lagoon / ${best.name}`,
    );
  });
}
