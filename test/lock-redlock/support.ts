import { afterAll, afterEach, beforeAll } from 'vitest';
import { type Engine, type PoolOptions, Registry } from '../../src/index.js';
import { type RedisServer, startRedis } from '../../src/testing/index.js';
import { eventually } from '../support/eventually.js';

export { failure, timed } from '../support/engine.js';
export { eventually } from '../support/eventually.js';

/** So many independent servers for the tests of a file; each test begins with all of them up, thawed and empty. */
export function useServers(count: number): () => readonly RedisServer[] {
  let servers: RedisServer[] = [];
  beforeAll(async () => {
    servers = await Promise.all(Array.from({ length: count }, () => startRedis()));
  });
  afterEach(async () => {
    // Or what still waits for a server that is gone is sent to it when it is back and empty.
    await closeEngines();
    await Promise.all(
      servers.map(async (server) => {
        if (server.running) await server.thaw();
        else await server.restart();
        await eventually(() => server.cli('FLUSHALL'));
      }),
    );
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  return () => servers;
}

const engines: Engine[] = [];

async function closeEngines(): Promise<void> {
  await Promise.all(engines.splice(0).map((engine) => engine.close({ timeout: 0 })));
}

afterEach(closeEngines);

/** An engine with a pool on each address, connected: their codes are p0, p1 …; closed after the test. */
export async function engineOver(
  places: readonly { readonly address: string }[],
  options: PoolOptions = {},
): Promise<Engine> {
  const registry = new Registry<string>();
  for (const [i, { address }] of places.entries()) registry.registerRedis(address, 0, `p${i}`, options);
  const engine = registry.validate() as Engine;
  engines.push(engine);
  await engine.connect({ timeout: '5s' });
  return engine;
}

/** On how many of the servers the key is. */
export async function countKeys(servers: readonly RedisServer[], key: string): Promise<number> {
  const found = await Promise.all(servers.map((server) => server.cli('EXISTS', key)));
  return found.map(Number).reduce((sum, one) => sum + one, 0);
}
