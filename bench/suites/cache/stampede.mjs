import { BENTOCACHE_TIERED, LAGOON_LOCK, LAGOON_NO_LOCK } from '../../harness/caches.mjs';
import { startChild } from '../../harness/child.mjs';
import { monotonicMs } from '../../harness/clock.mjs';
import { lagoonEngine } from '../../harness/lockers.mjs';
import { atMost } from '../../harness/requirements.mjs';
import { interleave } from '../../harness/rounds.mjs';
import { median } from '../../harness/stats.mjs';
import { milliseconds, ratio } from '../../harness/table.mjs';

const CALLERS = 1_000;
const PROCESSES = 4;
const LOAD_MS = 100;
const ONE_WAY_MS = 5;
/** So long after they were told, all ask at once. */
const START_MS = 50;
const PINGS = 20;
const NAMES = [LAGOON_LOCK, LAGOON_NO_LOCK, BENTOCACHE_TIERED];

/**
 * Many callers of several processes that want one value at once, which is nowhere, through a network that takes its time.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Row[]>}
 * @typedef {{ name: string, leastLoads: number, mostLoads: number, totalMs: number, loadMs: number, roundTripMs: number,
 *   roundTrips: number }} Row medians: `totalMs` from the first call until the last caller has the value, `roundTrips`: that
 *   without a load, in round trips of a PING
 */
export async function stampede({ server, rounds, progress }) {
  progress(`${CALLERS} callers in ${PROCESSES} processes`);
  const proxy = await startChild('delaying-proxy.mjs', { host: server.host, port: server.port, oneWayMs: ONE_WAY_MS });
  const address = { host: '127.0.0.1', port: proxy.first.port };
  const children = [];
  try {
    const turns = {};
    for (const name of NAMES) {
      const starting = Array.from({ length: PROCESSES }, () => startChild('stampeder.mjs', { name, address }));
      const group = await Promise.all(starting);
      children.push(...group);
      let turn = 0;
      turns[name] = () => once(name, group, `${name}:${turn++}`, address);
    }
    const measured = await interleave(turns, rounds);
    return NAMES.map((name) => ({ name, ...summarize(measured[name]) }));
  } finally {
    for (const { kill } of [...children, proxy]) kill();
  }
}

async function once(name, group, key, address) {
  const at = monotonicMs() + START_MS;
  const task = { key, callers: CALLERS / PROCESSES, loadMs: LOAD_MS, at };
  const reports = await Promise.all(group.map(({ ask }) => ask(task)));
  const wrong = reports.reduce((sum, report) => sum + report.wrong, 0);
  if (wrong > 0) throw new Error(`${name}: ${wrong} callers had another value`);
  const loads = reports.flatMap((report) => report.loads);
  const calledAt = Math.min(...reports.map((report) => report.calledAt));
  const gotAt = Math.max(...reports.map((report) => report.gotAt));
  const totalMs = gotAt - calledAt;
  const loadMs = Math.max(...loads.map(({ startedAt, endedAt }) => endedAt - startedAt));
  const roundTripMs = await ping(address);
  return { loads: loads.length, totalMs, loadMs, roundTripMs, roundTrips: (totalMs - loadMs) / roundTripMs };
}

function summarize(results) {
  const all = (field) => results.map((result) => result[field]);
  return {
    leastLoads: Math.min(...all('loads')),
    mostLoads: Math.max(...all('loads')),
    totalMs: median(all('totalMs')),
    loadMs: median(all('loadMs')),
    roundTripMs: median(all('roundTripMs')),
    roundTrips: median(all('roundTrips')),
  };
}

async function ping(address) {
  const engine = await lagoonEngine(address);
  const redis = engine.getRedis();
  const times = [];
  for (let i = 0; i < PINGS; i++) {
    const sentAt = performance.now();
    await redis.ping();
    times.push(performance.now() - sentAt);
  }
  await engine.close();
  return median(times);
}

/** @param {Row[]} rows */
export function stampedeTable(rows) {
  return {
    caption: `${CALLERS} callers in ${PROCESSES} processes want one value that takes ${LOAD_MS} ms to load, over a network of ${2 * ONE_WAY_MS} ms`,
    columns: ['', 'loads', 'ms until the last has it', 'that without a load, in round trips'],
    rows: rows.map(({ name, leastLoads, mostLoads, totalMs, roundTrips }) => [
      name,
      leastLoads === mostLoads ? String(mostLoads) : `${leastLoads} to ${mostLoads}`,
      milliseconds(totalMs),
      ratio(roundTrips),
    ]),
  };
}

/** @param {Row[]} rows */
export function stampedeRequirements(rows) {
  const of = (wanted) => rows.find(({ name }) => name === wanted);
  const where = `${CALLERS} callers in ${PROCESSES} processes`;
  return [
    atMost(1, of(LAGOON_LOCK).mostLoads, `loads, ${where}, lock: true, at most`),
    atMost(5, of(LAGOON_LOCK).roundTrips, `round trips besides the load until the last has it, ${where}, lock: true`),
    atMost(PROCESSES, of(LAGOON_NO_LOCK).mostLoads, `loads, ${where}, without lock, at most`),
  ];
}
