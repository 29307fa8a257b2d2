/*
 * A process with many callers that all want one value. Task: { name, address }; answers when it is connected. Then { key, callers, loadMs,
 * at } lets all of them ask for it at that time, and answers { calledAt, gotAt, loads } on the clock of all processes: when the first
 * asked, when the last one had the value, and of each load when it began and ended.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from './caches.mjs';
import { monotonicMs } from './clock.mjs';

// Nothing is left of it when the bench is gone.
process.once('disconnect', () => process.exit());

/** A timer may be late by more than this. */
const SPIN_MS = 3;

process.once('message', async ({ name, address }) => {
  const cache = await open(address, name);
  process.on('message', async ({ key, callers, loadMs, at }) => {
    const loads = [];
    const load = async () => {
      const startedAt = monotonicMs();
      await sleep(loadMs);
      loads.push({ startedAt, endedAt: monotonicMs() });
      return { key };
    };
    await sleep(Math.max(0, at - monotonicMs() - SPIN_MS));
    while (monotonicMs() < at);
    const calledAt = monotonicMs();
    const values = await Promise.all(Array.from({ length: callers }, () => cache.getOrSet(key, load)));
    const gotAt = monotonicMs();
    const wrong = values.filter((value) => value?.key !== key).length;
    process.send({ calledAt, gotAt, loads, wrong });
  });
  process.send('ready');
});
