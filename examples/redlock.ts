// Redlock: a lock that more than half of three independent servers must give, so that it outlives the loss of one of them.
import { LockNotObtainedError, RedlockError, Registry } from 'lagoon';
import { startRedis } from 'lagoon/testing';

const servers = await Promise.all([startRedis(), startRedis(), startRedis()]);
const [first, second, third] = servers.map(({ address }) => address) as [string, string, string];
const engine = new Registry()
  .registerRedis(first, 0, 'lock-1')
  .registerRedis(second, 0, 'lock-2')
  .registerRedis(third, 0, 'lock-3')
  .validate();

try {
  await engine.connect({ timeout: '5s' });

  // Made once and kept: it remembers the locks that it holds.
  const redlock = engine.getRedlock(['lock-1', 'lock-2', 'lock-3'], { retryCount: 2, retryDelay: '50ms' });

  const lock = await redlock.lock('report:17', '30s');
  // 30 s, less the time that asking took, less 1 % and 2 ms for clocks that drift.
  console.log('valid for more than 29 s:', lock.validity > 29_000);

  const refused = await redlock.lock('report:17', '30s').catch((error: unknown) => error);
  console.log('a second holder:', refused instanceof LockNotObtainedError ? 'not obtained' : refused);
  console.log('released:', await lock.release());

  // With one server gone, two of three are still a quorum.
  await servers[0]?.kill();
  await redlock.lock('report:17', '30s');
  console.log('with one server down, released by name:', await redlock.unlock('report:17'));

  // With two gone nobody can say who holds the lock, which is an error and not the same as "held by another".
  await servers[1]?.kill();
  const failed = await redlock.lock('report:17', '30s').catch((error: unknown) => error);
  if (failed instanceof RedlockError)
    console.log('could not be asked:', failed.failures.map(({ pool }) => pool).sort());
} finally {
  await engine.close({ timeout: 0 });
  await Promise.all(servers.map((server) => server.stop()));
}
