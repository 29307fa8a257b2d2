// A Redis that is away or does not answer: an error, the loader, or the last value that this process knew.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { LagoonError, Registry } from 'lagoon';
import { startRedis } from 'lagoon/testing';

const server = await startRedis();
const engine = new Registry().registerRedis(server.address).validate();
const redis = engine.getRedis();

const strict = redis.getCache<string>({ prefix: 'a', ttl: '1h', timeout: '200ms' });
const lenient = redis.getCache<string>({ prefix: 'b', ttl: '1h', timeout: '200ms', whenDown: 'load' });
const events = new EventTarget();
const stocked = redis.getCache<string>({
  prefix: 'c',
  ttl: '1h',
  timeout: '200ms',
  local: true,
  onEvent: ({ type }) => events.dispatchEvent(new Event(type)),
});

const load = () => 'loaded';
const grace = '1d';

try {
  await once(events, 'local-up');
  await stocked.put('k', 'stored', { grace });
  while (stocked.stats().localHits === 0) await stocked.get('k');

  await server.freeze();
  const outcome = await strict.getOrSet('k', load).catch((error: unknown) => error);
  console.log("whenDown 'throw':", outcome instanceof LagoonError ? outcome.code : outcome);
  console.log("whenDown 'load':", await lenient.getOrSet('k', load));

  // After the heartbeat nothing that needs to be certain comes from this process; what has grace may still serve.
  while (stocked.stats().staleServes === 0) {
    const value = await stocked.getOrSet('k', load, { grace });
    if (stocked.stats().staleServes > 0) console.log('grace and a local tier:', value);
    await sleep(50);
  }
} finally {
  await server.thaw();
  await engine.close({ timeout: 0 });
  await server.stop();
}
