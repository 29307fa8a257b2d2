import type { RedisPool } from '../../src/index.js';
import type { Standing } from '../../src/limit/algorithms.js';
import { ruleArguments } from '../../src/limit/lua/script.js';
import type { Quota } from '../../src/limit/quota.js';
import {
  type Adjustment,
  callArguments,
  type DecideReply,
  type LimitScripts,
  makeScripts,
} from '../../src/limit/scripts.js';
import { standingsOf } from '../../src/limit/standings.js';
import type { Script, ScriptArgument } from '../../src/pool/script.js';
import { repliesOf } from '../../src/pool/script-replies.js';

/*
 * The time is the last argument, behind all that a script reads. The server's own clock, which knows nothing of that time, must not end
 * keys meanwhile: how long one was to last is noted beside it instead.
 */
const CLOCK = `local now = tonumber(ARGV[#ARGV])
call = function(name, key, ...)
  local args = { ... }
  if name == 'DEL' then redis.call('DEL', 'ttl:' .. key) end
  local ttl = (name == 'SET' or name == 'PEXPIRE') and args[#args] ~= 'KEEPTTL' and args[#args]
  if ttl then redis.call('SET', 'ttl:' .. key, string.format('%.0f', now + ttl * 1000)) end
  if name == 'PEXPIRE' then return 1 end
  if name == 'SET' and (args[2] == 'NX' or args[2] == 'XX') then return redis.call('SET', key, args[1], args[2]) end
  if name == 'SET' then return redis.call('SET', key, args[1]) end
  return redis.call(name, key, ...)
end`;

/** What a script call decided, and how long the key of each rule was last told to live, in ms. */
export interface Scripted {
  readonly accepted: number;
  /** Whether the script said how all stands, and not only what is used. */
  readonly full: boolean;
  readonly standings: readonly Standing[];
  readonly ttls: readonly (number | undefined)[];
}

/** The scripts in a real Redis, at times that the test chooses. Calls are sent at once, and executed in their order. */
export class ScriptedLimits {
  readonly #pool: RedisPool;
  readonly #kinds: number;
  readonly #scripts: LimitScripts;

  constructor(pool: RedisPool, kinds: string) {
    this.#pool = pool;
    this.#kinds = kinds.length;
    this.#scripts = makeScripts(kinds, CLOCK);
  }

  /** Tells the server of the scripts. */
  async load(): Promise<this> {
    await Promise.all(Object.values(this.#scripts).map(({ lua }) => this.#pool.scriptLoad(lua)));
    return this;
  }

  async decide(key: string, quotas: readonly Quota[], nowUs: number, cost: number, count: number): Promise<Scripted> {
    const replies = this.#send(this.#scripts.decide, key, [
      ...ruleArguments(quotas),
      ...callArguments(count, cost),
      nowUs,
    ]);
    const ttls = this.#ttls(key, nowUs);
    const [reply] = repliesOf(await replies, 1) as [DecideReply];
    const accepted = typeof reply === 'number' ? count : (reply[0] as number);
    const standings = standingsOf(quotas, reply);
    return { accepted, full: typeof reply !== 'number', standings, ttls: await ttls };
  }

  async adjust(
    key: string,
    quotas: readonly Quota[],
    nowUs: number,
    what: Adjustment,
    amount: number,
  ): Promise<Pick<Scripted, 'ttls'>> {
    const reply = this.#send(this.#scripts.adjust, key, [...ruleArguments(quotas), what, amount, nowUs]);
    const ttls = this.#ttls(key, nowUs);
    await reply;
    return { ttls: await ttls };
  }

  #keysOf(key: string): string[] {
    return Array.from({ length: this.#kinds }, (_, i) => `${i}:${key}`);
  }

  #send(script: Script, key: string, args: readonly ScriptArgument[]): Promise<unknown> {
    const keys = this.#keysOf(key);
    return this.#pool.sendCommand(['EVALSHA', script.sha, String(keys.length), ...keys, ...args.map(String)]);
  }

  async #ttls(key: string, nowUs: number): Promise<(number | undefined)[]> {
    const ttls = await this.#pool.mGet(this.#keysOf(key).map((each) => `ttl:${each}`));
    return ttls.map((ttl) => (ttl === null ? undefined : (Number(ttl) - nowUs) / 1_000));
  }
}
