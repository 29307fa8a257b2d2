import { randomUUID } from 'node:crypto';
import { defineScript } from '../pool/script.js';
import { type CacheStore, within } from './store.js';

/** A version outlives the values that have it, which would be void without it. */
const LONGER_MS = 10_000;

/*
 * The version of a tag, made if there is none. Per call: key; the version that it gets then, for how many ms it must last at least (0:
 * for ever). Returns the version. It lasts twice as long, as whoever keeps values with the tag hears of every change of the key.
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
    if lasts > 0 then redis.call('SET', key, version, 'PX', 2 * lasts) else redis.call('SET', key, version) end
  else
    local left = redis.call('PTTL', key)
    if left >= 0 and lasts == 0 then
      redis.call('PERSIST', key)
    elseif left >= 0 and left < lasts then
      redis.call('PEXPIRE', key, 2 * lasts)
    end
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

  constructor(store: CacheStore, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
  }

  /** The versions of some tags, made to last as long as a value that is about to have them. */
  async versions(
    tags: readonly string[],
    lifetimeMs: number | undefined,
    timeoutMs?: number,
  ): Promise<Record<string, string>> {
    const store = within(this.#store, timeoutMs);
    const lasts = lifetimeMs === undefined ? 0 : lifetimeMs + LONGER_MS;
    const versions = await Promise.all(
      tags.map((tag) => store.runScript(versionOf, [this.#prefix + tag], [randomUUID(), lasts])),
    );
    return Object.fromEntries(tags.map((tag, i) => [tag, versions[i] as string]));
  }

  /** Whether a value with these versions still stands. */
  async stand(versions: Readonly<Record<string, string>>, timeoutMs?: number): Promise<boolean> {
    const store = within(this.#store, timeoutMs);
    const tags = Object.keys(versions);
    const now = await Promise.all(tags.map((tag) => store.get(this.#prefix + tag)));
    return tags.every((tag, i) => now[i] === versions[tag]);
  }

  /** Makes a tag's values void. */
  async remove(tag: string): Promise<void> {
    await this.#store.unlink(this.#prefix + tag);
  }
}
