import { type Duration, positiveMs } from '../duration.js';
import { isKnown } from '../pool/guard.js';
import { type Address, parseAddress, parseNode, REDIS_PORT, SENTINEL_PORT } from './address.js';
import { DEFAULTS, MAX_DURATION_MS } from './defaults.js';
import { DURATION_RULE, show } from './explain.js';
import { type Issues, looksLikeCredentials, pointer } from './issues.js';
import { emptyObject, isObject, type Json, type JsonObject } from './snapshot.js';

const ROOM =
  'a blocking command, a transaction or a subscription needs a connection of its own and could never get one';

/** Adds what a schema cannot express. A place that has an issue already keeps the one it has. */
export function checkPool(code: string, pool: Json, issues: Issues): void {
  new PoolCheck(code, issues).check(pool);
}

/** The duration in ms, or `undefined` if the configuration cannot have it. */
export function durationMs(duration: Json): number | undefined {
  if (typeof duration !== 'string' && typeof duration !== 'number') return undefined;
  try {
    const ms = positiveMs(duration as Duration, '');
    return ms <= MAX_DURATION_MS ? ms : undefined;
  } catch {
    return undefined;
  }
}

class PoolCheck {
  readonly #code: string;
  readonly #issues: Issues;

  constructor(code: string, issues: Issues) {
    this.#code = code;
    this.#issues = issues;
  }

  check(pool: Json): void {
    if (looksLikeCredentials(this.#code)) {
      this.#add([], 'the code of a pool is a short name, and this looks like an address with a password');
    }
    if (this.#code === '__proto__') this.#add([], 'cannot be used as a name');
    if (typeof pool === 'string') this.#address(pool, [], emptyObject());
    if (!isObject(pool)) return;
    if (typeof pool.address === 'string') this.#address(pool.address, ['address'], pool);
    if (isObject(pool.sentinel)) this.#nodes(pool.sentinel.nodes, ['sentinel', 'nodes'], SENTINEL_PORT);
    this.#nodes(pool.cluster, ['cluster'], REDIS_PORT);
    if (pool.cluster !== undefined) this.#prefixInCluster(pool.keyPrefix);
    this.#duration(pool, 'connectTimeout');
    this.#duration(pool, 'commandTimeout');
    this.#reconnect(pool.reconnect);
    this.#budget(pool.pool);
    this.#commands(pool.commands);
    this.#tls(pool, 'tls');
    this.#tls(pool, 'sentinelTls');
  }

  #address(text: string, place: readonly string[], pool: JsonObject): void {
    if (text === '' || this.#issues.has(this.#path(place))) return;
    const address = parseAddress(text);
    if ('problem' in address) this.#add(place, address.problem);
    else this.#contradictions(address, pool);
  }

  /** What the address says and a property says too must be the same: there is no telling which one is meant. */
  #contradictions(address: Address, pool: JsonObject): void {
    for (const name of ['database', 'username', 'password'] as const) {
      const said = address[name];
      const given = pool[name];
      if (said === undefined || given === undefined || given === '' || given === said) continue;
      const values = name === 'database' ? `: ${show(given)} here, ${said} there` : '';
      this.#add([name], `contradicts the address, which has a ${name} of its own${values}; leave one of them out`);
    }
    const tls = pool.tls !== undefined && pool.tls !== false;
    if (tls && address.tls === false) {
      this.#add(['tls'], 'contradicts the address, which starts with redis:// and so asks for no TLS; write rediss://');
    } else if (pool.tls === false && address.tls === true) {
      this.#add(['tls'], 'contradicts the address, which starts with rediss:// and so asks for TLS; write redis://');
    } else if (tls && 'path' in address.endpoint) {
      this.#add(['tls'], 'cannot be used on a unix socket');
    }
  }

  #nodes(nodes: Json | undefined, place: readonly string[], defaultPort: number): void {
    if (!Array.isArray(nodes)) return;
    for (const [index, node] of nodes.entries()) {
      if (typeof node !== 'string' || node === '') continue;
      const parsed = parseNode(node, defaultPort);
      if ('problem' in parsed) this.#add([...place, index], parsed.problem);
    }
  }

  /** Only the first braces of a key count, and what Lagoon keeps beside a key must be able to share its slot. */
  #prefixInCluster(prefix: Json | undefined): void {
    if (typeof prefix !== 'string') return;
    const open = prefix.indexOf('{');
    if (open < 0 || prefix.indexOf('}', open) > open + 1) return;
    this.#add(
      ['keyPrefix'],
      'must in a cluster have something in its first braces, as in {app}:, or no opening brace: behind this one no braces of a key would count, and no two keys could share a slot',
    );
  }

  #duration(owner: JsonObject, name: string, ...above: string[]): void {
    const value = owner[name];
    if (value === undefined || durationMs(value) !== undefined) return;
    this.#add([...above, name], `${DURATION_RULE}, got ${show(value)}`);
  }

  #reconnect(reconnect: Json | undefined): void {
    if (!isObject(reconnect)) return;
    this.#duration(reconnect, 'minDelay', 'reconnect');
    this.#duration(reconnect, 'maxDelay', 'reconnect');
    const { minDelay, maxDelay } = { ...DEFAULTS.reconnect, ...reconnect };
    const min = durationMs(minDelay);
    const max = durationMs(maxDelay);
    if (min === undefined || max === undefined || min <= max) return;
    const given = reconnect.minDelay === undefined ? 'maxDelay' : 'minDelay';
    this.#add(['reconnect', given], `minDelay (${min} ms) must not be longer than maxDelay (${max} ms)`);
  }

  #budget(budget: Json | undefined): void {
    if (!isObject(budget)) return;
    this.#duration(budget, 'acquireTimeout', 'pool');
    this.#duration(budget, 'idleTimeout', 'pool');
    const { max, min, lanes } = { ...DEFAULTS.pool, ...budget };
    if (typeof max !== 'number') return;
    if (typeof lanes === 'number' && lanes >= max) {
      const given = budget.lanes === undefined ? 'max' : 'lanes';
      this.#add(['pool', given], `lanes (${lanes}) must be less than max (${max}): ${ROOM}`);
    }
    if (typeof min === 'number' && min > max) {
      this.#add(['pool', 'min'], `min (${min}) must not be more than max (${max})`);
    }
  }

  /** What Lagoon knows of a command, the configuration cannot change. */
  #commands(commands: Json | undefined): void {
    if (!isObject(commands)) return;
    const seen = new Set<string>();
    for (const name of Object.keys(commands)) {
      const upper = name.toUpperCase();
      if (!/^[!-~]+$/.test(name)) this.#add(['commands', name], 'must be the one word of a command, printable ASCII');
      else if (isKnown(upper)) this.#add(['commands', name], 'is a command that Lagoon knows already; leave it out');
      else if (seen.has(upper)) this.#add(['commands', name], 'is listed twice: letter case does not matter');
      seen.add(upper);
    }
  }

  #tls(pool: JsonObject, name: 'tls' | 'sentinelTls'): void {
    const tls = pool[name];
    if (!isObject(tls)) return;
    if (tls.cert && !tls.key) this.#add([name, 'key'], 'is missing: a client certificate needs its key');
    if (tls.key && !tls.cert) this.#add([name, 'cert'], 'is missing: a key needs its client certificate');
  }

  #add(place: readonly (string | number)[], message: string): void {
    this.#issues.add(this.#path(place), message);
  }

  #path(place: readonly (string | number)[]): string {
    return pointer('pools', this.#code, ...place);
  }
}
