import { randomUUID } from 'node:crypto';
import { BoundedMap } from '../bounded-map.js';
import { log } from '../observe/debug.js';
import { defineScript } from '../pool/script.js';
import { type CacheStore, within } from './store.js';

/** A version outlives the values that have it, which would be void without it. */
const LONGER_MS = 10_000;

/** The version of a tag of values that never expire lasts this long at least after one of them was stored or read. */
const KEPT_MS = 30 * 24 * 3_600_000;
/** This often at most, in a process, reading such values makes the version last longer. */
const RENEWED_EVERY_MS = KEPT_MS / 30;
/** Tags at most of which is remembered when that was. */
const MOST_RENEWED = 10_000;

/*
 * The version of a tag, made if there is none. Per call: key; the version that it gets then, for how many ms it must last at least.
 * Returns the version. It lasts twice as long, as whoever keeps values with the tag hears of every change of the key.
 */
const versionOf = defineScript<string>({
  keys: 1,
  args: 2,
  batch: 64,
  lua: `
local replies = {}
for i, key in ipairs(KEYS) do
  local version, lasts = redis.call('GET', key), tonumber(ARGV[i * 2])
  if not version then
    version = ARGV[i * 2 - 1]
    redis.call('SET', key, version, 'PX', 2 * lasts)
  elseif redis.call('PTTL', key) < lasts then
    redis.call('PEXPIRE', key, 2 * lasts)
  end
  replies[i] = version
end
return replies`,
});

/**
 * Tags: each has a version in Redis, and a value that carries another is void. Removing by a tag removes its version. A
 * version is random, so that one which is lost (evicted, flushed) never comes back: losing it is only a miss.
 */
export class Tags {
  readonly #store: CacheStore;
  readonly #prefix: string;
  /** When the versions of tags were renewed, by tag. */
  readonly #renewedAt = new BoundedMap<string, number>(MOST_RENEWED);

  constructor(store: CacheStore, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
  }

  /**
   * The versions of some tags, made to last as long as a value that is about to have them.
   *
   * @param lifetimeMs of the value; `undefined` if it never expires. The versions do in the end, or they would stay in Redis for ever
   *   when the value is gone: {@link keepAlive} renews them.
   */
  async versions(
    tags: readonly string[],
    lifetimeMs: number | undefined,
    timeoutMs?: number,
  ): Promise<Record<string, string>> {
    const store = within(this.#store, timeoutMs);
    const lasts = lifetimeMs === undefined ? KEPT_MS : lifetimeMs + LONGER_MS;
    const versions = await Promise.all(
      tags.map((tag) => store.runScript(versionOf, [this.#prefix + tag], [randomUUID(), lasts])),
    );
    if (lifetimeMs === undefined) this.#renewed(tags);
    return Object.fromEntries(tags.map((tag, i) => [tag, versions[i] as string]));
  }

  /** Whether a value with these versions still stands. */
  async stand(versions: Readonly<Record<string, string>>, timeoutMs?: number): Promise<boolean> {
    const store = within(this.#store, timeoutMs);
    const tags = Object.keys(versions);
    const now = await Promise.all(tags.map((tag) => store.get(this.#prefix + tag)));
    return tags.every((tag, i) => now[i] === versions[tag]);
  }

  /** Renews the versions of a value that was read and never expires, in the background. */
  keepAlive(tags: readonly string[]): void {
    const now = performance.now();
    const due = tags.filter((tag) => now - (this.#renewedAt.get(tag) ?? Number.NEGATIVE_INFINITY) > RENEWED_EVERY_MS);
    if (due.length === 0) return;
    this.#renewed(due);
    this.versions(due, undefined).catch((error: Error) => {
      for (const tag of due) this.#renewedAt.delete(tag);
      log.cache('cannot renew the version of a tag: %s', error.message);
    });
  }

  /** Makes a tag's values void. */
  async remove(tag: string): Promise<void> {
    await this.#store.unlink(this.#prefix + tag);
  }

  #renewed(tags: readonly string[]): void {
    const now = performance.now();
    for (const tag of tags) this.#renewedAt.set(tag, now);
  }
}
