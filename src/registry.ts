import { AsyncResource } from 'node:async_hooks';
import { inspect } from 'node:util';
import { readConfigFile } from './config/file.js';
import { pointer, safeName } from './config/issues.js';
import { emptyObject, isObject, type Json, type JsonObject, type Snapshot, snapshot } from './config/snapshot.js';
import type {
  PasswordProvider,
  PasswordProviders,
  RegisterClusterOptions,
  RegisterOptions,
  RegisterSentinelOptions,
  RegistryConfig,
} from './config/types.js';
import { merge, type PoolCall, resolveDraft } from './config/validate.js';
import { Engine } from './engine.js';
import type { ConfigIssue } from './errors.js';

/**
 * The Redis pools of a service, by name. Registering only records; {@link Registry.validate} checks everything at once.
 *
 * ```ts
 * const engine = new Registry()
 *   .registerRedis('localhost:6379')
 *   .registerRedis('localhost:6379', 3, 'test')
 *   .validate();
 * ```
 */
export class Registry<Names extends string = never> {
  #config: Snapshot = snapshot({ pools: {} });
  readonly #calls: PoolCall[] = [];

  /**
   * Registers a pool on one Redis server.
   *
   * @param address `host:port`, `[ipv6]:port`, `/path/redis.sock`, or a `redis://` / `rediss://` URL.
   * @param database number of the database; default: what the address says, else 0.
   * @param code name of the pool; default `'default'`.
   */
  registerRedis<const Code extends string = 'default'>(
    address: string,
    database?: number,
    code?: Code,
    options?: RegisterOptions,
  ): Registry<Names | Code> {
    return this.#register(code, { address, database }, options);
  }

  /**
   * Registers a pool on the master that Redis Sentinel names.
   *
   * @param master name of the master group, as the sentinels know it.
   * @param sentinels `host:port` of the sentinels; a host alone means port 26379.
   * @param database number of the database; default 0.
   * @param code name of the pool; default `'default'`.
   */
  registerRedisSentinel<const Code extends string = 'default'>(
    master: string,
    sentinels: readonly string[],
    database?: number,
    code?: Code,
    options?: RegisterSentinelOptions,
  ): Registry<Names | Code> {
    return this.#register(code, { sentinel: { master, nodes: sentinels }, database }, options);
  }

  /**
   * Registers a pool on a Redis Cluster.
   *
   * @param seeds `host:port` of some of the nodes; the others are found through them.
   * @param code name of the pool; default `'default'`.
   */
  registerRedisCluster<const Code extends string = 'default'>(
    seeds: readonly string[],
    code?: Code,
    options?: RegisterClusterOptions,
  ): Registry<Names | Code> {
    return this.#register(code, { cluster: seeds }, options);
  }

  /** A registry of the pools of a configuration; more can be registered on top of them. */
  static fromConfig<Names extends string>(config: RegistryConfig<Names>): Registry<Names> {
    return Registry.#from(snapshot(config));
  }

  /**
   * A registry of the pools of a `.json`, `.yaml` or `.yml` file. `${NAME}` and `${NAME:-default}` in its strings stand
   * for environment variables, `$${` for `${` itself. YAML needs the package `yaml`.
   *
   * @param path relative to the working directory, or a `file:` URL.
   * @throws {ConfigError} if the file cannot be read or parsed. What is wrong in it, missing variables included, is
   * reported by {@link Registry.validate}.
   */
  static fromFile(path: string | URL): Registry<string> {
    return Registry.#from(readConfigFile(path));
  }

  /**
   * Checks all that was registered and makes the engine. Synchronous; opens no connection.
   *
   * @throws {ConfigError} with all problems in `issues`.
   */
  validate(): Engine<[Names] extends [never] ? string : Names> {
    return new Engine(resolveDraft(this.#config, this.#calls));
  }

  /**
   * What was registered, as `Registry.fromConfig` takes it, not checked. It holds the passwords in the clear, as far as they
   * are no functions: it is for making another registry, not for printing.
   */
  toConfig(): RegistryConfig {
    // Copied to objects with a prototype, so that it is a plain object in every way.
    return structuredClone(merge(this.#config.value, this.#calls).merged) as unknown as RegistryConfig;
  }

  /** The names of the pools; never their configuration, which has secrets. */
  toJSON(): { pools: string[] } {
    const { merged } = merge(this.#config.value, this.#calls);
    const pools = isObject(merged) && isObject(merged.pools) ? Object.keys(merged.pools) : [];
    return { pools: pools.map(safeName) };
  }

  [inspect.custom](): string {
    return `Registry ${inspect(this.toJSON())}`;
  }

  static #from<Names extends string>(config: Snapshot): Registry<Names> {
    const registry = new Registry<Names>();
    registry.#config = config;
    return registry;
  }

  #register<Code extends string>(
    code: string = 'default',
    place: Readonly<Record<string, unknown>>,
    options: RegisterSentinelOptions = {},
  ): Registry<Names | Code> {
    const name = typeof code === 'string' ? code : '';
    const path = ['pools', name];
    const where = snapshot(place, path);
    const { data, providers } = withoutProviders(options, 'sentinel' in place);
    const how = snapshot(data, path);
    const given = isObject(how.value) ? how.value : emptyObject();
    const issues = [...where.issues, ...how.issues, ...misplaced(given, path)];
    if (typeof code !== 'string') issues.push({ path: pointer(...path), message: 'the code must be a string' });
    if (!isObject(how.value)) issues.push({ path: pointer(...path), message: 'the options must be an object' });
    const value: Json = Object.assign(emptyObject(), given, where.value);
    this.#calls.push({ code: name, pool: { value, issues }, providers });
    return this as unknown as Registry<Names | Code>;
  }
}

/** Takes out of the options what is no data; everything else that may be wrong with them is found when they are copied. */
function withoutProviders(
  options: RegisterSentinelOptions,
  withSentinels: boolean,
): { data: unknown; providers: PasswordProviders } {
  try {
    const names = withSentinels ? (['password', 'sentinelPassword'] as const) : (['password'] as const);
    const functions = names.filter((name) => typeof options[name] === 'function');
    if (functions.length === 0) return { data: options, providers: {} };
    // It is asked at each connection, which no caller's async context has to do with.
    const entries = functions.map((name) => [name, AsyncResource.bind(options[name] as PasswordProvider)] as const);
    const none = functions.map((name) => [name, undefined] as const);
    return { data: { ...options, ...Object.fromEntries(none) }, providers: Object.fromEntries(entries) };
  } catch {
    return { data: options, providers: {} };
  }
}

/** What a call takes as an argument must not come again in its options, where it would be lost without a word. */
function misplaced(options: JsonObject, path: readonly string[]): ConfigIssue[] {
  return ['address', 'database', 'sentinel', 'cluster']
    .filter((name) => name in options)
    .map((name) => ({ path: pointer(...path, name), message: 'is an argument of the call, not an option' }));
}
