/**
 * Real, throw-away Redis servers for tests: `lagoon/testing`.
 *
 * @module
 */
export { TestingError, type TestingErrorCode } from './errors.js';
export { type FindRedisOptions, findRedisServer } from './find-server.js';
export type { StartRedisOptions } from './options.js';
export { type RedisServer, startRedis } from './redis-server.js';
export type { RedisReply } from './resp.js';
export type { TlsServerOptions } from './server-config.js';
