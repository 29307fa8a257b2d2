import type { ResolvedPool } from '../config/types.js';
import type { Locker } from '../lock/locker.js';
import type { QueryLog } from '../observe/query-log.js';
import { createDeployment, type Deployment } from './deployment.js';
import { createEncoder, type Encoder } from './node-redis.js';
import type { Script } from './script.js';
import { ScriptBatcher } from './script-batch.js';

/** A named pool at run time: what it leads to, and what is made at most once for it. */
export class PoolRuntime {
  readonly deployment: Deployment;
  readonly encoder: Encoder;
  /** Made when it is first asked for. */
  locker: Locker | undefined;
  /** By script, and by what the keys of calls that can share a script call have in common. */
  readonly #batchers = new WeakMap<Script, ScriptBatcher[]>();

  constructor(config: ResolvedPool, queryLog: QueryLog) {
    this.deployment = createDeployment(config, queryLog);
    this.encoder = createEncoder(config.keyPrefix);
  }

  /** The batcher of a script on this pool; see {@link Deployment.batchOf}. */
  batcher(script: Script<unknown>, batch: number): ScriptBatcher {
    let batchers = this.#batchers.get(script);
    if (!batchers) {
      batchers = [];
      this.#batchers.set(script, batchers);
    }
    batchers[batch] ??= new ScriptBatcher(this.deployment, script, script.batch ?? 1);
    return batchers[batch];
  }
}
