import type { Script, SharedPart } from '../pool/script.js';
import { ruleArguments } from './lua/script.js';
import type { Quota, ResolvedRule } from './quota.js';
import type { DecideReply, LimitScripts } from './scripts.js';

/** The rules of a limiter with limits that are known: what is asked of Redis, and of which keys. */
export class Plan {
  readonly quotas: readonly Quota[];
  /** Of this plan alone: calls share a script call with those that have the same rules. */
  readonly decide: Script<DecideReply>;
  readonly adjust: Script<'OK'>;
  readonly shared: SharedPart;
  readonly #prefixes: readonly string[];
  readonly #only: string | undefined;

  constructor(prefix: string, rules: readonly ResolvedRule[], quotas: readonly Quota[], scripts: LimitScripts) {
    this.quotas = quotas;
    this.decide = { ...scripts.decide };
    this.adjust = scripts.adjust;
    this.shared = { keys: [], args: ruleArguments(quotas) };
    this.#prefixes = rules.map(({ id }) => prefix + id);
    this.#only = rules.length === 1 ? `${this.#prefixes[0]}:` : undefined;
  }

  /** One key of Redis per rule; several of them are in one slot of a cluster. */
  keysOf(key: string): string[] {
    return this.#only === undefined ? this.#prefixes.map((prefix) => `${prefix}{:${key}}`) : [this.#only + key];
  }
}
