import { EventEmitter } from 'node:events';
import { escapeGlob } from '../cache/glob.js';
import { InvalidArgumentError } from '../errors.js';
import { bindUserCallback } from '../observe/user-callback.js';
import { checkOptions, type OptionTable } from '../options.js';
import type { RedisPool } from '../pool/redis-pool.js';
import { checkWellFormed } from '../well-formed.js';

/** What stands between namespace and key, as in `@keyv/redis`: both find what the other stored. */
const SEPARATOR = '::';
/** How many keys Redis looks at for one SCAN: a hint. What it finds is read or removed in one go. */
const SCAN_COUNT = 500;

/** What is needed of a pool. */
export interface KeyvPool extends Pick<RedisPool, 'exists' | 'get' | 'scanIterator' | 'set' | 'unlink'> {
  withReplicas(replicas: 'never'): KeyvPool;
}

/** Options of {@link KeyvLagoon}. */
export interface KeyvLagoonOptions {
  /** What all its keys in Redis begin with, as it is and in front of the namespace; default: nothing. */
  prefix?: string;
}

const OPTIONS: OptionTable<KeyvLagoonOptions> = { prefix: ['keyPrefix'] };

/** One entry of `setMany`. */
export interface KeyvEntry {
  key: string;
  /** As Keyv serialized it. */
  value: string;
  /** In ms. */
  ttl?: number | undefined;
}

/**
 * A store for Keyv whose values are in a pool: `new Keyv({ store: new KeyvLagoon(redis), namespace: 'users', useKeyPrefix: false })`.
 * Its keys in Redis are `users::key`. The pool stays open, whatever is done to the Keyv. A store belongs to one Keyv, which sets its
 * namespace; a pool can have any number of them.
 *
 * Every method rejects with what the pool's commands reject with, and with an `InvalidArgumentError` for a key that holds a lone
 * surrogate: Redis could not tell it from others.
 *
 * @throws {InvalidArgumentError} if it is given no pool, an unknown option, or a prefix that is not a string.
 */
export class KeyvLagoon {
  /** What Keyv asks a store about: with this dialect it has an `iterator`. */
  readonly opts: Record<string, unknown> = { dialect: 'redis' };
  /** Set by Keyv. One that is followed by `::` in another's name holds that too: `a` holds `a::b`. */
  namespace: string | undefined = undefined;
  readonly #pool: KeyvPool;
  readonly #prefix: string;
  readonly #events = new EventEmitter();
  /** Listeners as the emitter got them, by how they were given. */
  readonly #listeners = new WeakMap<object, (error: unknown) => void>();

  constructor(pool: KeyvPool, options: KeyvLagoonOptions = {}) {
    if (typeof pool?.scanIterator !== 'function') {
      throw new InvalidArgumentError('KeyvLagoon needs a pool, such as engine.getRedis()');
    }
    checkOptions('KeyvLagoon', options, OPTIONS);
    const { prefix = '' } = options;
    if (typeof prefix !== 'string') throw new InvalidArgumentError('prefix must be a string');
    checkWellFormed(prefix, 'prefix');
    // What was set must be there at once, as in any store.
    this.#pool = pool.withReplicas('never');
    this.#prefix = prefix;
    // Each Keyv of a store listens, and never stops to.
    this.#events.setMaxListeners(0);
  }

  /** The serialized value; `undefined` if there is none. */
  async get<Value = string>(key: string): Promise<Value | undefined> {
    try {
      return await this.#read<Value>(this.#nameOf(key));
    } catch (error) {
      // Keyv takes this one for a miss and tells nobody, unlike the errors of other methods.
      if (this.#events.listenerCount('error') > 0) this.#events.emit('error', error);
      throw error;
    }
  }

  /** The serialized values in the order of their keys; `undefined` where there is none. One round trip. */
  async getMany<Value = string>(keys: readonly string[]): Promise<(Value | undefined)[]> {
    const names = keys.map((key) => this.#nameOf(key));
    return Promise.all(names.map((name) => this.#read<Value>(name)));
  }

  /**
   * Stores a value in place of what was there.
   *
   * @param ttl in ms, a fraction counts as a whole one; none, 0 or Infinity: for ever; less than 0: gone at once.
   * @throws {InvalidArgumentError} for a value that is not serialized, and a ttl that is not a number.
   */
  async set(key: string, value: string, ttl?: number): Promise<boolean> {
    if (typeof value !== 'string') {
      throw new InvalidArgumentError(
        `Redis stores what is serialized to a string, got ${typeof value}: see Keyv's serialize`,
      );
    }
    await this.#pool.set(this.#nameOf(key), value, expiry(ttl));
    return true;
  }

  /** Stores values in one round trip. If it rejects, some of them may be stored. */
  async setMany(entries: readonly KeyvEntry[]): Promise<void> {
    const stored = await Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
    // Keyv has `void` here, yet hands it on as the booleans that it promises itself.
    return stored as unknown as undefined;
  }

  /** Removes a value; whether it was there. */
  async delete(key: string): Promise<boolean> {
    return (await this.#pool.unlink(this.#nameOf(key))) > 0;
  }

  /** Removes values in one round trip; whether any of them was there. */
  async deleteMany(keys: readonly string[]): Promise<boolean> {
    return (await Promise.all(keys.map((key) => this.delete(key)))).includes(true);
  }

  /** Whether there is a value. */
  async has(key: string): Promise<boolean> {
    return (await this.#pool.exists(this.#nameOf(key))) > 0;
  }

  /** Whether there are values, in the order of their keys. One round trip. */
  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.has(key)));
  }

  /**
   * Removes all values of the namespace; without one all that begin with the prefix.
   *
   * @throws {InvalidArgumentError} if there is neither: that would be the database.
   */
  async clear(): Promise<void> {
    for await (const names of this.#scan(this.#begin(this.namespace))) {
      // Each by itself, as they may be on different servers; all of them go in one write.
      await Promise.all(names.map((name) => this.#pool.unlink(name)));
    }
  }

  /**
   * Keys and serialized values of a namespace, by default its own; without one all that begin with the prefix. What is stored or
   * removed meanwhile may be left out, or come twice.
   *
   * @throws {InvalidArgumentError} if there is neither namespace nor prefix: that would be the database.
   */
  async *iterator(namespace = this.namespace): AsyncGenerator<[key: string, value: string], void> {
    const begin = this.#begin(namespace);
    for await (const names of this.#scan(begin)) {
      const values = await Promise.all(names.map((name) => this.#read<string>(name)));
      for (const [i, name] of names.entries()) {
        const value = values[i];
        // Without one it expired since it was found.
        if (value !== undefined) yield [name.slice(begin.length), value];
      }
    }
  }

  /** Calls `listener` with the `error` of each `get` that fails; there are no other events. */
  on(event: string, listener: (error: unknown) => void): this {
    const bound = this.#listeners.get(listener) ?? bindUserCallback('A listener of a KeyvLagoon', listener);
    this.#listeners.set(listener, bound);
    this.#events.on(event, bound);
    return this;
  }

  /** Ends what `on` began. */
  off(event: string, listener: (error: unknown) => void): this {
    this.#events.off(event, this.#listeners.get(listener) ?? listener);
    return this;
  }

  #begin(namespace: string | undefined): string {
    return namespace ? this.#prefix + namespace + SEPARATOR : this.#prefix;
  }

  #nameOf(key: string): string {
    const name = this.#begin(this.namespace) + key;
    checkWellFormed(name, 'key');
    return name;
  }

  async #read<Value>(name: string): Promise<Value | undefined> {
    return ((await this.#pool.get(name)) ?? undefined) as Value | undefined;
  }

  /** Batches of what the pool calls the keys that begin so. */
  async *#scan(begin: string): AsyncGenerator<string[]> {
    if (begin === '') {
      throw new InvalidArgumentError(
        'A KeyvLagoon with neither namespace nor prefix cannot tell its keys from those of others',
      );
    }
    const sought = { MATCH: `${escapeGlob(begin)}*`, COUNT: SCAN_COUNT, TYPE: 'string' } as const;
    yield* this.#pool.scanIterator(sought);
  }
}

function expiry(ttl: number | undefined): { PX?: number } {
  if (ttl === undefined || ttl === 0 || ttl === Number.POSITIVE_INFINITY) return {};
  if (typeof ttl !== 'number' || Number.isNaN(ttl))
    throw new InvalidArgumentError(`ttl must be a number of ms, got ${String(ttl)}`);
  return { PX: Math.max(1, Math.ceil(ttl)) };
}
