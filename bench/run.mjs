/*
 * Measures Lagoon against other clients on a throw-away Redis server: `npm run bench -- [suite …] [options]`.
 * Results go to results/<suite>.json, their summaries into ../docs/performance.md and ../docs/img/commands.svg.
 */
import { parseArgs } from 'node:util';
import { startRedis } from '../dist/testing/index.js';
import { commandsChart } from './harness/chart.mjs';
import { updateDocs } from './harness/docs.mjs';
import { checkVersions, machineFacts, save, saveChart } from './harness/results.mjs';
import { formatTable } from './harness/table.mjs';
import * as bigReplies from './suites/big-replies.mjs';
import * as cache from './suites/cache.mjs';
import * as cluster from './suites/cluster.mjs';
import * as commands from './suites/commands.mjs';
import * as imports from './suites/import.mjs';
import * as limits from './suites/limits.mjs';
import * as locks from './suites/locks.mjs';
import * as scripts from './suites/scripts.mjs';

/**
 * @typedef {{
 *   server: import('../dist/testing/index.js').RedisServer,
 *   rounds: number,
 *   ms: number,
 *   quick: boolean,
 *   renewal: boolean,
 *   progress: (what: string) => void,
 * }} Context `rounds`: how often each contestant has its turn; `ms`: how long a turn is
 */

const SUITES = { commands, cluster, 'big-replies': bigReplies, import: imports, scripts, locks, limits, cache };

const USAGE = `npm run bench -- [${Object.keys(SUITES).join('] [')}] [options]

  --rounds N   turns that every contestant has; default 11, with --quick 3
  --ms N       length of a turn; default 200, with --quick 60
  --quick      a look in a minute or two; writes no results
  --renewal    locks: renew for a minute at a TTL of 30 s, not for 10 s at a TTL of 5 s
  --help`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    ms: { type: 'string' },
    quick: { type: 'boolean', default: false },
    renewal: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !Object.hasOwn(SUITES, name));
const rounds = Number(options.rounds ?? (options.quick ? 3 : 11));
const ms = Number(options.ms ?? (options.quick ? 60 : 200));
if (options.help || unknown.length > 0 || !(Number.isSafeInteger(rounds) && rounds > 0) || !(ms > 0)) {
  console.log(USAGE);
  process.exit(options.help ? 0 : 2);
}

await checkVersions();
for (const name of positionals.length > 0 ? positionals : Object.keys(SUITES)) {
  const suite = SUITES[name];
  console.log(`\n=== ${suite.title}\n`);
  const { result, machine } = await measure(suite);
  const requirements = suite.requirements(result);
  for (const table of suite.tables(result)) console.log(`${formatTable(table)}\n`);
  for (const { what, value, required, met } of requirements) {
    console.log(`${met ? 'PASS' : 'MISS'}  ${value.toFixed(2)} (required ${required})  ${what}`);
  }
  if (options.quick) continue;
  await save(name, { title: suite.title, machine, rounds, ms, requirements, result });
  await updateDocs(name, machine, suite.summary(result));
  if (suite === commands) await saveChart('commands', commandsChart(result));
}

/** Each suite has a server of its own: nothing that one leaves behind slows the next. */
async function measure(suite) {
  const server = await startRedis();
  try {
    const progress = (what) => process.stderr.write(`${what} …\n`);
    const result = await suite.run({ server, rounds, ms, quick: options.quick, renewal: options.renewal, progress });
    return { result, machine: await machineFacts(server) };
  } finally {
    await server.stop();
  }
}
