/*
 * A process that holds many locks and does nothing else. Task: { address, locks, ttlMs, autoRenew }; answers when it has them.
 * Then 'usage' answers { cpuMs, atMs }, the CPU time so far and the time, and 'held' how many are held as Redis sees it.
 */
import { monotonicMs } from './clock.mjs';
import { lagoonEngine } from './lockers.mjs';

// Nothing is left of it when the bench is gone.
process.once('disconnect', () => process.exit());

process.once('message', async ({ address, locks, ttlMs, autoRenew }) => {
  const engine = await lagoonEngine(address);
  const locker = engine.getRedis().getLocker();
  const keys = Array.from({ length: locks }, (_, i) => `renewed:${autoRenew}:${i}`);
  const held = await Promise.all(keys.map((key) => locker.obtain(key, ttlMs, 0, { autoRenew })));
  process.on('message', async (message) => {
    if (message === 'usage') {
      const { user, system } = process.cpuUsage();
      process.send({ cpuMs: (user + system) / 1000, atMs: monotonicMs() });
      return;
    }
    const left = await Promise.all(held.map((lock) => lock?.ttl()));
    process.send(left.filter((ms) => ms > 0).length);
  });
  process.send('ready');
});
