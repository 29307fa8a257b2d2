import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { Registry } from '../../dist/index.js';
import { startCluster } from '../../dist/testing/index.js';
import { throughput } from '../harness/load.mjs';
import { atLeast } from '../harness/requirements.mjs';
import { interleave } from '../harness/rounds.mjs';
import { median, medianRatio } from '../harness/stats.mjs';
import { count, ratio, thousands } from '../harness/table.mjs';

const LAGOON = 'Lagoon';
const BARE = 'node-redis createCluster, timeout off';
const IN_FLIGHT = [1, 100, 1000];
const VALUE = 'x'.repeat(16);
/** So many that every master has some. */
const KEYS = Array.from({ length: 1_000 }, (_, i) => `bench:${i}`);
const WARM_UP_MS = 300;

export const title = 'GET on a cluster of three masters against other clients';

/** @type {Record<string, (addresses: string[]) => Promise<{ get(key: string): Promise<string | null>, close(): unknown }>>} */
const CLIENTS = {
  async [LAGOON](addresses) {
    const engine = new Registry().registerRedisCluster(addresses).validate();
    await engine.connect();
    const redis = engine.getRedis();
    return { get: (key) => redis.get(key), close: () => engine.close() };
  },
  [BARE]: (addresses) => nodeRedis(addresses, { commandOptions: { timeout: undefined } }),
  'node-redis createCluster': (addresses) => nodeRedis(addresses, {}),
  'ioredis, auto-pipelining': (addresses) => ioredis(addresses, { enableAutoPipelining: true }),
  ioredis: (addresses) => ioredis(addresses, {}),
};

async function nodeRedis(addresses, defaults) {
  const redis = createCluster({ rootNodes: addresses.map((address) => ({ url: `redis://${address}` })), defaults });
  await redis.connect();
  return { get: (key) => redis.get(key), close: () => redis.close() };
}

async function ioredis(addresses, options) {
  const nodes = addresses.map((address) => {
    const [host, port] = address.split(':');
    return { host, port: Number(port) };
  });
  const redis = new Cluster(nodes, options);
  await redis.ping();
  return { get: (key) => redis.get(key), close: () => redis.disconnect() };
}

/**
 * @param {import('../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, perSecond: number, lagoonTimes: number }} Row `lagoonTimes`: Lagoon's rate over this one's
 * @typedef {{ inFlight: number, rows: Row[] }} Cell
 */
export async function run({ rounds, ms, progress }) {
  const cluster = await startCluster({ replicasPerMaster: 0 });
  const clients = {};
  try {
    for (const [name, open] of Object.entries(CLIENTS)) clients[name] = await open(cluster.addresses);
    for (const key of KEYS) await (await cluster.nodeOf(key)).cli('SET', key, VALUE);
    let turn = 0;
    const ops = Object.entries(clients).map(([name, { get }]) => [
      name,
      async () => {
        if ((await get(KEYS[turn++ % KEYS.length])) !== VALUE) throw new Error(`${name} read another value`);
      },
    ]);
    for (const [name, op] of ops) {
      progress(`warming up ${name}`);
      await throughput(op, 100, WARM_UP_MS);
    }
    const cells = [];
    for (const inFlight of IN_FLIGHT) {
      progress(`GET, ${inFlight} in flight`);
      const contestants = ops.map(([name, op]) => [name, () => throughput(op, inFlight, ms)]);
      const rates = await interleave(Object.fromEntries(contestants), rounds);
      const rows = Object.entries(rates).map(([name, values]) => ({
        name,
        perSecond: median(values),
        lagoonTimes: medianRatio(rates[LAGOON], values),
      }));
      cells.push({ inFlight, rows });
    }
    return cells;
  } finally {
    for (const client of Object.values(clients)) await client.close();
    await cluster.stop();
  }
}

/** @param {Cell[]} cells */
export function tables(cells) {
  return [
    {
      caption: "GET 16 B: thousands per second, and Lagoon's rate over it",
      columns: ['in flight', ...cells.flatMap(({ inFlight }) => [count(inFlight), 'Lagoon is'])],
      rows: cells[0].rows.map(({ name }, i) => [
        name,
        ...cells.flatMap(({ rows }) => [thousands(rows[i].perSecond), ratio(rows[i].lagoonTimes)]),
      ]),
    },
  ];
}

/** @param {Cell[]} cells */
export function summary(cells) {
  return [
    {
      caption: "Lagoon's rate over theirs, by how many commands are in flight",
      columns: ['', ...cells.map(({ inFlight }) => count(inFlight))],
      rows: cells[0].rows
        .map(({ name }, i) => [name, ...cells.map(({ rows }) => ratio(rows[i].lagoonTimes))])
        .filter(([name]) => name !== LAGOON),
    },
  ];
}

/** @param {Cell[]} cells */
export function requirements(cells) {
  const { rows } = cells.find(({ inFlight }) => inFlight === 100);
  const bare = rows.find(({ name }) => name === BARE);
  return [atLeast(0.95, bare.lagoonTimes, `GET 16 B, 100 in flight: Lagoon / ${BARE}`)];
}
