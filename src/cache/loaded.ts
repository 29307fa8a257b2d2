import { createHash } from 'node:crypto';
import { startInterval } from '../async/timers.js';
import { defineScript } from '../pool/script.js';
import { MARK_MS, type MarkNames, type Marks, type RemovalMarks, textOf, unlessRemoved } from './marks.js';
import type { CacheStore } from './store.js';
import type { Stored } from './stored.js';

/** What stood in Redis before a load began. */
export interface Seen {
  /** The value that is to be replaced. */
  readonly stored: Stored | null;
  readonly marks: Marks;
}

/** A value that was loaded. */
export interface Loaded {
  /** What it is called in Redis. */
  readonly name: string;
  readonly data: Stored;
  /** How long it stays; `undefined`: for ever. */
  readonly lastsMs: number | undefined;
}

/** So often a load that takes long looks at the marks. */
const LOOK_MS = MARK_MS / 3;

/*
 * Stores what was loaded, unless its key was removed or has another value since the load began. Shared: the mark of all. Per call:
 * key, its mark; the value, for how many ms (0: for ever), and what was there: '' if nothing was, else the mark of the key, SHA-1 of the
 * value, the mark of all, a line each. Returns 'OK', 0 if it must not be stored, or the mark of all if only that is another: whom it
 * concerns is not said here.
 */
export const storeLoaded = defineScript<'OK' | 0 | string>({
  whileClosing: true,
  keys: 2,
  args: 3,
  batch: 64,
  lua: `
local replies, now = {}, redis.call('MGET', unpack(KEYS))
local all = now[1]
for i = 1, (#KEYS - 1) / 2 do
  local key, value, mark, arg = KEYS[i * 2], now[i * 2], now[i * 2 + 1], i * 3 - 2
  local lasts, seen = ARGV[arg + 1], ARGV[arg + 2]
  local had, hash, had_all = '', '', ''
  if seen ~= '' then had, hash, had_all = string.match(seen, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$') end
  if mark and mark ~= had or value and redis.sha1hex(value) ~= hash then
    replies[i] = 0
  elseif all and all ~= had_all then
    replies[i] = all
  else
    local set = { 'SET', key, ARGV[arg] }
    if lasts ~= '0' then set[4], set[5] = 'PX', lasts end
    -- What is there although MGET did not find it is of another type, and GET says so.
    if not value then set[#set + 1] = 'NX' end
    replies[i] = redis.pcall(unpack(set)) or redis.pcall('GET', key)
  end
end
return KEYS[4] and replies or replies[1]`,
});

/**
 * Stores a value unless something has changed.
 *
 * @param atOnce sends it before this returns, and as one command, so that what is sent next is executed after it.
 * @returns the marks to try again with, if keys were removed, but not this one.
 */
export async function storeUnlessChanged(
  store: CacheStore,
  key: string,
  { name, data, lastsMs }: Loaded,
  seen: Seen,
  { own, shared }: MarkNames,
  atOnce: boolean,
): Promise<Marks | undefined> {
  const args = [data, String(lastsMs ?? 0), lineOf(seen)];
  const reply = await (atOnce
    ? store.whileClosing().eval(storeLoaded.lua, { keys: [...(shared.keys as string[]), name, own], arguments: args })
    : store.runScript(storeLoaded, [name, own], args, shared));
  if (reply === 0 || String(reply) === 'OK') return undefined;
  return unlessRemoved(key, seen.marks, { ...seen.marks, all: reply as Stored });
}

function lineOf({ stored, marks }: Seen): string {
  if (stored === null && marks.own === null && marks.all === null) return '';
  const hash = stored === null ? '' : createHash('sha1').update(stored).digest('hex');
  return `${textOf(marks.own)}\n${hash}\n${textOf(marks.all)}`;
}

/** A load that is under way. */
interface Watched {
  readonly key: string;
  seen: Seen | undefined;
}

/** Looks at the marks of loads that take long, as marks do not last for ever. */
export class Watch {
  readonly #marks: RemovalMarks;
  readonly #inBackground: CacheStore['inBackground'];
  readonly #everyMs: number;
  readonly #loads = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;

  /** `inBackground`: that of the pool. The timer belongs to no caller. */
  constructor(marks: RemovalMarks, inBackground: CacheStore['inBackground'], everyMs = LOOK_MS) {
    this.#marks = marks;
    this.#inBackground = inBackground;
    this.#everyMs = everyMs;
  }

  /** Watches a load; the function that ends it gives what to compare with, or `undefined` if the key was removed, or could have been. */
  begin(key: string, seen: Seen): () => Seen | undefined {
    const load: Watched = { key, seen };
    this.#loads.add(load);
    // One timer for all of them, which goes on until it finds none: most loads are shorter than making one each is worth.
    this.#timer ??= this.#inBackground(() => startInterval(() => this.#lookAtAll(), this.#everyMs).unref());
    return () => {
      this.#loads.delete(load);
      const last = load.seen;
      return last && performance.now() - last.marks.askedAt < 2 * this.#everyMs ? last : undefined;
    };
  }

  #lookAtAll(): void {
    if (this.#loads.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    for (const load of this.#loads) void this.#look(load);
  }

  async #look(load: Watched): Promise<void> {
    // Who cannot be asked now may answer the next time; if not, the last answer gets too old.
    const now = await this.#marks.read(load.key, this.#everyMs).catch(() => undefined);
    if (!now || !load.seen) return;
    const marks = unlessRemoved(load.key, load.seen.marks, now);
    load.seen = marks && { stored: load.seen.stored, marks };
  }
}
