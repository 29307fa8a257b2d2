// A lock that is renewed while a function runs, and that tells the function when it is lost.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Lock, LockLostError, LockNotObtainedError, Registry } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry().registerRedis(server.address, 0, 'default', { keyPrefix: 'locks-run:' }).validate();
const redis = engine.getRedis();
const locker = redis.getLocker();

/** Work in steps, none of which begins when the lock is lost. */
async function sendInvoices(lock: Lock, steps: number): Promise<string> {
  for (let step = 0; step < steps; step++) {
    lock.signal.throwIfAborted();
    await sleep(50);
  }
  return `${steps} invoices sent`;
}

try {
  // It takes twice as long as the lock lives without renewal.
  const result = await locker.run('invoices', { ttl: '1s' }, async (lock) => {
    const busy = locker.obtain('invoices', '1s');
    console.log('another gets it:', (await busy) !== null);
    return sendInvoices(lock, 40);
  });
  console.log(result);

  // What is called inside may take the same lock: it joins the one that is held.
  await locker.run('invoices', { ttl: '1s' }, (outer) =>
    locker.run('invoices', { ttl: '1s' }, (inner) => console.log('inside, the same lock:', inner === outer)),
  );

  // Nobody waits longer than it said.
  await using held = await locker.obtain('reports', '1m');
  const refused = await locker
    .run('reports', { ttl: '1s', waitTimeout: '100ms' }, () => 'never runs')
    .catch((error: unknown) => (error instanceof LockNotObtainedError ? error.message : Promise.reject(error)));
  console.log(`held: ${held !== null}. ${refused}`);

  // Somebody deletes the key. The next renewal notices, and the work stops.
  const lost = await locker
    .run('invoices', { ttl: '1s' }, async (lock) => {
      await redis.del('invoices');
      return sendInvoices(lock, 100);
    })
    .catch((error: unknown) => (error instanceof LockLostError ? error.message : Promise.reject(error)));
  console.log(lost);
} finally {
  await engine.close();
  await server.close();
}
