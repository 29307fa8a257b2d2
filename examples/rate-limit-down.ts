// A Redis that is away: the service goes on with limits of its own, and hears of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'lagoon';
import { startRedis } from 'lagoon/testing';

// With an append-only file: what was counted outlives the crash.
const server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
const engine = new Registry().registerRedis(server.address, 0, 'default', { commandTimeout: '2s' }).validate();

const limiter = engine.getRedis().getRateLimiter({
  limit: 3,
  period: '1h',
  whenDown: 'local',
  onDown: () => console.log('Redis is down'),
  onUp: () => console.log('Redis is up'),
});

async function call() {
  const { allowed, remaining, degraded } = await limiter.consume('ada');
  const where = degraded ? 'in this process' : 'in Redis';
  console.log(`${allowed ? 'allowed' : 'denied'}, ${remaining} left ${where}`);
}

try {
  await engine.connect();
  await call();
  await server.kill();
  // The count of the outage begins with nothing used.
  for (let i = 0; i < 4; i++) await call();

  await server.restart();
  // While it is down, a call looks once a second whether Redis is back.
  while ((await limiter.consume('grace')).degraded) await sleep(100);
  await call();
} finally {
  await engine.close();
  await server.stop();
}
