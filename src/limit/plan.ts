import type { Script, SharedPart } from '../pool/script.js';
import type { Quota, ResolvedRule } from './quota.js';
import { type DecideReply, type LimitScripts, ruleArguments } from './scripts.js';

/** The rules of a limiter with limits that are known: what is asked of Redis, and of which keys. */
export class Plan {
  readonly quotas: readonly Quota[];
  /** Of this plan alone: calls share a script call with those that have the same rules. */
  readonly decide: Script<DecideReply>;
  readonly adjust: Script<'OK'>;
  readonly shared: SharedPart;
  readonly #prefixes: readonly string[];

  constructor(prefix: string, rules: readonly ResolvedRule[], quotas: readonly Quota[], scripts: LimitScripts) {
    this.quotas = quotas;
    this.decide = { ...scripts.decide };
    this.adjust = scripts.adjust;
    this.shared = { keys: [], args: ruleArguments(quotas) };
    this.#prefixes = rules.map(({ id }) => prefix + id);
  }

  /** One key of Redis per rule; several of them are in one slot of a cluster. */
  keysOf(key: string): string[] {
    const [first] = this.#prefixes;
    return this.#prefixes.length === 1 ? [`${first}:${key}`] : this.#prefixes.map((prefix) => `${prefix}{:${key}}`);
  }
}
