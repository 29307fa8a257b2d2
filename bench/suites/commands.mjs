import { AUTO, BARE, CLIENTS, DEFAULTS, LAGOON, POOL } from '../harness/clients.mjs';
import { throughput } from '../harness/load.mjs';
import { atLeast } from '../harness/requirements.mjs';
import { interleave } from '../harness/rounds.mjs';
import { openSocketLoop } from '../harness/socket-loop.mjs';
import { median, medianRatio } from '../harness/stats.mjs';
import { count, ratio, thousands } from '../harness/table.mjs';

/** The limit, not a client: it is left out of every ranking. */
export const LIMIT = 'socket loop (the limit)';

const SIZES = { '16 B': 16, '1 KB': 1024 };
const IN_FLIGHT = [1, 100, 1000];
const WARM_UP_MS = 200;

export const title = 'GET and SET against other clients';

/**
 * @param {import('../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, perSecond: number, lagoonTimes: number }} Row `lagoonTimes`: Lagoon's rate over this one's
 * @typedef {{ command: string, size: string, inFlight: number, rows: Row[] }} Cell
 */
export async function run({ server, rounds, ms, progress }) {
  const loop = await openSocketLoop(server);
  /** @type {Record<string, import('../harness/clients.mjs').Client>} */
  const clients = {};
  for (const [name, open] of Object.entries(CLIENTS)) clients[name] = await open(server);
  const cells = [];
  for (const command of ['GET', 'SET']) {
    for (const [size, bytes] of Object.entries(SIZES)) {
      const key = `bench:${bytes}`;
      const value = 'x'.repeat(bytes);
      await prepare(clients, key, value);
      for (const inFlight of IN_FLIGHT) {
        progress(`${command} ${size}, ${inFlight} in flight`);
        const contestants = Object.entries(clients).map(([name, client]) => {
          const op = command === 'GET' ? () => client.get(key) : () => client.set(key, value);
          return [name, () => throughput(op, inFlight, ms)];
        });
        const wire = command === 'GET' ? [command, key] : [command, key, value];
        const replyBytes = command === 'GET' ? `$${bytes}\r\n${value}\r\n`.length : '+OK\r\n'.length;
        contestants.push([LIMIT, () => loop.throughput(wire, replyBytes, inFlight, ms)]);
        const rates = await interleave(Object.fromEntries(contestants), rounds);
        cells.push({ command, size, inFlight, rows: summarize(rates) });
      }
    }
  }
  for (const client of [...Object.values(clients), loop]) await client.close();
  return cells;
}

/** Sees that every client does what is measured, and lets the compiler see it often enough to optimize it. */
async function prepare(clients, key, value) {
  for (const [name, client] of Object.entries(clients)) {
    await client.set(key, value);
    if ((await client.get(key)) !== value) throw new Error(`${name} does not give back what it was given`);
    await throughput(() => client.get(key), 100, WARM_UP_MS);
    await throughput(() => client.set(key, value), 100, WARM_UP_MS);
  }
}

function summarize(rates) {
  return Object.entries(rates).map(([name, values]) => ({
    name,
    perSecond: median(values),
    lagoonTimes: medianRatio(rates[LAGOON], values),
  }));
}

/** @param {Cell[]} cells */
export function tables(cells) {
  const kinds = [...new Set(cells.map(({ command, size }) => `${command} ${size}`))];
  return kinds.map((kind) => {
    const list = cells.filter(({ command, size }) => `${command} ${size}` === kind);
    return {
      caption: `${kind}: thousands per second, and Lagoon's rate over it`,
      columns: ['in flight', ...list.flatMap(({ inFlight }) => [count(inFlight), 'Lagoon is'])],
      rows: list[0].rows.map(({ name }, i) => [
        name,
        ...list.flatMap(({ rows }) => [thousands(rows[i].perSecond), ratio(rows[i].lagoonTimes)]),
      ]),
    };
  });
}

/** What the documentation shows: ratios only, as rates are the machine's. @param {Cell[]} cells */
export function summary(cells) {
  const shown = cells.filter(({ command, size }) => (command === 'GET') === (size === '16 B'));
  return [
    {
      caption: "Lagoon's rate over theirs, by how many commands are in flight",
      columns: ['', ...shown.map(({ command, size, inFlight }) => `${command} ${size}, ${count(inFlight)}`)],
      rows: shown[0].rows
        .filter(({ name }) => name !== LAGOON)
        .map(({ name }) => [
          name,
          ...shown.map(({ rows }) => ratio(rows.find((row) => row.name === name).lagoonTimes)),
        ]),
    },
  ];
}

/** @param {Cell[]} cells */
export function requirements(cells) {
  const cell = (command, size, inFlight) =>
    /** @type {Cell} */ (cells.find((c) => c.command === command && c.size === size && c.inFlight === inFlight));
  const against = (name, least, command, size, inFlight) => {
    const row = cell(command, size, inFlight).rows.find((candidate) => candidate.name === name);
    return atLeast(least, row.lagoonTimes, `${command} ${size}, ${inFlight} in flight: Lagoon / ${name}`);
  };
  return [
    against(BARE, 1, 'GET', '16 B', 100),
    against(AUTO, 2, 'GET', '16 B', 100),
    against(DEFAULTS, 4, 'GET', '16 B', 100),
    against(POOL, 8, 'GET', '16 B', 100),
    against(AUTO, 2.5, 'GET', '16 B', 1000),
    against(AUTO, 2.5, 'SET', '1 KB', 1000),
    against(bestPeer(cell('GET', '16 B', 1)), 0.95, 'GET', '16 B', 1),
  ];
}

/** @param {Cell} cell */
function bestPeer({ rows }) {
  const peers = rows.filter(({ name }) => name !== LAGOON && name !== LIMIT);
  return peers.reduce((best, row) => (row.perSecond > best.perSecond ? row : best)).name;
}
