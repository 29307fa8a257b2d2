import type { TypeMapping } from 'redis';
import { BoundedMap } from '../bounded-map.js';
import type { ResolvedPool } from '../config/types.js';
import type { Locker } from '../lock/locker.js';
import type { QueryLog } from '../observe/query-log.js';
import type { CommandOptions } from './core.js';
import { createDeployment, type Deployment } from './deployment.js';
import { createEncoder, type Encoder } from './node-redis.js';
import type { Script } from './script.js';
import { ScriptBatcher } from './script-batch.js';

/** Views that differ in their timeout, at most: what is forgotten is made anew. */
const MOST_VIEWS = 100;

/** The batchers of all scripts whose calls have the same options. */
export class Batchers {
  readonly #deployment: Deployment;
  readonly #options: CommandOptions;
  /** By script, and by what the keys of calls that can share a script call have in common. */
  readonly #known = new WeakMap<Script, ScriptBatcher[]>();

  constructor(deployment: Deployment, options: CommandOptions) {
    this.#deployment = deployment;
    this.#options = options;
  }

  /** The batcher of a script; for `batch` see {@link Deployment.batchOf}. */
  of(script: Script<unknown>, batch: number): ScriptBatcher {
    let batchers = this.#known.get(script);
    if (!batchers) {
      batchers = [];
      this.#known.set(script, batchers);
    }
    batchers[batch] ??= new ScriptBatcher(this.#deployment, script, script.batch ?? 1, this.#options);
    return batchers[batch];
  }
}

/** A named pool at run time: what it leads to, and what is made at most once for it. */
export class PoolRuntime {
  readonly deployment: Deployment;
  readonly encoder: Encoder;
  /** Made when it is first asked for. */
  locker: Locker | undefined;
  /** Those of the pool itself, and of its views by what they change. */
  readonly #batchers: Batchers;
  readonly #ofViews = new BoundedMap<string, Batchers>(MOST_VIEWS);
  readonly #ofMappings = new WeakMap<TypeMapping, BoundedMap<string, Batchers>>();

  constructor(config: ResolvedPool, queryLog: QueryLog) {
    this.deployment = createDeployment(config, queryLog);
    this.encoder = createEncoder(config.keyPrefix);
    this.#batchers = new Batchers(this.deployment, {});
  }

  /** What gathers the calls of scripts that are made with these options; calls share a script call if they have the same. */
  batchersOf({ typeMapping, timeoutMs, failFast, feature }: CommandOptions): Batchers {
    const isPlain = timeoutMs === undefined && failFast === undefined && feature === undefined;
    if (isPlain && typeMapping === undefined) return this.#batchers;
    const views = typeMapping === undefined ? this.#ofViews : this.#viewsOf(typeMapping);
    const name = `${timeoutMs} ${failFast} ${feature}`;
    let batchers = views.get(name);
    if (!batchers) {
      const options = { typeMapping, timeoutMs, failFast, feature };
      batchers = new Batchers(this.deployment, options as CommandOptions);
      views.set(name, batchers);
    }
    return batchers;
  }

  #viewsOf(typeMapping: TypeMapping): BoundedMap<string, Batchers> {
    let views = this.#ofMappings.get(typeMapping);
    if (!views) {
      views = new BoundedMap(MOST_VIEWS);
      this.#ofMappings.set(typeMapping, views);
    }
    return views;
  }
}
