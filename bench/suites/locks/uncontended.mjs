import { startChild } from '../../harness/child.mjs';
import { LAGOON, LOCKERS } from '../../harness/lockers.mjs';
import { atLeast } from '../../harness/requirements.mjs';
import { median, medianRatio } from '../../harness/stats.mjs';
import { count, ratio, thousands } from '../../harness/table.mjs';

/** What Lagoon's rate over the best peer's must be, by how many pairs are in flight. */
const REQUIRED = { 1: 0.95, 100: 2.5, 1000: 4 };
const IN_FLIGHT = Object.keys(REQUIRED).map(Number);
const NAMES = [...Object.keys(LOCKERS), 'redis-semaphore, auto-pipelining'];
/** How well the same code is compiled is a matter of luck, which differs from process to process by some percent. */
const PROCESSES = 5;
const LEAST_MS = 20;

/**
 * Obtain and release. Each process has its part of a turn's time.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, perSecond: number, lagoonTimes: number }} Row `lagoonTimes`: Lagoon's rate over this one's
 * @typedef {{ inFlight: number, rows: Row[] }} Cell
 */
export async function uncontended({ server: { host, port }, rounds, ms, quick, progress }) {
  const processes = quick ? 1 : PROCESSES;
  const task = { address: { host, port }, names: NAMES, rounds, ms: Math.max(LEAST_MS, ms / processes) };
  /** @type {Record<string, Record<string, number[]>>} */
  const all = Object.fromEntries(
    IN_FLIGHT.map((inFlight) => [inFlight, Object.fromEntries(NAMES.map((name) => [name, []]))]),
  );
  for (let i = 1; i <= processes; i++) {
    progress(`obtain and release, process ${i} of ${processes}`);
    const child = await startChild('pairs.mjs', task);
    for (const inFlight of IN_FLIGHT) {
      const rates = await child.ask(inFlight);
      for (const name of NAMES) all[inFlight][name].push(...rates[name]);
    }
    child.kill();
  }
  return IN_FLIGHT.map((inFlight) => {
    const rates = all[inFlight];
    const rows = NAMES.map((name) => ({
      name,
      perSecond: median(rates[name]),
      lagoonTimes: medianRatio(rates[LAGOON], rates[name]),
    }));
    return { inFlight, rows };
  });
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
