/*
 * A process in which all contestants obtain and release free locks in turns. Task: { address, names, rounds, ms }; answers when all are
 * connected. Then a number of pairs to keep in flight is answered with everyone's rates, one per round.
 */
import { throughput } from './load.mjs';
import { LOCKERS, TUNED } from './lockers.mjs';
import { interleave } from './rounds.mjs';

/** Each in flight has a key of its own. */
const KEYS = Array.from({ length: 10_000 }, (_, i) => `lock:${i}`);
/** In turns too, and at what is measured then: a service has run for long, and its code is compiled for what it does. */
const WARM_UP = { rounds: 20, ms: 50 };

// Nothing is left of it when the bench is gone.
process.once('disconnect', () => process.exit());

process.once('message', async ({ address, names, rounds, ms }) => {
  let turn = 0;
  /** @type {Record<string, () => Promise<unknown>>} the same key never twice at once */
  const pairs = {};
  for (const name of names) {
    const locker = await { ...LOCKERS, ...TUNED }[name].open(address);
    pairs[name] = async () => locker.release(await locker.obtain(KEYS[turn++ % KEYS.length]));
  }
  const rates = (inFlight, turnMs, times) => {
    const runs = Object.entries(pairs).map(([name, pair]) => [name, () => throughput(pair, inFlight, turnMs)]);
    return interleave(Object.fromEntries(runs), times);
  };
  process.on('message', async (inFlight) => {
    await rates(inFlight, WARM_UP.ms, WARM_UP.rounds);
    process.send(await rates(inFlight, ms, rounds));
  });
  process.send('ready');
});
