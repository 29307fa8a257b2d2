import { afterAll, beforeAll } from 'vitest';
import { type RedisServer, type StartRedisOptions, startRedis } from '../../src/testing/index.js';

export { freePort } from '../../src/testing/free-port.js';
export { eventually } from './eventually.js';
export { type FaultyProxy, startProxy } from './proxy.js';

/**
 * One Redis server for the tests of a file (or of the `describe` it is called in), gone after them.
 *
 * @returns what gives the server once the tests run: `const redis = useRedis(); … redis().address`.
 */
export function useRedis(options?: StartRedisOptions): () => RedisServer {
  let server: RedisServer | undefined;
  beforeAll(async () => {
    server = await startRedis(options);
  });
  afterAll(async () => {
    await server?.stop();
    server = undefined;
  });
  return () => {
    if (server) return server;
    throw new Error('The server of useRedis() exists in tests and hooks only, not while tests are being collected');
  };
}
