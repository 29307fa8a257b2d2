import {
  BENTOCACHE_REMOTE,
  BENTOCACHE_REMOTE_AUTO,
  BENTOCACHE_TIERED,
  BENTOCACHE_TIERED_FAST,
  CACHE_MANAGER,
  closeAll,
  LAGOON,
  LAGOON_LOCAL,
  openAll,
  recordOf,
} from '../../harness/caches.mjs';
import { callsOf } from '../../harness/commandstats.mjs';
import { throughput } from '../../harness/load.mjs';
import { interleave } from '../../harness/rounds.mjs';
import { median, medianRatio } from '../../harness/stats.mjs';
import { count, ratio, thousands } from '../../harness/table.mjs';

const IN_FLIGHT = [1, 100];
const WARM_UP_MS = 300;
const CHECKED = 100;
const NAMES = [
  LAGOON,
  LAGOON_LOCAL,
  BENTOCACHE_TIERED_FAST,
  BENTOCACHE_TIERED,
  BENTOCACHE_REMOTE_AUTO,
  BENTOCACHE_REMOTE,
  CACHE_MANAGER,
];

/**
 * Values that are nowhere: read, loaded and stored.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, perSecond: number, lagoonTimes: number }} Row `lagoonTimes`: Lagoon's rate over this one's
 * @typedef {{ inFlight: number, rows: Row[] }} Cell
 */
export async function misses({ server, rounds, ms, progress }) {
  const cells = [];
  for (const inFlight of IN_FLIGHT) {
    await server.cli('FLUSHALL');
    const caches = await openAll(server, NAMES);
    try {
      const runs = [];
      for (const [name, cache] of Object.entries(caches)) {
        progress(`misses, ${inFlight} in flight, ${name}`);
        const asked = freshKeys(cache);
        await check(server, name, asked);
        await throughput(asked.op, 100, WARM_UP_MS);
        runs.push([name, asked]);
      }
      const turns = runs.map(([name, { op }]) => [name, () => throughput(op, inFlight, ms)]);
      const measured = await interleave(Object.fromEntries(turns), rounds);
      for (const [name, { calls, loads }] of runs) {
        if (loads() !== calls()) throw new Error(`${name} loaded ${loads()} times for ${calls()} keys`);
      }
      const rows = Object.entries(measured).map(([name, values]) => ({
        name,
        perSecond: median(values),
        lagoonTimes: medianRatio(measured[LAGOON], values),
      }));
      cells.push({ inFlight, rows });
    } finally {
      await closeAll(caches);
    }
  }
  return cells;
}

/** Asks for another key each time. */
function freshKeys(cache) {
  const value = recordOf(1);
  let calls = 0;
  let loads = 0;
  const load = () => {
    loads++;
    return value;
  };
  return { op: () => cache.getOrSet(`fresh:${calls++}`, load), calls: () => calls, loads: () => loads };
}

/** @throws unless every miss is a read and a write in Redis. */
async function check(server, name, { op }) {
  await server.cli('CONFIG', 'RESETSTAT');
  for (let i = 0; i < CHECKED; i++) await op();
  const [reads, writes] = [await callsOf(server, ['get', 'mget']), await callsOf(server, ['set', 'psetex'])];
  if (reads < CHECKED || writes !== CHECKED) {
    throw new Error(`${name} read ${reads} times and wrote ${writes} times for ${CHECKED} misses`);
  }
}

/** @param {Cell[]} cells */
export function missesTable(cells) {
  return {
    caption: 'misses with a loader that costs nothing: thousands per second, and what Lagoon does for each of them',
    columns: ['in flight', ...cells.flatMap(({ inFlight }) => [count(inFlight), 'Lagoon is'])],
    rows: NAMES.map((name, i) => [
      name,
      ...cells.flatMap(({ rows }) => [thousands(rows[i].perSecond), ratio(rows[i].lagoonTimes)]),
    ]),
  };
}

/** @param {Cell[]} cells */
export function missesSummary(cells) {
  return {
    caption: "misses with a loader that costs nothing: Lagoon's rate over theirs, by how many are in flight",
    columns: ['', ...cells.map(({ inFlight }) => count(inFlight))],
    rows: NAMES.flatMap((name, i) =>
      name === LAGOON ? [] : [[name, ...cells.map(({ rows }) => ratio(rows[i].lagoonTimes))]],
    ),
  };
}
