export type {
  BlobError,
  RedisArgument,
  SimpleError,
  TimeSeriesAggregationType,
  TimeSeriesDuplicatePolicies,
  TypeMapping,
} from 'redis';
export type { Cache, Storable } from './cache/cache.js';
export { type BinaryCodec, bufferCodec, type Codec, jsonCodec, stringCodec, type TextCodec } from './cache/codec.js';
export { type CompressionOptions, compressed } from './cache/compressed.js';
export { LoadTimeoutError, RecursiveLoadError } from './cache/errors.js';
export type { CacheEvent } from './cache/events.js';
export { escapeGlob } from './cache/glob.js';
export type { LoadContext, Loader } from './cache/loads.js';
export type { CacheOptions, CacheWhenDown, GetOrSetOptions, LocalOptions, PutOptions } from './cache/options.js';
export type { CacheStats } from './cache/stats.js';
export { type SchemaResult, type StandardSchema, validated } from './cache/validated.js';
export type { PublicPoolConfig, PublicTlsConfig } from './config/redact.js';
export type {
  ClusterPoolConfig,
  ConnectionBudget,
  PasswordProvider,
  PoolConfig,
  PoolOptions,
  ReconnectOptions,
  RegisterClusterOptions,
  RegisterOptions,
  RegisterSentinelOptions,
  RegistryConfig,
  ReplicaOptions,
  ReplicaReads,
  SentinelPoolConfig,
  SentinelPoolOptions,
  StandalonePoolConfig,
  TlsOptions,
  TlsVersion,
} from './config/types.js';
export type { Duration, DurationUnit } from './duration.js';
export { type CloseOptions, type ConnectOptions, Engine, type HealthOptions, type PoolHealth } from './engine.js';
export {
  AbortError,
  AcquireTimeoutError,
  ClosedError,
  CommandRefusedError,
  CommandTimeoutError,
  ConfigError,
  type ConfigIssue,
  ConnectError,
  type ConnectFailure,
  ConnectionError,
  CrossSlotError,
  InvalidArgumentError,
  LagoonError,
  PoolNotRegisteredError,
  PoolOverloadedError,
  ReplyError,
  TransactionConflictError,
  TransactionError,
} from './errors.js';
export { RateLimitedError } from './limit/errors.js';
export type { HeaderOptions } from './limit/headers.js';
export type { RateLimiter, WaitOptions } from './limit/limiter.js';
export type { RateLimiterOptions, RateLimiterSettings, WhenDown } from './limit/options.js';
export type { RateLimitAlgorithm, RateLimitRule } from './limit/quota.js';
export type { RateLimitResult } from './limit/result.js';
export { LockLostError, LockNotObtainedError, LockNotReplicatedError } from './lock/errors.js';
export type { Lock } from './lock/lock.js';
export type { Locker } from './lock/locker.js';
export type { Mutex } from './lock/mutex.js';
export type { ObtainOptions, WaitTimeout } from './lock/obtain.js';
export type { ReadWriteLock } from './lock/read-write-lock.js';
export { RedlockError, type RedlockFailure } from './lock/redlock/errors.js';
export type { RedlockOptions, RedlockStore } from './lock/redlock/options.js';
export type { Redlock } from './lock/redlock/redlock.js';
export type { RedlockLock } from './lock/redlock/redlock-lock.js';
export type { RunOptions } from './lock/run.js';
export type { Semaphore } from './lock/semaphore.js';
export type { LockHolder, LockState } from './lock/state.js';
export {
  COMMAND_CHANNEL,
  type Feature,
  type QueryEvent,
  type QueryFilter,
  type QueryHandler,
} from './observe/query-log.js';
export type {
  DefaultTypeMapping,
  IsolatedCommands,
  ModuleCommands,
  ModuleName,
  MultiCommands,
  MultiExecution,
  MultiModuleCommands,
  PoolCommands,
} from './pool/command-types.js';
export type { IsolatedOptions, IsolatedRedis } from './pool/isolated.js';
export type { RedisPool } from './pool/redis-pool.js';
export {
  defineScript,
  type Script,
  type ScriptArgument,
  type ScriptDefinition,
  type SharedPart,
} from './pool/script.js';
export type { NodeHealth, PoolStats } from './pool/stats.js';
export type { SubscribeOptions } from './pool/subscribe-options.js';
export type { MessageListener, Subscription } from './pool/subscription.js';
export type { TransactionOptions } from './pool/transaction.js';
export { Registry } from './registry.js';
