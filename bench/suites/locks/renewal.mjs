import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from '../../harness/child.mjs';
import { atLeast, atMost } from '../../harness/requirements.mjs';
import { count, ratio } from '../../harness/table.mjs';

const LOCKS = 10_000;
const TTL_MS = 30_000;
/** With `--renewal` as it is in production; otherwise all is so much faster, and the cost is taken for so much less. */
const REAL = { ttlMs: TTL_MS, ms: 60_000 };
const SHORT = { ttlMs: 5_000, ms: 10_000 };

/**
 * What it costs a process to keep many locks, as the CPU time of one that renews them less that of one that only holds them.
 *
 * @param {import('../../run.mjs').Context} context
 * @returns {Promise<Result>}
 * @typedef {{ ttlMs: number, ms: number, share: number, asMeasured: number, held: number }} Result
 *   `share`: of one core, at a TTL of 30 s; `asMeasured`: at `ttlMs`; `held`: share of the locks that are held at the end
 */
export async function renewal({ server, renewal: real, progress }) {
  const { ttlMs, ms } = real ? REAL : SHORT;
  progress(`${count(LOCKS)} locks of ${ttlMs} ms renewed for ${ms} ms`);
  const address = { host: server.host, port: server.port };
  const task = { address, locks: LOCKS };
  const renewing = await startChild('renewer.mjs', { ...task, ttlMs, autoRenew: true });
  const holding = await startChild('renewer.mjs', { ...task, ttlMs: 3_600_000, autoRenew: false });
  try {
    const usage = () => Promise.all([renewing.ask('usage'), holding.ask('usage')]);
    const before = await usage();
    await sleep(ms);
    const after = await usage();
    const [with_, without] = after.map(({ cpuMs, atMs }, i) => (cpuMs - before[i].cpuMs) / (atMs - before[i].atMs));
    const asMeasured = with_ - without;
    return { ttlMs, ms, asMeasured, share: (asMeasured * ttlMs) / TTL_MS, held: (await renewing.ask('held')) / LOCKS };
  } finally {
    renewing.kill();
    holding.kill();
  }
}

/** @param {Result} result */
export function renewalTable({ ttlMs, ms, share, asMeasured, held }) {
  return {
    caption: `${count(LOCKS)} locks renewed in one process for ${ms / 1000} s`,
    columns: ['TTL in s', '% of one core', '% of one core at a TTL of 30 s', 'held at the end'],
    rows: [[String(ttlMs / 1000), ratio(asMeasured * 100), ratio(share * 100), `${ratio(held * 100)}%`]],
  };
}

/** @param {Result} result */
export function renewalRequirements({ share, held }) {
  return [
    atMost(0.05, share, `share of one core that renewal of ${count(LOCKS)} locks takes at a TTL of 30 s`),
    atLeast(1, held, 'share of them held at the end'),
  ];
}
