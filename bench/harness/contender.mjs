/*
 * A process of workers that all want one lock, once each, and note when. Task: { name, address, key, workers, holdMs };
 * answers when it is connected and warm. Then 'hold' takes the lock, 'ask' lets all workers ask for it at once, 'open' gives it back,
 * and 'report' answers { grants, waiting }.
 */
import { setTimeout as sleep, setImmediate as turnOfEventLoop } from 'node:timers/promises';
import { monotonicMs } from './clock.mjs';
import { LOCKERS, TUNED } from './lockers.mjs';

/**
 * @typedef {{ pid: number, order: number, askedAt: number }} Asked on the clock of all processes; `order` within the process
 * @typedef {Asked & { gotAt: number, releasedAt: number }} Grant `releasedAt`: just before the release was sent
 */

const WARM_UP_WORKERS = 16;
const WARM_UP_MS = 2_000;

// Nothing is left of it when the bench is gone.
process.once('disconnect', () => process.exit());

process.once('message', async ({ name, address, key, workers, holdMs }) => {
  const locker = await { ...LOCKERS, ...TUNED }[name].open(address);
  await warmUp(locker, `${key}:${process.pid}`);
  /** @type {Grant[]} */
  const grants = [];
  /** @type {Set<Asked>} */
  const waiting = new Set();
  let held;

  const work = async (order) => {
    const asked = { pid: process.pid, order, askedAt: monotonicMs() };
    waiting.add(asked);
    const lock = await locker.wait(key);
    const gotAt = monotonicMs();
    waiting.delete(asked);
    await sleep(holdMs);
    grants.push({ ...asked, gotAt, releasedAt: monotonicMs() });
    await locker.release(lock);
  };
  const answers = {
    hold: async () => {
      held = await locker.obtain(key);
    },
    ask: () => {
      for (let order = 0; order < workers; order++) void work(order);
    },
    open: async () => {
      const releasedAt = monotonicMs();
      await locker.release(held);
      return releasedAt;
    },
    report: () => ({ grants, waiting: [...waiting] }),
  };
  process.on('message', async (message) => process.send((await answers[message]()) ?? 'done'));
  process.send('ready');
});

/**
 * A service has handed over many locks before this one, and its code is compiled. That takes thousands of hand-overs of the kind
 * that is measured: to one of many who have queued up, behind a holder who keeps the lock for a while.
 */
async function warmUp(locker, key) {
  const until = performance.now() + WARM_UP_MS;
  const work = async () => {
    const lock = await locker.wait(key);
    await turnOfEventLoop();
    await locker.release(lock);
  };
  while (performance.now() < until) await Promise.all(Array.from({ length: WARM_UP_WORKERS }, work));
}
