import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from '../../harness/child.mjs';
import { monotonicMs } from '../../harness/clock.mjs';
import { LAGOON, LOCKERS, lagoonEngine, TUNED } from '../../harness/lockers.mjs';
import { atLeast, atMost } from '../../harness/requirements.mjs';
import { median, quantile } from '../../harness/stats.mjs';
import { milliseconds, ratio } from '../../harness/table.mjs';

const WAITERS = 50;
const HOLD_MS = 5;
const PROCESSES = [1, 4];
const NETWORK_ROUND_TRIP_MS = 2.5;
const FAST_POLLING = 'redis-semaphore, every 1 ms';
const LOOPBACK = 'loopback';
const NETWORK = `${NETWORK_ROUND_TRIP_MS} ms network`;
/** The processes ask one after the other, so far apart that it is certain who was first. */
const APART_MS = 20;
/** So long all are given to have had the lock; those of a library that polls every 250 ms may need longer, and are left out. */
const TURN_MS = 15_000;
const QUICK_TURN_MS = 3_000;
const LOOK_MS = 50;
/** A turn has 50 hand-overs and may take seconds: there are fewer of them than rounds elsewhere. */
const ROUNDS_PER_TURN = 2;
const PINGS = 50;

/**
 * Waiters that all want one lock while another holds it, in one process and in several, on loopback and (Lagoon) through a
 * network that takes its time.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, processes: number, network: string, handOvers: number, p50: number, p99: number,
 *   roundTrips: number, commands: number, outOfOrder: number }} Cell times in ms from release to the next holder;
 *   `roundTrips`: the p50 in round trips of a PING; `commands`: sent per hand-over; `outOfOrder`: share of the pairs of waiters
 *   of whom the later had the lock first
 */
export async function contended({ server, rounds, quick, progress }) {
  const proxy = await startChild('delaying-proxy.mjs', {
    host: server.host,
    port: server.port,
    oneWayMs: NETWORK_ROUND_TRIP_MS / 2,
  });
  const addresses = {
    [LOOPBACK]: { host: server.host, port: server.port },
    [NETWORK]: { host: '127.0.0.1', port: proxy.first.port },
  };
  const contestants = [...Object.keys(LOCKERS), FAST_POLLING].map((name) => ({ name, network: LOOPBACK }));
  contestants.push({ name: LAGOON, network: NETWORK });
  const cells = [];
  try {
    for (const processes of PROCESSES) {
      const results = contestants.map(() => []);
      for (let turn = 0; turn < rounds / ROUNDS_PER_TURN; turn++) {
        for (const [i, { name, network }] of contestants.entries()) {
          progress(`${WAITERS} waiters, ${processes} process(es), ${name}, ${network}`);
          const key = `contended:${processes}:${turn}:${i}`;
          const limitMs = quick ? QUICK_TURN_MS : TURN_MS;
          const address = addresses[network];
          const result = await contend({ server, address, name, key, processes, limitMs });
          results[i].push({ ...result, pings: await pings(address) });
        }
      }
      for (const [i, contestant] of contestants.entries()) {
        cells.push({ ...contestant, processes, ...summarize(results[i]) });
      }
    }
  } finally {
    proxy.kill();
  }
  return cells;
}

/** One turn of one contestant. Its processes are killed at the end: most libraries have no way to stop their waiters. */
async function contend({ server, address, name, key, processes, limitMs }) {
  const { sent } = { ...LOCKERS, ...TUNED }[name];
  const share = (i) => Math.floor(WAITERS / processes) + (i < WAITERS % processes ? 1 : 0);
  const children = [];
  try {
    const start = async (_, i) => {
      const task = { name, address, key, workers: share(i), holdMs: HOLD_MS };
      children[i] = await startChild('contender.mjs', task);
    };
    await Promise.all(Array.from({ length: processes }, start));
    await children[0].ask('hold');
    for (const { ask } of children) {
      await ask('ask');
      await sleep(APART_MS);
    }
    await server.cli('CONFIG', 'RESETSTAT');
    const releasedAt = await children[0].ask('open');
    const reports = await untilAllServed(children, limitMs);
    const commands = calls(String(await server.cli('INFO', 'commandstats')), sent);
    const grants = reports.flatMap((report) => report.grants).sort((a, b) => a.gotAt - b.gotAt);
    const waiting = reports.flatMap((report) => report.waiting);
    return { times: handOvers(name, releasedAt, grants), ...order(grants, waiting), commands };
  } finally {
    for (const child of children) child?.kill();
  }
}

async function untilAllServed(children, limitMs) {
  const giveUpAt = monotonicMs() + limitMs;
  for (;;) {
    await sleep(LOOK_MS);
    const reports = await Promise.all(children.map(({ ask }) => ask('report')));
    const served = reports.reduce((sum, { grants }) => sum + grants.length, 0);
    if (served === WAITERS || monotonicMs() > giveUpAt) return reports;
  }
}

/** Calls of these commands. What scripts call counts too, which is why a contestant names what it sends itself. */
function calls(stats, commands) {
  return commands.reduce((sum, name) => {
    const found = new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats);
    return sum + Number(found?.[1] ?? 0);
  }, 0);
}

function handOvers(name, firstReleasedAt, grants) {
  return grants.map(({ gotAt }, i) => {
    const releasedAt = i === 0 ? firstReleasedAt : grants[i - 1].releasedAt;
    if (gotAt < releasedAt) throw new Error(`${name}: two held the lock at once`);
    return gotAt - releasedAt;
  });
}

/** How many pairs of waiters there are, and of how many of them the later was served first. */
function order(grants, waiting) {
  const served = [...grants, ...waiting.map((asked) => ({ ...asked, gotAt: Number.POSITIVE_INFINITY }))];
  // Those of one process asked in one turn of its event loop, those of another well before or after.
  served.sort((a, b) => (a.pid === b.pid ? a.order - b.order : a.askedAt - b.askedAt));
  let pairs = 0;
  let inverted = 0;
  for (const [i, earlier] of served.entries()) {
    for (const later of served.slice(i + 1)) {
      if (Math.min(earlier.gotAt, later.gotAt) === Number.POSITIVE_INFINITY) continue;
      pairs++;
      if (later.gotAt < earlier.gotAt) inverted++;
    }
  }
  return { pairs, inverted };
}

function summarize(results) {
  const times = Float64Array.from(results.flatMap((result) => result.times)).sort();
  if (times.length === 0) throw new Error('there was no hand-over in that time');
  const sum = (field) => results.reduce((total, result) => total + result[field], 0);
  const p50 = quantile(times, 0.5);
  return {
    handOvers: times.length,
    p50,
    p99: quantile(times, 0.99),
    roundTrips: p50 / median(results.flatMap((result) => result.pings)),
    commands: sum('commands') / times.length,
    outOfOrder: sum('inverted') / sum('pairs'),
  };
}

/** The times of some PINGs, each after a pause as long as a lock is held: a process that slept wakes up more slowly. */
async function pings(address) {
  const engine = await lagoonEngine(address);
  const redis = engine.getRedis();
  const times = [];
  for (let i = 0; i < PINGS; i++) {
    await sleep(HOLD_MS);
    const sentAt = performance.now();
    await redis.ping();
    times.push(performance.now() - sentAt);
  }
  await engine.close();
  return times;
}

/** @param {Cell[]} cells */
export function contendedTables(cells) {
  return PROCESSES.map((processes) => ({
    caption: `${WAITERS} waiters on one lock in ${processes} process(es), held for ${HOLD_MS} ms: ms from release to the next holder`,
    columns: ['', 'p50', 'p99', 'p50 in round trips', 'commands per hand-over', 'out of order'],
    rows: cells
      .filter((cell) => cell.processes === processes)
      .map(({ name, network, p50, p99, roundTrips, commands, outOfOrder }) => [
        network === LOOPBACK ? name : `${name}, ${network}`,
        milliseconds(p50),
        milliseconds(p99),
        ratio(roundTrips),
        ratio(commands),
        `${Math.round(outOfOrder * 100)}%`,
      ]),
  }));
}

/** @param {Cell[]} cells */
export function contendedRequirements(cells) {
  return PROCESSES.flatMap((processes) => {
    const where = `${WAITERS} waiters, ${processes} process(es)`;
    const of = (name, network = LOOPBACK) =>
      cells.find((cell) => cell.processes === processes && cell.name === name && cell.network === network);
    const lagoon = of(LAGOON);
    const peers = Object.keys(LOCKERS).filter((name) => name !== LAGOON);
    const best = peers.map((name) => of(name)).reduce((fastest, cell) => (cell.p50 < fastest.p50 ? cell : fastest));
    return [
      atMost(1.3, of(LAGOON, NETWORK).roundTrips, `p50 in round trips of a ${NETWORK}, ${where}`),
      atLeast(10, best.p50 / lagoon.p50, `p50 of ${best.name} / Lagoon, ${where}`),
      atMost(3, lagoon.commands, `commands per hand-over, ${where}`),
      atMost(0, lagoon.outOfOrder, `share of pairs out of order, ${where}`),
    ];
  });
}
