import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { BENTOCACHE_TIERED, LAGOON_LOCAL, open } from '../../harness/caches.mjs';
import { atMost } from '../../harness/requirements.mjs';
import { count } from '../../harness/table.mjs';
import { startWatchedProxy } from '../../harness/watched-proxy.mjs';

/** Lagoon's default, and how long it waits for the answer. */
const HEARTBEAT_MS = 1_000;
const BOUND_MS = 2 * HEARTBEAT_MS;
const LOOK_MS = 2 * BOUND_MS;
const EVERY_MS = 2;
const ROUNDS = 5;
const QUICK_ROUNDS = 2;
const KEY = 'counter';
/** What is sent on the connection by which it hears of changes, and on no other. */
const HEARS_BY = { [LAGOON_LOCAL]: 'TRACKING', [BENTOCACHE_TIERED]: 'SUBSCRIBE' };

/**
 * How old a value can be that is served from the process while another client writes and the connection that tells of changes has
 * fallen silent, without an end. All other connections work.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Row[]>}
 * @typedef {{ name: string, beforeMs: number, worstMs: number, rounds: number[] }} Row `beforeMs`: the worst while all
 *   connections work; `worstMs`: while one is silent
 */
export async function staleness({ server, quick, progress }) {
  const rows = [];
  for (const [name, word] of Object.entries(HEARS_BY)) {
    const rounds = [];
    for (let round = 0; round < (quick ? QUICK_ROUNDS : ROUNDS); round++) {
      progress(`a connection falls silent, ${name}`);
      await server.cli('FLUSHALL');
      rounds.push(await fallSilent(server, name, word));
    }
    rows.push({
      name,
      beforeMs: Math.max(...rounds.map(({ beforeMs }) => beforeMs)),
      worstMs: Math.max(...rounds.map(({ worstMs }) => worstMs)),
      rounds: rounds.map(({ worstMs }) => worstMs),
    });
  }
  return rows;
}

async function fallSilent(server, name, word) {
  const proxy = await startWatchedProxy(server);
  const writer = await open(server, name);
  const reader = await open(proxy.address, name);
  try {
    await writer.set(KEY, { n: 0 });
    await sleep(HEARTBEAT_MS);
    // At any moment between two heartbeats.
    const beforeMs = await worstAge(reader, writer, HEARTBEAT_MS * (1 + Math.random()));
    if (proxy.mute(word) !== 1) throw new Error(`${name} should hear of changes by one connection`);
    return { beforeMs, worstMs: await worstAge(reader, writer, LOOK_MS) };
  } finally {
    proxy.unmute();
    await reader.close();
    await writer.close();
    await proxy.stop();
  }
}

/** Writes numbers and reads them for a time; gives for how long, at worst, one was still read after another had replaced it. */
async function worstAge(reader, writer, ms) {
  const replacedAt = new Map();
  let { n } = await reader.get(KEY);
  let worst = 0;
  const endAt = performance.now() + ms;
  const writing = (async () => {
    while (performance.now() < endAt) {
      await writer.set(KEY, { n: n + 1 });
      replacedAt.set(n++, performance.now());
      await sleep(EVERY_MS);
    }
  })();
  while (performance.now() < endAt) {
    const askedAt = performance.now();
    const read = await reader.get(KEY);
    const replaced = replacedAt.get(read.n);
    if (replaced !== undefined) worst = Math.max(worst, askedAt - replaced);
    await nextTurn();
  }
  await writing;
  return worst;
}

/** @param {Row[]} rows */
export function stalenessTable(rows) {
  return {
    caption: `Age in ms of the oldest value served from the process, watched for ${LOOK_MS} ms`,
    columns: ['', 'all connections work', 'the one that tells of changes is silent'],
    rows: rows.map(({ name, beforeMs, worstMs }) => [name, count(beforeMs), count(worstMs)]),
  };
}

/** @param {Row[]} rows */
export function stalenessRequirements(rows) {
  const { worstMs } = rows.find(({ name }) => name === LAGOON_LOCAL);
  return [
    atMost(BOUND_MS, worstMs, 'ms that a value was stale, at worst, after the tracking connection died silently'),
  ];
}
