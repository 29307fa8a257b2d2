// Why a lock is not enough, and what the fence is for: a holder that was paused comes back and writes.
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

/** A table with the column that guards it; what a database does in one statement. */
const row = { balance: 100, fence: 0 };

/** `UPDATE account SET balance = $1, fence = $2 WHERE id = 1 AND fence <= $2`; returns whether a row was changed. */
async function update(balance: number, fence: number): Promise<boolean> {
  if (row.fence > fence) return false;
  Object.assign(row, { balance, fence });
  return true;
}

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'locks-fence:' }).validate();
const locker = engine.getRedis().getLocker();

async function withdraw(name: string, amount: number, pauseMs: number) {
  const lock = await locker.obtain('account:1', '1s', '10s');
  if (!lock) throw new Error('held by another');
  const { balance } = row;
  console.log(`${name} read ${balance}`);
  // Garbage collection, a suspended machine, a slow network: it may be longer than the lock lives.
  await sleep(pauseMs);
  const written = await update(balance - amount, lock.fence);
  console.log(`${name} wrote ${balance - amount}: ${written}`);
  console.log(`${name} released what was its own: ${await lock.release()}`);
}

try {
  await Promise.all([withdraw('A', 10, 2000), withdraw('B', 25, 10)]);
  console.log(`the balance is ${row.balance}`);
} finally {
  await engine.close();
  await server.close();
}
