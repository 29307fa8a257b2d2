import { closeAll, OURS, openAll, PEERS, REMEMBERING } from '../../harness/limiters.mjs';
import { atMost } from '../../harness/requirements.mjs';
import { count } from '../../harness/table.mjs';

const DECISIONS = 10_000;
const IN_FLIGHT = [1, 100];
/** Others for each number in flight, so that nobody remembers them. */
const distinct = (inFlight) => Array.from({ length: DECISIONS }, (_, i) => `user:${inFlight}:${i}`);
const hot = (inFlight) => [`user:hot:${inFlight}`];
const CASES = {
  'distinct keys, allowed': { rule: { limit: 100, periodMs: 3_600_000 }, keys: distinct, allowed: true },
  'one hot key, allowed': { rule: { limit: 1_000_000_000, periodMs: 1_000 }, keys: hot, allowed: true },
  'one hot key, denied': { rule: { limit: 1, periodMs: 3_600_000 }, keys: hot, allowed: false },
};
/** What asks for scripts to be run; everything else here is run by those. */
const SENT = ['eval', 'evalsha'];
/** Of the one who measures. */
const NOT_THEIRS = ['config|resetstat', 'info'];

/**
 * What Redis has to do for a decision, as it counts itself.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Cell[]>}
 * @typedef {{ name: string, sent: number, run: number }} Row per decision: `sent` by the client, and `run` in all
 * @typedef {{ name: string, inFlight: number, rows: Row[] }} Cell
 */
export async function commands({ server, progress }) {
  const limiters = await openAll(server, { ...OURS, ...PEERS, ...REMEMBERING });
  const cells = [];
  try {
    for (const [name, { rule, keys, allowed }] of Object.entries(CASES)) {
      for (const inFlight of IN_FLIGHT) {
        progress(`commands: ${name}, ${inFlight} in flight`);
        const rows = [];
        for (const [contestant, limiter] of Object.entries(limiters)) {
          const decide = limiter.decider(rule, allowed);
          const asked = keys(inFlight);
          // What comes first may be dearer: the server learns of the script, the process of the denial.
          await limiter.decider(rule, true)(asked[0]);
          await decide(asked[0]);
          await server.cli('CONFIG', 'RESETSTAT');
          await decideAll(decide, asked, inFlight);
          rows.push({ name: contestant, ...calls(String(await server.cli('INFO', 'commandstats'))) });
        }
        cells.push({ name, inFlight, rows });
      }
    }
  } finally {
    await closeAll(limiters);
  }
  return cells;
}

async function decideAll(decide, keys, inFlight) {
  let asked = 0;
  const worker = async () => {
    while (asked < DECISIONS) await decide(keys[asked++ % keys.length]);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

function calls(stats) {
  let sent = 0;
  let run = 0;
  for (const [, name, number] of stats.matchAll(/^cmdstat_(\S+):calls=(\d+)/gm)) {
    if (SENT.includes(name)) sent += Number(number);
    if (!NOT_THEIRS.includes(name)) run += Number(number);
  }
  return { sent: sent / DECISIONS, run: run / DECISIONS };
}

/** @param {Cell[]} cells */
export function commandsTable(cells) {
  return {
    caption:
      'Commands per decision, by how many are in flight: sent by the client, and in brackets with those that scripts run',
    columns: ['', ...cells.map(({ name, inFlight }) => `${name}, ${count(inFlight)}`)],
    rows: cells[0].rows.map(({ name }, i) => [
      name,
      ...cells.map(({ rows }) => `${digits(rows[i].sent)} (${digits(rows[i].run)})`),
    ]),
  };
}

function digits(value) {
  return value === 0 ? '0' : value.toFixed(value < 0.1 ? 3 : 2);
}

/** @param {Cell[]} cells */
export function commandsRequirements(cells) {
  return cells.flatMap(({ name, inFlight, rows }) => {
    const ours = rows.filter((row) => Object.hasOwn(OURS, row.name));
    const where = `${name}, ${inFlight} in flight`;
    // A denial is remembered: nothing at all, whoever sent it, may have reached Redis.
    if (!CASES[name].allowed)
      return [atMost(0, Math.max(...ours.map(({ run }) => run)), `commands per decision, ${where}`)];
    return [atMost(1, Math.max(...ours.map(({ sent }) => sent)), `commands sent per decision, ${where}`)];
  });
}
