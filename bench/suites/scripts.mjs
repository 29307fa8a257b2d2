import { createHash } from 'node:crypto';
import { defineScript } from '../../dist/index.js';
import { lagoon, nodeRedis } from '../harness/clients.mjs';
import { throughput } from '../harness/load.mjs';
import { interleave } from '../harness/rounds.mjs';
import { median, medianRatio } from '../harness/stats.mjs';
import { count, ratio, thousands } from '../harness/table.mjs';

const ONE = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
const MANY = `local replies = {}
for i, key in ipairs(KEYS) do replies[i] = redis.call('INCRBY', key, ARGV[i]) end
return replies`;

const IN_FLIGHT = [1, 100, 1000];
const KEYS = Array.from({ length: 1000 }, (_, i) => `counter:${i}`);
const ALONE = 'runScript';
const BATCHED = 'runScript, batch 64';
const BARE = 'node-redis evalSha, timeout off';

export const title = 'A script call by itself and in batches of one turn of the event loop';

/**
 * @param {import('../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, perSecond: number, toAlone: number }} Row `toAlone`: this rate over that of one call at a time
 * @typedef {{ inFlight: number, rows: Row[] }} Cell
 */
export async function run({ server, rounds, ms, progress }) {
  const pool = await lagoon(server);
  const bare = await nodeRedis(server);
  const one = defineScript({ lua: ONE, keys: 1, args: 1 });
  const many = defineScript({ lua: MANY, keys: 1, args: 1, batch: 64 });
  const sha = createHash('sha1').update(ONE).digest('hex');
  let turn = 0;
  const key = () => KEYS[turn++ % KEYS.length];
  const ops = {
    [ALONE]: () => pool.redis.runScript(one, [key()], [1]),
    [BATCHED]: () => pool.redis.runScript(many, [key()], [1]),
    [BARE]: () => bare.redis.evalSha(sha, { keys: [key()], arguments: ['1'] }),
  };
  // The first call of each makes the server know the script; node-redis's evalSha relies on that.
  for (const op of Object.values(ops))
    if (typeof (await op()) !== 'number') throw new Error('the script gave no number');
  const cells = [];
  for (const inFlight of IN_FLIGHT) {
    progress(`${inFlight} in flight`);
    const runs = Object.entries(ops).map(([name, op]) => [name, () => throughput(op, inFlight, ms)]);
    const rates = await interleave(Object.fromEntries(runs), rounds);
    const rows = Object.entries(rates).map(([name, values]) => ({
      name,
      perSecond: median(values),
      toAlone: medianRatio(values, rates[ALONE]),
    }));
    cells.push({ inFlight, rows });
  }
  await pool.close();
  await bare.close();
  return cells;
}

/** @param {Cell[]} cells */
export function tables(cells) {
  return [
    {
      caption: 'INCRBY in a script: thousands of calls per second, and the ratio to runScript without batch',
      columns: ['in flight', ...cells.flatMap(({ inFlight }) => [count(inFlight), 'ratio'])],
      rows: cells[0].rows.map(({ name }, i) => [
        name,
        ...cells.flatMap(({ rows }) => [thousands(rows[i].perSecond), ratio(rows[i].toAlone)]),
      ]),
    },
  ];
}

export const summary = tables;

export function requirements() {
  return [];
}
