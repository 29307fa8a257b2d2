import { isDeepStrictEqual } from 'node:util';
import { CACHE_MANAGER, closeAll, KEYV, LAGOON, NODE_REDIS, openAll, recordOf } from '../../harness/caches.mjs';
import { callsOf } from '../../harness/commandstats.mjs';
import { throughput } from '../../harness/load.mjs';
import { atMost } from '../../harness/requirements.mjs';
import { interleave } from '../../harness/rounds.mjs';
import { median, medianRatio } from '../../harness/stats.mjs';
import { count, ratio, thousands } from '../../harness/table.mjs';
import { startWatchedProxy } from '../../harness/watched-proxy.mjs';

const KEYS = Array.from({ length: 100 }, (_, i) => `user:${i}`);
const VALUES = KEYS.map((_, i) => recordOf(i));
const IN_FLIGHT = 10;
const REPLY_MS = 10;
/** bentocache has none. */
const NAMES = [LAGOON, NODE_REDIS, KEYV, CACHE_MANAGER];

/**
 * 100 values asked for at once.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Row[]>}
 * @typedef {{ name: string, roundTrips: number, commands: number, perSecond: number, lagoonTimes: number }} Row
 */
export async function many({ server, rounds, ms, progress }) {
  progress(`${KEYS.length} values at once`);
  await server.cli('FLUSHALL');
  const caches = await openAll(server, NAMES);
  try {
    for (const cache of Object.values(caches)) {
      await Promise.all(KEYS.map((key, i) => cache.set(key, VALUES[i])));
    }
    const counted = [];
    for (const name of NAMES) counted.push(await countOne(server, name));
    const runs = Object.entries(caches).map(([name, cache]) => [
      name,
      () => throughput(() => cache.getMany(KEYS), IN_FLIGHT, ms),
    ]);
    const measured = await interleave(Object.fromEntries(runs), rounds);
    return NAMES.map((name, i) => ({
      name,
      ...counted[i],
      perSecond: median(measured[name]),
      lagoonTimes: medianRatio(measured[LAGOON], measured[name]),
    }));
  } finally {
    await closeAll(caches);
  }
}

async function countOne(server, name) {
  const proxy = await startWatchedProxy(server, REPLY_MS);
  const caches = await openAll(proxy.address, [name]);
  try {
    await caches[name].get(KEYS[0]);
    await server.cli('CONFIG', 'RESETSTAT');
    const before = proxy.roundTrips();
    const values = await caches[name].getMany(KEYS);
    const roundTrips = proxy.roundTrips() - before;
    if (!isDeepStrictEqual(values, VALUES)) throw new Error(`${name} has not the values that were put`);
    return { roundTrips, commands: await callsOf(server, ['get', 'mget']) };
  } finally {
    await closeAll(caches);
    await proxy.stop();
  }
}

/** @param {Row[]} rows */
export function manyTable(rows) {
  return {
    caption: `${KEYS.length} values at once, ${IN_FLIGHT} calls in flight: Lagoon's rate over theirs`,
    columns: ['', 'round trips', 'commands', 'thousands of values per second', 'Lagoon is'],
    rows: rows.map(({ name, roundTrips, commands, perSecond, lagoonTimes }) => [
      name,
      count(roundTrips),
      count(commands),
      thousands(perSecond * KEYS.length),
      ratio(lagoonTimes),
    ]),
  };
}

/** @param {Row[]} rows */
export function manyRequirements(rows) {
  const { roundTrips } = rows.find(({ name }) => name === LAGOON);
  return [atMost(1, roundTrips, `round trips of getMany of ${KEYS.length} keys, one lane`)];
}
