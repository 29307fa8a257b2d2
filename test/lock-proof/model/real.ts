import { expect } from 'vitest';
import { defineScript, type RedisPool } from '../../../src/index.js';
import { randomToken } from '../../../src/lock/claim.js';
import { type Grant, givenBack, type ObtainReply } from '../../../src/lock/replies.js';
import { Requests, replyTo } from '../../../src/lock/requests.js';
import {
  type Answer,
  apply,
  type Claim,
  type Operation,
  PERMITS,
  STRANGER,
  type State,
  type Step,
  start,
} from './reference.js';

/** Longer than any run. */
const TTL_MS = 600_000;

/*
 * Who holds each key and how many wait there, found without knowing how the locks name and write it: a holder is known by
 * its token, a queue by being a list whose name has the key in it, and who waits in it by a set with the same members. KEYS: the
 * keys. Returns holders and waiters of each; -1 waiters if list and set do not agree, which short queues always do.
 */
const observe = defineScript<readonly (readonly [holders: string[], waiting: number])[]>({
  lua: `
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local all, found = redis.call('KEYS', '*'), {}
for i, key in ipairs(KEYS) do
  local holders, list, set, waiting = {}, {}, {}, 0
  if redis.call('TYPE', key).ok == 'zset' then holders = redis.call('ZRANGEBYSCORE', key, ms, '+inf')
  else holders = { redis.call('GET', key) or nil } end
  for _, other in ipairs(all) do
    local kind = string.find(other, key, 1, true) and redis.call('TYPE', other).ok
    if kind == 'list' then list = redis.call('LRANGE', other, 0, -1) end
    if kind == 'set' then set = redis.call('SMEMBERS', other) end
  end
  table.sort(list)
  table.sort(set)
  waiting = table.concat(list, '/') == table.concat(set, '/') and #list or -1
  found[i] = { holders, waiting }
end
return found`,
});

/* Ends a holder's time. KEYS: its keys. ARGV: its token. */
const expire = defineScript({
  lua: `
for _, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok ~= 'zset' then
    if string.find(redis.call('GET', key) or '', ARGV[1], 1, true) then redis.call('PEXPIRE', key, -1) end
  else
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      if string.find(member, ARGV[1], 1, true) then redis.call('ZADD', key, 1, member) end
    end
  end
end`,
});

interface Process {
  readonly channel: string;
  readonly requests: Requests;
  unsubscribe: (() => Promise<void>) | undefined;
}

/**
 * The same world in a real Redis: the scripts are called as the locks call them, for a few processes that are no more than a
 * channel each. After every operation the answer, who was told, who holds what and how many wait must be as in the reference.
 */
export class RealWorld {
  state: State;
  readonly #pool: RedisPool;
  readonly #keys: readonly string[];
  readonly #processes: Process[];
  readonly #run = randomToken();
  readonly #fences = new Map<string, number>();
  readonly #greatest = new Map<string, number>();
  /** What was granted in this step, as the answer, a reply to another, or a message. */
  #given: Grant[] = [];
  #marks = 0;
  #seen = new Map<number, () => void>();

  private constructor(pool: RedisPool, keys: readonly string[], processes: number) {
    this.#pool = pool;
    this.#keys = keys;
    this.state = start(keys, processes);
    this.#processes = Array.from({ length: processes }, (_, i) => {
      const channel = `${this.#run}:process:${i}`;
      return { channel, requests: new Requests(pool, channel), unsubscribe: undefined };
    });
  }

  /** An empty database, and so many processes that listen; `fn` does what it wants with them. */
  static async in<T>(
    pool: RedisPool,
    keys: readonly string[],
    processes: number,
    fn: (world: RealWorld) => Promise<T>,
  ) {
    const world = new RealWorld(pool, keys, processes);
    const marks = await pool.subscribe(world.#markChannel, (mark) => world.#seen.get(Number(mark))?.());
    try {
      await pool.flushDb();
      for (const process of world.#processes) await world.#subscribe(process);
      return await fn(world);
    } finally {
      for (const process of world.#processes) await process.unsubscribe?.();
      await marks.unsubscribe();
    }
  }

  /** Does it in both worlds, and compares what is to be seen. */
  async step(operation: Operation): Promise<void> {
    const expected = apply(this.state, operation);
    await this.#markUnreachable();
    const answer = await this.#perform(operation);
    const [observed] = await Promise.all([this.#pool.runScript(observe, this.#keys), this.#allMessages()]);
    // Without a fence it is no grant, but the hint to look again.
    const given = this.#given.splice(0).filter(([, fence]) => fence !== '');
    this.#checkFences(given, expected.state);
    const asker = 'claim' in operation ? operation.claim.id : 'id' in operation ? operation.id : undefined;
    const told = given.map(([id]) => id).filter((id) => id !== asker);
    const world = { answer, told: told.sort(), keys: observed.map(([held, waiting]) => [this.#names(held), waiting]) };
    expect(world, JSON.stringify(operation)).toEqual(this.#visible(expected));
    this.state = expected.state;
  }

  #visible({ state, answer, told }: Step): unknown {
    const keys = this.#keys.map((key) => [[...(state.holders[key] ?? [])].sort(), state.queues[key]?.length]);
    return { answer, told: [...told].sort(), keys };
  }

  async #perform(operation: Operation): Promise<Answer> {
    const claim =
      'claim' in operation ? operation.claim : 'id' in operation ? this.state.claims[operation.id] : undefined;
    if (claim) return this.#request(operation, claim);
    switch (operation.does) {
      case 'lose subscription':
        await this.#process(operation.process).unsubscribe?.();
        return 'done';
      case 'subscribe':
        await this.#subscribe(this.#process(operation.process));
        return 'done';
      case 'intrude':
        return (await this.#pool.set(operation.key, STRANGER, { NX: true, PX: TTL_MS })) ? 'yes' : 'no';
      case 'delete':
        await this.#pool.del(operation.key);
        return 'done';
      default:
        await this.#pool.flushDb();
        return 'done';
    }
  }

  async #request({ does }: Operation, known: Claim): Promise<Answer> {
    const { requests } = this.#process(known.process);
    const { id } = known;
    const claim = this.#claim(known);
    const fence = this.#fences.get(id)?.toString();
    switch (does) {
      case 'obtain':
        return this.#answer(known, await replyTo((call) => requests.obtain(claim, call)));
      case 'wait':
        return this.#answer(known, await requests.obtainOrWait(claim, id, false));
      case 'wait again':
        return this.#answer(known, await requests.obtainOrWait(claim, id, true));
      case 'refresh':
        return yes(await requests.refresh(claim, fence, TTL_MS));
      case 'expire':
        await this.#pool.runScript(expire, known.keys, [claim.token]);
        return 'done';
      case 'release': {
        const [held, , grants] = givenBack(await replyTo((call) => requests.release(claim, fence, call)));
        this.#given.push(...grants);
        return yes(held === 1);
      }
      default: {
        const reply = await requests.leave(claim, id, does === 'leave or keep' ? (fence ?? '') : '');
        if (reply[0] === 2) {
          this.#given.push(...reply[2], [id, reply[3]]);
          return 'kept';
        }
        this.#given.push(...reply[2]);
        return yes(reply[0] === 1);
      }
    }
  }

  #answer(claim: Claim, reply: ObtainReply): Answer {
    if (typeof reply === 'string') {
      this.#given.push([claim.id, reply]);
      return 'granted';
    }
    this.#given.push(...reply[4]);
    if (reply[0] === 1) {
      this.#given.push([claim.id, reply[1]]);
      return 'granted';
    }
    return reply[2] === 1 ? 'denied by a stranger' : 'denied';
  }

  /** Of all that were ever given on a key, a fence that is given now is the greatest; whoever is told twice, is told the same. */
  #checkFences(given: readonly Grant[], { claims }: State): void {
    for (const [id, text] of [...given].sort(([, a], [, b]) => Number(a) - Number(b))) {
      const fence = Number(text);
      if (this.#fences.get(id) === fence) continue;
      this.#fences.set(id, fence);
      for (const key of (claims[id] as Claim).keys) {
        expect(fence, `the fence of ${id} on ${key}`).toBeGreaterThan(this.#greatest.get(key) ?? 0);
        this.#greatest.set(key, fence);
      }
    }
  }

  #claim({ id, kind, keys }: Claim) {
    const token = `${this.#run}/${id}/`;
    return {
      keys,
      tag: '',
      kind,
      permits: kind === 's' ? PERMITS : 1,
      token,
      drawn: true,
      metadata: '',
      value: token,
      ttlMs: TTL_MS,
    };
  }

  /** Who it is that holds, by the token in what is written there. */
  #names(holders: readonly string[]): string[] {
    return holders.map((holder) => holder.split('/')[1] ?? holder).sort();
  }

  #process(index: number): Process {
    return this.#processes[index] as Process;
  }

  async #subscribe(process: Process): Promise<void> {
    const subscription = await this.#pool.subscribe(process.channel, (message) => {
      const [id = '', fence = ''] = message.split(' ');
      this.#given.push([id, fence]);
    });
    process.unsubscribe = () => subscription.unsubscribe();
  }

  /** As if they had been that for long. */
  async #markUnreachable(): Promise<void> {
    const gone = this.#processes.filter((_, i) => !this.state.reachable[i]);
    if (gone.length > 0) await this.#pool.mSet(gone.flatMap(({ channel }) => [`lagoon:locks?${channel}`, '1']));
  }

  get #markChannel(): string {
    return `${this.#run}:marks`;
  }

  /** Resolves when every message that was sent so far has come: all of them come over one connection. */
  async #allMessages(): Promise<void> {
    const mark = this.#marks++;
    const arrived = new Promise<void>((resolve) => this.#seen.set(mark, resolve));
    await Promise.all([this.#pool.publish(this.#markChannel, String(mark)), arrived]);
    this.#seen.delete(mark);
  }
}

function yes(is: boolean): Answer {
  return is ? 'yes' : 'no';
}
