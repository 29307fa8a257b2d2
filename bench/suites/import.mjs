import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { atMost } from '../harness/requirements.mjs';
import { interleave } from '../harness/rounds.mjs';
import { median, medianRatio } from '../harness/stats.mjs';
import { milliseconds, ratio } from '../harness/table.mjs';

const execute = promisify(execFile);
const LAGOON = "import 'lagoon'";
const REDIS = "import 'redis'";
const LEAST_PAIRS = 15;

export const title = 'What an import costs a fresh process';

/**
 * @param {import('../run.mjs').Context} context
 * @returns {Promise<Row[]>}
 * @typedef {{ name: string, ms: number, toRedis: number }} Row
 */
export async function run({ rounds, quick, progress }) {
  progress('fresh processes');
  const lagoon = new URL('../../dist/index.js', import.meta.url);
  // The very copy of node-redis that Lagoon loads, not the one of this folder.
  const redis = pathToFileURL(createRequire(lagoon).resolve('redis'));
  const pairs = quick ? rounds : Math.max(rounds, LEAST_PAIRS);
  const times = await interleave({ [LAGOON]: () => importTime(lagoon), [REDIS]: () => importTime(redis) }, pairs);
  return Object.entries(times).map(([name, values]) => ({
    name,
    ms: median(values),
    toRedis: medianRatio(values, times[REDIS]),
  }));
}

/** The time of the import alone; the start of the process would only hide the difference. */
async function importTime(module) {
  const code = `const start = performance.now(); await import(${JSON.stringify(module.href)}); console.log(performance.now() - start);`;
  const { stdout } = await execute(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
  });
  return Number(stdout);
}

/** @param {Row[]} rows */
export function tables(rows) {
  return [
    {
      caption: 'Time of the import, without the start of the process',
      columns: ['', 'ms', 'ratio'],
      rows: rows.map(({ name, ms, toRedis }) => [name, milliseconds(ms), ratio(toRedis)]),
    },
  ];
}

export const summary = tables;

/** @param {Row[]} rows */
export function requirements(rows) {
  const { toRedis } = rows.find(({ name }) => name === LAGOON);
  return [atMost(1.15, toRedis, `${LAGOON} / ${REDIS}`)];
}
