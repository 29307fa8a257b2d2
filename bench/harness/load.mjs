import { quantile } from './stats.mjs';

/** Operations of a worker between two looks at the clock: looking costs time too. */
const CHUNK = 8;

/**
 * Keeps `inFlight` operations going for about `ms`, each worker awaiting one after the other.
 *
 * @param {() => Promise<unknown>} op
 * @param {number} inFlight
 * @param {number} ms
 * @returns {Promise<number>} operations per second
 */
export async function throughput(op, inFlight, ms) {
  let count = 0;
  const startedAt = performance.now();
  const endAt = startedAt + ms;
  const worker = async () => {
    while (performance.now() < endAt) {
      for (let i = 0; i < CHUNK; i++) await op();
      count += CHUNK;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return (count * 1000) / (performance.now() - startedAt);
}

/**
 * The same load, with the time of every single operation.
 *
 * @param {() => Promise<unknown>} op
 * @param {number} inFlight
 * @param {number} ms
 * @returns {Promise<Latencies>}
 */
export async function latency(op, inFlight, ms) {
  /** @type {number[]} */
  const times = [];
  const endAt = performance.now() + ms;
  const worker = async () => {
    for (let before = performance.now(); before < endAt; ) {
      await op();
      const after = performance.now();
      times.push(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return summarize(times, ms);
}

/**
 * An operation every `everyMs`, whatever became of the one before, each timed from the moment it was due. Workers that wait
 * for a stalled operation start no others meanwhile, so that a stall counts once; here it counts for as long as it lasts.
 *
 * @param {() => Promise<unknown>} op
 * @param {number} everyMs
 * @param {number} ms
 * @returns {Promise<Latencies>}
 */
export async function latencyAtRate(op, everyMs, ms) {
  /** @type {number[]} */
  const times = [];
  /** @type {Promise<void>[]} */
  const pending = [];
  const startedAt = performance.now();
  for (let due = startedAt; due < startedAt + ms; due += everyMs) {
    // A timer would be late by up to a millisecond.
    while (performance.now() < due) await nextTurn();
    pending.push(op().then(() => void times.push(performance.now() - due)));
  }
  await Promise.all(pending);
  return summarize(times, ms);
}

function nextTurn() {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * @param {number[]} times
 * @param {number} ms
 * @returns {Latencies}
 * @typedef {{ p50: number, p99: number, perSecond: number }} Latencies in ms
 */
function summarize(times, ms) {
  const sorted = Float64Array.from(times).sort();
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), perSecond: (times.length * 1000) / ms };
}
