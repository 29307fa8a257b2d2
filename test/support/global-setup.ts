import { findRedisServer } from '../../src/testing/index.js';

/** Once before all tests: a redis-server is there, installed if need be, and every worker takes that one. */
export async function setup(): Promise<void> {
  process.env.REDIS_SERVER = await findRedisServer({ install: true });
}
