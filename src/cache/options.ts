import { inspect } from 'node:util';
import { type Duration, nonNegativeMs, positiveMs } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { checkOptions } from '../options.js';
import { checkWellFormed } from '../well-formed.js';
import { checkTag } from './arguments.js';
import { type Codec, jsonCodec } from './codec.js';
import type { CacheEvent } from './events.js';
import { CACHE, GET_OR_SET, LOCAL, PUT } from './option-tables.js';

/** The copy of what was read that stays in this process. */
export interface LocalOptions {
  /** Values at most; default 10000. The one that was not used for longest goes first. */
  maxItems?: number;
  /** Bytes of memory at most, estimated: keys, values as they are kept, and tags; default 64 MiB. */
  maxBytes?: number;
  /** How long a value stays at most; default: as long as in Redis. */
  ttl?: Duration;
  /** How often the connection that tells of changes is checked; default `'1s'`. It answers within the same time or is replaced. */
  heartbeat?: Duration;
}

/** What `getOrSet` does while Redis cannot be asked: the error, or the loader, whose result is not stored then. */
export type CacheWhenDown = 'throw' | 'load';

/** Options of `getCache`. */
export interface CacheOptions<T = unknown> {
  /** What its keys in Redis begin with: `prefix#key`; default: keys stand as they are. */
  prefix?: string;
  /** How long values live; default: for ever. */
  ttl?: Duration;
  /** How values are stored; default JSON. */
  codec?: Codec<T>;
  /** Keeps what was read in this process too, until it changes in Redis; `true` for the defaults, default `false`. */
  local?: boolean | LocalOptions;
  /** Default `'throw'`. */
  whenDown?: CacheWhenDown;
  /** How long `getOrSet` waits for Redis before that; default: the pool's `commandTimeout`. */
  timeout?: Duration;
  /**
   * How long a loader may take. Then its signal aborts, its lock is given back, whoever waits for it gets a `LoadTimeoutError`, and the
   * next caller loads. Default: `'30s'` in the background, where a stale or ageing value serves; no end while callers wait for it,
   * who have their `signal`.
   */
  loadTimeout?: Duration;
  /** Called with what happens besides the results of calls. */
  onEvent?: (event: CacheEvent) => void;
}

/** Options of `put`. */
export interface PutOptions {
  /** Default: the cache's. */
  ttl?: Duration;
  /** `removeByTag` removes the value by any of them. */
  tags?: readonly string[];
  /** How much longer the value can serve, stale, in `getOrSet`; default 0. */
  grace?: Duration;
  /** Up to this part of the ttl, 0 to 1, is taken off at random, so that not all expire at once; default 0. */
  jitter?: number;
}

/** Options of `getOrSet`. */
export interface GetOrSetOptions extends PutOptions {
  /** How long `null` is kept, if the loader returns that; default `ttl`. */
  negativeTtl?: Duration;
  /**
   * How long a stale value serves after the loader failed before it is called again; default `'1s'`. Twice as long with each failure in
   * a row, up to a minute, or up to this if it is more.
   */
  backoff?: Duration;
  /**
   * Loads ahead of time, while the old value serves: the likelier the nearer the end of its ttl is and the longer loading took. A number
   * above 1 makes it earlier, below 1 later; `true` is 1, default `false`.
   */
  earlyRefresh?: boolean | number;
  /** Whether one process loads at a time while the others wait for what it stores; default `false`. */
  lock?: boolean;
  /** As of the cache. */
  timeout?: Duration;
  /** As of the cache. */
  loadTimeout?: Duration;
  /** Ends this caller's wait; the loader's signal aborts once all who wait for it have ended theirs. */
  signal?: AbortSignal;
}

export interface ResolvedCache<T> {
  readonly prefix: string;
  readonly ttlMs: number | undefined;
  readonly codec: Codec<T>;
  readonly local: ResolvedLocal | undefined;
  readonly whenDown: CacheWhenDown;
  readonly timeoutMs: number | undefined;
  readonly loadTimeoutMs: number | undefined;
  readonly onEvent: ((event: CacheEvent) => void) | undefined;
}

/** What the options of a call fall back to. */
type Defaults = Pick<ResolvedCache<unknown>, 'ttlMs' | 'timeoutMs' | 'loadTimeoutMs'>;

export interface ResolvedLocal {
  readonly maxItems: number;
  readonly maxBytes: number;
  readonly ttlMs: number;
  readonly heartbeatMs: number;
}

export interface ResolvedPut {
  readonly ttlMs: number | undefined;
  readonly tags: readonly string[];
  readonly graceMs: number;
  readonly jitter: number;
}

export interface ResolvedLoad extends ResolvedPut {
  readonly negativeTtlMs: number | undefined;
  readonly backoffMs: number;
  /** 0: never. */
  readonly earlyRefresh: number;
  readonly lock: boolean;
  readonly timeoutMs: number | undefined;
  /** `undefined`: the default. */
  readonly loadTimeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** @throws {InvalidArgumentError} for an option that cannot be right. */
export function resolveCache<T>(options: CacheOptions<T>): ResolvedCache<T> {
  checkOptions('getCache', options, CACHE);
  const { prefix = '', whenDown = 'throw', onEvent, local = false, ttl, timeout, loadTimeout } = options;
  const codec = options.codec ?? (jsonCodec as Codec<T>);
  if (typeof prefix !== 'string') throw new InvalidArgumentError(`prefix must be a string, got ${inspect(prefix)}`);
  checkWellFormed(prefix, 'prefix');
  if (whenDown !== 'throw' && whenDown !== 'load') {
    throw new InvalidArgumentError(`whenDown must be 'throw' or 'load', got ${inspect(whenDown)}`);
  }
  if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function') {
    throw new InvalidArgumentError(`codec must have the functions encode and decode, got ${inspect(codec)}`);
  }
  if (onEvent !== undefined && typeof onEvent !== 'function') {
    throw new InvalidArgumentError(`onEvent must be a function, got ${inspect(onEvent)}`);
  }
  return {
    prefix,
    ttlMs: ttl === undefined ? undefined : positiveMs(ttl, 'ttl'),
    codec,
    local: local === false ? undefined : resolveLocal(local === true ? {} : local),
    whenDown,
    timeoutMs: timeout === undefined ? undefined : positiveMs(timeout, 'timeout'),
    loadTimeoutMs: loadTimeout === undefined ? undefined : positiveMs(loadTimeout, 'loadTimeout'),
    onEvent,
  };
}

/** @throws {InvalidArgumentError} for an option that cannot be right. */
export function resolvePut(
  call: 'put' | 'putMany',
  options: Duration | PutOptions | undefined,
  cache: Defaults,
): ResolvedPut {
  if (typeof options === 'object' && options !== null) {
    checkOptions(call, options, PUT);
    return resolved(options, cache);
  }
  return resolved(options === undefined ? {} : { ttl: options }, cache);
}

function resolved(given: PutOptions, cache: Defaults): ResolvedPut {
  const { ttl, tags = [], grace, jitter = 0 } = given;
  if (!Array.isArray(tags)) {
    throw new InvalidArgumentError(`tags must be an array of non-empty strings, got ${inspect(tags)}`);
  }
  for (const tag of tags) checkTag(tag, 'each of tags');
  if (typeof jitter !== 'number' || !(jitter >= 0 && jitter <= 1)) {
    throw new InvalidArgumentError(`jitter must be a number from 0 to 1, got ${String(jitter)}`);
  }
  return {
    ttlMs: ttl === undefined ? cache.ttlMs : positiveMs(ttl, 'ttl'),
    tags,
    graceMs: grace === undefined ? 0 : nonNegativeMs(grace, 'grace'),
    jitter,
  };
}

/** @throws {InvalidArgumentError} for an option that cannot be right. */
export function resolveLoad(options: GetOrSetOptions, cache: Defaults): ResolvedLoad {
  checkOptions('getOrSet', options, GET_OR_SET);
  const { negativeTtl, backoff = 1000, earlyRefresh = false, lock = false, timeout, loadTimeout, signal } = options;
  const early = Number(earlyRefresh);
  if (typeof earlyRefresh !== 'boolean' && !(early >= 0 && Number.isFinite(early))) {
    throw new InvalidArgumentError(
      `earlyRefresh must be true, false or a number of 0 or more, got ${String(earlyRefresh)}`,
    );
  }
  if (typeof lock !== 'boolean') throw new InvalidArgumentError(`lock must be true or false, got ${inspect(lock)}`);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError(`signal must be an AbortSignal, got ${inspect(signal)}`);
  }
  const { ttlMs, tags, graceMs, jitter } = resolved(options, cache);
  // Each by its name: an object that is spread and then added to takes 5 µs to make instead of 25 ns.
  return {
    ttlMs,
    tags,
    graceMs,
    jitter,
    negativeTtlMs: negativeTtl === undefined ? undefined : positiveMs(negativeTtl, 'negativeTtl'),
    backoffMs: positiveMs(backoff, 'backoff'),
    earlyRefresh: early,
    lock,
    timeoutMs: timeout === undefined ? cache.timeoutMs : positiveMs(timeout, 'timeout'),
    loadTimeoutMs: loadTimeout === undefined ? cache.loadTimeoutMs : positiveMs(loadTimeout, 'loadTimeout'),
    signal,
  };
}

/** How long to keep a value, after some of it was taken off at random. */
export function lifetimeMs(ttlMs: number | undefined, jitter: number): number | undefined {
  if (ttlMs === undefined || jitter === 0) return ttlMs;
  return Math.max(1, Math.ceil(ttlMs * (1 - jitter * Math.random())));
}

function resolveLocal(options: LocalOptions): ResolvedLocal {
  if (typeof options !== 'object') {
    throw new InvalidArgumentError(`local must be true, false or an object with options, got ${inspect(options)}`);
  }
  checkOptions('local of getCache', options, LOCAL);
  const { maxItems = 10_000, maxBytes = 64 * 1024 * 1024, ttl, heartbeat = 1000 } = options;
  for (const [name, value] of Object.entries({ maxItems, maxBytes })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new InvalidArgumentError(`local.${name} must be a whole number of 1 or more, got ${String(value)}`);
    }
  }
  return {
    maxItems,
    maxBytes,
    ttlMs: ttl === undefined ? Number.POSITIVE_INFINITY : positiveMs(ttl, 'local.ttl'),
    heartbeatMs: positiveMs(heartbeat, 'local.heartbeat'),
  };
}
