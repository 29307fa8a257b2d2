/**
 * Real, throw-away Redis servers, Sentinel groups and clusters for tests: `lagoon/testing`.
 *
 * @module
 */
export type { StartClusterOptions } from './cluster-options.js';
export { TestingError, type TestingErrorCode } from './errors.js';
export { type FindRedisOptions, findRedisServer } from './find-server.js';
export type { GroupOptions, StartRedisOptions } from './options.js';
export { type RedisCluster, startCluster } from './redis-cluster.js';
export { type RedisServer, startRedis } from './redis-server.js';
export type { RedisReply } from './resp.js';
export { type SentinelGroup, startSentinel } from './sentinel-group.js';
export type { StartSentinelOptions } from './sentinel-options.js';
export type { TlsServerOptions } from './server-config.js';
export type { SlotMove } from './slot-move.js';
