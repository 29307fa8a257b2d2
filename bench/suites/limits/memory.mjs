import { BARE, closeAll, FIXED_WINDOW, GCRA, LAGOON, OURS, openAll, PEERS } from '../../harness/limiters.mjs';
import { atMost } from '../../harness/requirements.mjs';
import { count, ratio } from '../../harness/table.mjs';

/** What the table shows. A sliding window has another form beyond 256 calls. */
const SHOWN = [1, 10, 32, 100, 1_000, 10_000];
/** All there are to begin with: memory comes in steps, and what lies just behind one is the worst. */
const CALLS = [...Array.from({ length: 300 }, (_, i) => i + 1), 1_000, 10_000];
const RULE = { limit: 1_000_000, periodMs: 3_600_000 };
const KEY = 'user:12345678';
const CONTESTANTS = [LAGOON, GCRA, FIXED_WINDOW, BARE];
/** No more than Redis needs for any key with a short string; the key's own name is in it. */
const SMALL_STRING = 128;

/**
 * What a key takes in Redis after so many calls that are all remembered.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Row[]>}
 * @typedef {{ name: string, sizes: { calls: number, type: string, bytes: number }[] }} Row
 */
export async function memory({ server, progress }) {
  const rows = [];
  for (const name of CONTESTANTS) {
    progress(`memory: ${name}`);
    await server.cli('FLUSHALL');
    const limiters = await openAll(server, { [name]: { ...OURS, ...PEERS }[name] });
    try {
      const decide = limiters[name].decider(RULE, true);
      const sizes = [];
      let made = 0;
      for (const calls of CALLS) {
        // One after the other: calls of one turn of the event loop are remembered together.
        for (; made < calls; made++) await decide(KEY);
        sizes.push({ calls, ...(await only(server)) });
      }
      rows.push({ name, sizes });
    } finally {
      await closeAll(limiters);
    }
  }
  return rows;
}

/** The key that there is. */
async function only(server) {
  const keys = await server.cli('KEYS', '*');
  if (keys.length !== 1) throw new Error(`there should be one key, not ${keys.length}`);
  const [key] = keys.map(String);
  const type = String(await server.cli('TYPE', key));
  return { type, bytes: Number(await server.cli('MEMORY', 'USAGE', key, 'SAMPLES', '0')) };
}

/** @param {Row[]} rows */
export function memoryTable(rows) {
  return {
    caption:
      'Bytes of a key in Redis (MEMORY USAGE) by how many calls it remembers, and what each adds to those of one, at worst',
    columns: ['', ...SHOWN.map(count), 'a call'],
    rows: rows.map(({ name, sizes }) => [
      name,
      ...SHOWN.map((calls) => count(sizes.find((size) => size.calls === calls).bytes)),
      ratio(perCall(sizes)),
    ]),
  };
}

/** The smallest x for which no number of calls takes more than the key of one call and x bytes for each. */
function perCall(sizes) {
  return Math.max(...sizes.map(({ calls, bytes }) => (bytes - sizes[0].bytes) / calls));
}

/** @param {Row[]} rows */
export function memoryRequirements(rows) {
  const of = (name) => rows.find((row) => row.name === name).sizes;
  return [
    atMost(16, perCall(of(LAGOON)), `bytes per remembered call, ${LAGOON}, at worst`),
    ...[GCRA, FIXED_WINDOW].flatMap((name) => [
      atMost(SMALL_STRING, Math.max(...of(name).map(({ bytes }) => bytes)), `bytes of a key, ${name}`),
      atMost(0, of(name).filter(({ type }) => type !== 'string').length, `keys that are no string, ${name}`),
    ]),
  ];
}
