import { ConfigError, type ConfigIssue } from '../errors.js';
import { explain } from './explain.js';
import { Issues, pointer } from './issues.js';
import { resolvePool } from './resolve.js';
import { schemaErrors } from './schema.js';
import { checkPool } from './semantics.js';
import { emptyObject, isObject, type Json, type JsonObject, type Snapshot, snapshot } from './snapshot.js';
import type { PasswordProviders, PoolConfig, ResolvedPool } from './types.js';

/** One pool added to a configuration by a call. */
export interface PoolCall {
  readonly code: string;
  readonly pool: Snapshot;
  /** What its passwords are asked of, which is no data. */
  readonly providers?: PasswordProviders;
}

/**
 * Checks a configuration, a value of any kind, and makes its pools ready for use. Opens no connection.
 *
 * @throws {ConfigError} listing every problem.
 */
export function resolveConfig(config: unknown): readonly ResolvedPool[] {
  return resolveDraft(snapshot(config), []);
}

/** As {@link resolveConfig}, for a configuration that was copied already and pools that came after it. */
export function resolveDraft(config: Snapshot, calls: readonly PoolCall[]): readonly ResolvedPool[] {
  const issues = new Issues();
  const duplicates: ConfigIssue[] = [];
  issues.addAll(config.issues);
  for (const { pool } of calls) issues.addAll(pool.issues);

  const { merged, repeated } = merge(config.value, calls);
  check(merged, issues);
  for (const { code, pool } of repeated) {
    duplicates.push({
      path: pointer('pools', code),
      message: 'is registered twice; each pool needs a code of its own',
    });
    check(asConfig([[code, pool.value]]), issues);
  }

  const all = [...duplicates, ...issues.list];
  if (all.length > 0) throw new ConfigError(all);
  const { pools } = merged as unknown as { pools: Record<string, PoolConfig> };
  const providers = new Map(calls.map(({ code, providers }) => [code, providers]));
  return Object.freeze(Object.entries(pools).map(([code, pool]) => resolvePool(code, pool, providers.get(code))));
}

/** The configuration with the pools of the calls in it, and the calls whose code was taken. */
export function merge(config: Json, calls: readonly PoolCall[]): { merged: Json; repeated: readonly PoolCall[] } {
  if (!isObject(config) || !isObject(config.pools)) return { merged: config, repeated: [] };
  const pools = Object.assign(emptyObject(), config.pools);
  const repeated: PoolCall[] = [];
  for (const call of calls) {
    if (call.code in pools) repeated.push(call);
    else pools[call.code] = call.pool.value;
  }
  return { merged: Object.assign(emptyObject(), config, { pools }), repeated };
}

function check(config: Json, issues: Issues): void {
  for (const error of schemaErrors(config)) {
    const issue = explain(error);
    if (issue) issues.add(issue.path, issue.message);
  }
  if (!isObject(config) || !isObject(config.pools)) return;
  for (const [code, pool] of Object.entries(config.pools)) checkPool(code, pool, issues);
}

function asConfig(pools: readonly (readonly [string, Json])[]): JsonObject {
  const byCode = emptyObject();
  for (const [code, pool] of pools) byCode[code] = pool;
  return Object.assign(emptyObject(), { pools: byCode });
}
