import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  BARE_LRU,
  BENTOCACHE_REMOTE,
  BENTOCACHE_REMOTE_AUTO,
  BENTOCACHE_TIERED,
  BENTOCACHE_TIERED_FAST,
  CACHE_MANAGER,
  closeAll,
  KEYV,
  LAGOON,
  LAGOON_LOCAL,
  MEMORY_TIER,
  MEMORY_TIER_FAST,
  NODE_REDIS,
  openAll,
  recordOf,
} from '../../harness/caches.mjs';
import { callsOf } from '../../harness/commandstats.mjs';
import { throughput } from '../../harness/load.mjs';
import { atLeast } from '../../harness/requirements.mjs';
import { interleave } from '../../harness/rounds.mjs';
import { median, medianRatio } from '../../harness/stats.mjs';
import { count, ratio, thousands } from '../../harness/table.mjs';

const IN_FLIGHT = [1, 100];
const WARM_UP_MS = 300;
const KEYS = Array.from({ length: 1_000 }, (_, i) => `user:${i}`);
const READS = ['get', 'mget'];
/** What is served from the process keeps the event loop from everything else. */
const PAUSE_MS = 5;
const SETTLE_MS = 100;
/** Values that a local tier may read again because it doubted its connection while other processes had all CPUs. */
const READ_AGAIN = 10 * KEYS.length;
const THIRD = Number((1 / 3).toFixed(3));

/**
 * `required`: what Lagoon's rate over the best of these rates must be, by how many are in flight.
 *
 * @type {Record<string, { lagoon: string, peers: string[], readsOfRedis: number,
 *   required: { peers: string[], times: Record<number, number> }[] }>}
 */
const CASES = {
  'local hits': {
    lagoon: LAGOON_LOCAL,
    peers: [BENTOCACHE_TIERED_FAST, BENTOCACHE_TIERED, MEMORY_TIER_FAST, MEMORY_TIER, BARE_LRU],
    readsOfRedis: 0,
    required: [
      { peers: [BENTOCACHE_TIERED_FAST, BENTOCACHE_TIERED], times: { 1: 10, 100: 10 } },
      { peers: [MEMORY_TIER], times: { 1: 4, 100: 4 } },
      { peers: [BARE_LRU], times: { 1: THIRD, 100: THIRD } },
    ],
  },
  'remote hits': {
    lagoon: LAGOON,
    peers: [NODE_REDIS, BENTOCACHE_REMOTE_AUTO, BENTOCACHE_REMOTE, KEYV, CACHE_MANAGER],
    readsOfRedis: 1,
    required: [
      { peers: [NODE_REDIS], times: { 100: 0.9 } },
      { peers: [BENTOCACHE_REMOTE_AUTO, BENTOCACHE_REMOTE], times: { 100: 2.5 } },
    ],
  },
};

/**
 * Reads of values that are there, in this process or in Redis.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, perSecond: number, lagoonTimes: number }} Row `lagoonTimes`: Lagoon's rate over this one's
 * @typedef {{ name: string, inFlight: number, rows: Row[] }} Cell
 */
export async function hits({ server, rounds, ms, progress }) {
  const cells = [];
  for (const [name, { lagoon, peers, readsOfRedis }] of Object.entries(CASES)) {
    await server.cli('FLUSHALL');
    const caches = await openAll(server, [lagoon, ...peers]);
    try {
      await fill(caches);
      for (const [contestant, cache] of Object.entries(caches)) {
        progress(`warming up ${contestant}, ${name}`);
        await checkReads(server, contestant, cache, readsOfRedis);
        await throughput(inTurn(cache), 100, WARM_UP_MS);
      }
      for (const inFlight of IN_FLIGHT) {
        progress(`${name}, ${inFlight} in flight`);
        const runs = Object.entries(caches).map(([contestant, cache]) => {
          const op = inTurn(cache);
          const turn = async () => {
            await sleep(PAUSE_MS);
            return throughput(op, inFlight, ms);
          };
          return [contestant, turn];
        });
        await server.cli('CONFIG', 'RESETSTAT');
        const measured = await interleave(Object.fromEntries(runs), rounds);
        const reads = await callsOf(server, READS);
        if (readsOfRedis === 0 && reads > READ_AGAIN) throw new Error(`Redis was asked ${reads} times for ${name}`);
        const rows = Object.entries(measured).map(([contestant, values]) => ({
          name: contestant,
          perSecond: median(values),
          lagoonTimes: medianRatio(measured[lagoon], values),
        }));
        cells.push({ name, inFlight, rows });
      }
      for (const [contestant, cache] of Object.entries(caches)) {
        await checkReads(server, contestant, cache, readsOfRedis);
      }
    } finally {
      await closeAll(caches);
    }
  }
  return cells;
}

async function fill(caches) {
  for (const cache of Object.values(caches)) {
    await Promise.all(KEYS.map((key, i) => cache.set(key, recordOf(i))));
  }
  // Whoever is told of its own writes too has heard of them by then.
  await sleep(SETTLE_MS);
  // Lagoon keeps in the process what was read, not what was written.
  for (const cache of Object.values(caches)) for (const key of KEYS) await cache.get(key);
}

/** @throws if it reads anything but the values, or from elsewhere than the case says. */
async function checkReads(server, name, cache, readsOfRedis) {
  await server.cli('CONFIG', 'RESETSTAT');
  for (const [i, key] of KEYS.entries()) {
    const value = await cache.get(key);
    if (!isDeepStrictEqual(value, recordOf(i))) throw new Error(`${name} has ${JSON.stringify(value)} for ${key}`);
  }
  const reads = await callsOf(server, READS);
  const fits = readsOfRedis === 0 ? reads === 0 : reads > 0 && reads <= readsOfRedis * KEYS.length;
  if (!fits) throw new Error(`${name} asked Redis ${reads} times for ${KEYS.length} values`);
}

function inTurn(cache) {
  let turn = 0;
  return () => cache.get(KEYS[turn++ % KEYS.length]);
}

/** @param {Cell[]} cells */
export function hitsTables(cells) {
  return Object.keys(CASES).map((name) => {
    const ofCase = cells.filter((cell) => cell.name === name);
    return {
      caption: `${name}: thousands per second, and what Lagoon does for each of them`,
      columns: ['in flight', ...ofCase.flatMap(({ inFlight }) => [count(inFlight), 'Lagoon is'])],
      rows: ofCase[0].rows.map((row, i) => [
        row.name,
        ...ofCase.flatMap(({ rows }) => [thousands(rows[i].perSecond), ratio(rows[i].lagoonTimes)]),
      ]),
    };
  });
}

/** @param {Cell[]} cells */
export function hitsSummary(cells) {
  return Object.entries(CASES).map(([name, { lagoon }]) => {
    const ofCase = cells.filter((cell) => cell.name === name);
    return {
      caption: `${name}: Lagoon's rate over theirs, by how many are in flight`,
      columns: ['', ...ofCase.map(({ inFlight }) => count(inFlight))],
      rows: ofCase[0].rows.flatMap((row, i) =>
        row.name === lagoon ? [] : [[row.name, ...ofCase.map(({ rows }) => ratio(rows[i].lagoonTimes))]],
      ),
    };
  });
}

/** @param {Cell[]} cells */
export function hitsRequirements(cells) {
  return cells.flatMap(({ name, inFlight, rows }) =>
    CASES[name].required
      .filter(({ times }) => times[inFlight] !== undefined)
      .map(({ peers, times }) => {
        const candidates = rows.filter((row) => peers.includes(row.name));
        const best = candidates.reduce((fastest, row) => (row.perSecond > fastest.perSecond ? row : fastest));
        return atLeast(times[inFlight], best.lagoonTimes, `${name}, ${inFlight} in flight: Lagoon / ${best.name}`);
      }),
  );
}
