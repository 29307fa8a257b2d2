import { ioredis, lagoon, nodeRedis } from '../harness/clients.mjs';
import { latency, latencyAtRate } from '../harness/load.mjs';
import { atMost } from '../harness/requirements.mjs';
import { interleave } from '../harness/rounds.mjs';
import { median, medianRatio } from '../harness/stats.mjs';
import { count, milliseconds, ratio } from '../harness/table.mjs';

const BIG_BYTES = 4 * 1024 * 1024;
const SMALL = 'small:value';
const BIG = 'big:value';
/** A p99 needs more samples than a rate: a turn is longer here, by this factor. */
const LONGER = 2;

/** What the other caller does: how many big reads at once, and how long from the start of one to that of the next. */
const READERS = [
  { name: 'one big read after the other', atOnce: 1, everyMs: 0 },
  { name: 'four big reads at once', atOnce: 4, everyMs: 0 },
  { name: 'a big read every 100 ms', atOnce: 1, everyMs: 100 },
];
/** How the caller of small GETs calls. */
const CALLERS = {
  '1 small GET in flight': (op, ms) => latency(op, 1, ms),
  '100 small GETs in flight': (op, ms) => latency(op, 100, ms),
  'a small GET every ms': (op, ms) => latencyAtRate(op, 1, ms),
};

const ALONE = 'Lagoon, nobody beside';
/** As apart as two callers in one process can be: what they still share is the event loop and the server. */
const FLOOR = 'node-redis, a client each';
const ONE_LANE = 'Lagoon, 1 lane';
const WITH_A_LANE_TO_SPARE = 'Lagoon, 2 lanes';

export const title = 'Small GETs beside another caller that reads 4 MB values';

/**
 * @param {import('../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, p50: number, p99: number, toAlone: number, toFloor: number, smallPerSecond: number, bigPerSecond: number }} Row
 *   times in ms; `toAlone` and `toFloor` are ratios of the p99
 * @typedef {{ caller: string, reader: string, rows: Row[] }} Cell
 */
export async function run({ server, rounds, ms, progress }) {
  const clients = [
    await lagoon(server, { pool: { lanes: 1 } }),
    await lagoon(server, { pool: { lanes: 2 } }),
    await lagoon(server, { pool: { lanes: 4 } }),
    await nodeRedis(server),
    await nodeRedis(server),
    await ioredis(server),
  ];
  const [lane1, lanes2, lanes4, bare, bareToo, io] = clients;
  await bare.set(SMALL, 'x'.repeat(16));
  await bare.set(BIG, 'x'.repeat(BIG_BYTES));
  const pairs = {
    [ALONE]: [lane1],
    [ONE_LANE]: [lane1, lane1],
    [WITH_A_LANE_TO_SPARE]: [lanes2, lanes2],
    'Lagoon, 4 lanes': [lanes4, lanes4],
    [FLOOR]: [bare, bareToo],
    'node-redis, one client': [bare, bare],
    'ioredis, one client': [io, io],
  };
  const cells = [];
  for (const [caller, measure] of Object.entries(CALLERS)) {
    for (const reader of READERS) {
      progress(`${caller}, ${reader.name}`);
      const runs = Object.entries(pairs).map(([name, pair]) => [
        name,
        () => beside(pair, reader, measure, ms * LONGER),
      ]);
      cells.push({ caller, reader: reader.name, rows: summarize(await interleave(Object.fromEntries(runs), rounds)) });
    }
  }
  for (const client of clients) await client.close();
  return cells;
}

/** The latency of small GETs of one client while another, or the same one, reads big values. */
async function beside([small, big], { atOnce, everyMs }, measure, ms) {
  let reading = big !== undefined;
  let reads = 0;
  const reader = async () => {
    while (reading) {
      const nextAt = performance.now() + everyMs;
      if ((await big.get(BIG))?.length !== BIG_BYTES) throw new Error('a big value did not come back whole');
      reads++;
      const pauseMs = nextAt - performance.now();
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const readers = Array.from({ length: atOnce }, reader);
  const result = await measure(() => small.get(SMALL), ms);
  const bigPerSecond = (reads * 1000) / ms;
  reading = false;
  await Promise.all(readers);
  return { ...result, bigPerSecond };
}

function summarize(results) {
  const each = (name, field) => results[name].map((round) => round[field]);
  return Object.keys(results).map((name) => ({
    name,
    p50: median(each(name, 'p50')),
    p99: median(each(name, 'p99')),
    toAlone: medianRatio(each(name, 'p99'), each(ALONE, 'p99')),
    toFloor: medianRatio(each(name, 'p99'), each(FLOOR, 'p99')),
    smallPerSecond: median(each(name, 'perSecond')),
    bigPerSecond: median(each(name, 'bigPerSecond')),
  }));
}

/** @param {Cell[]} cells */
export function tables(cells) {
  return cells.map(({ caller, reader, rows }) => ({
    caption: `${caller}, ${reader}: latency of the small ones in ms`,
    columns: ['', 'p50', 'p99', 'p99 / alone', 'p99 / a client each', 'small/s', '4 MB/s'],
    rows: rows.map((row) => [
      row.name,
      milliseconds(row.p50),
      milliseconds(row.p99),
      ratio(row.toAlone),
      ratio(row.toFloor),
      count(row.smallPerSecond),
      count(row.bigPerSecond),
    ]),
  }));
}

/** @param {Cell[]} cells */
export function summary(cells) {
  const of = (field, names) => ({
    columns: ['', ...names],
    rows: cells.map(({ caller, reader, rows }) => [
      `${caller}, ${reader}`,
      ...names.map((name) => milliseconds(rows.find((row) => row.name === name)[field])),
    ]),
  });
  const names = [ALONE, ONE_LANE, WITH_A_LANE_TO_SPARE, FLOOR, 'ioredis, one client'];
  return [
    { caption: 'Median latency of the small GETs in ms', ...of('p50', names) },
    { caption: 'p99 of the small GETs in ms', ...of('p99', names) },
  ];
}

/** @param {Cell[]} cells */
export function requirements(cells) {
  return cells.map(({ caller, reader, rows }) => {
    const { toFloor } = rows.find(({ name }) => name === WITH_A_LANE_TO_SPARE);
    return atMost(1.5, toFloor, `p99, ${caller}, ${reader}: ${WITH_A_LANE_TO_SPARE} / ${FLOOR}`);
  });
}
