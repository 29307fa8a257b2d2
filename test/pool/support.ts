import { afterEach } from 'vitest';
import { type Engine, type PoolOptions, type RedisPool, Registry } from '../../src/index.js';
import type { RedisServer } from '../../src/testing/index.js';

/**
 * Engines for the tests of a file, closed after each test.
 *
 * @returns what makes a pool of its own on the file's server: `const open = usePools(redis); … open({ keyPrefix: 'x:' })`.
 */
export function usePools(server: () => RedisServer): (options?: PoolOptions, database?: number) => RedisPool {
  const engines: Engine<'default'>[] = [];
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.close({ timeout: 1_000 })));
  });
  return (options, database) => {
    const engine = new Registry().registerRedis(server().address, database, 'default', options).validate();
    engines.push(engine);
    return engine.getRedis();
  };
}

/** The connections of clients of that name, as the server lists them: one object of `id`, `name`, `cmd` … each. */
export async function connectionsOf(server: RedisServer, name = 'lagoon:default'): Promise<Record<string, string>[]> {
  const list = String(await server.cli('CLIENT', 'LIST'));
  return list
    .trim()
    .split('\n')
    .map((line) => Object.fromEntries(line.split(' ').map((field) => field.split(/=(.*)/s).slice(0, 2))))
    .filter((client) => client.name === name);
}

/** How often each command was executed since the last CONFIG RESETSTAT, by lower-case name. */
export async function commandCalls(server: RedisServer): Promise<Record<string, number>> {
  const stats = String(await server.cli('INFO', 'commandstats'));
  return Object.fromEntries(
    [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, calls]) => [name ?? '', Number(calls)]),
  );
}

/** What `work` fails with; fails itself if it does not. */
export async function failure(work: Promise<unknown> | (() => unknown)): Promise<unknown> {
  let result: unknown;
  try {
    result = await (typeof work === 'function' ? work() : work);
  } catch (error) {
    return error;
  }
  throw new Error(`Expected a failure, got ${String(result)}`);
}
