import { afterEach } from 'vitest';
import { type Engine, type PoolOptions, Registry } from '../../src/index.js';

const engines: Engine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close({ timeout: 0 })));
});

/** An engine with one pool, `default`, on `address`; closed after the test. */
export function engineOn(address: string, options: PoolOptions = {}, database = 0): Engine {
  const engine = new Registry().registerRedis(address, database, 'default', options).validate() as Engine;
  engines.push(engine);
  return engine;
}

/** What became of a promise: its error, or `undefined` if it was fulfilled. */
export function failure(promise: Promise<unknown>): Promise<(Error & Record<string, unknown>) | undefined> {
  return promise.then(
    () => undefined,
    (error) => error,
  );
}

/** How many ms `work` took. */
export async function timed(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work.catch(() => undefined);
  return performance.now() - startedAt;
}
