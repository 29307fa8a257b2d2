import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address).validate();
const locker = engine.getRedis().getLocker();

// Waits up to 5 s while another holds it; null if another did for all of them.
const lock = await locker.obtain('invoices', '1m', '5s');
if (lock) {
  try {
    console.log(`invoices held: ${lock.held}`);
  } finally {
    await lock.release();
  }
}

// Renewed while the work runs; the signal aborts if the lock is lost, the fence is for what the lock guards.
const report = await locker.run('report', { ttl: '10s' }, async ({ fence, signal }) => {
  return `written under a fence: ${fence > 0}, lost: ${signal.aborted}`;
});
console.log(report);

await engine.close();
await server.close();
