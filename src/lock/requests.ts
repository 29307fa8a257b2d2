import type { RedisArgument } from 'redis';
import type { Script, ScriptCall } from '../pool/script.js';
import { Books, tagOfKeys } from './book.js';
import type { Claim } from './claim.js';
import type { LeaveReply, LookReply, ObtainReply, ReleaseReply } from './replies.js';
import {
  leave,
  leaveAny,
  look,
  obtainAny,
  obtainExclusive,
  obtainExclusiveWaiting,
  refreshAny,
  refreshExclusive,
  releaseAny,
  releaseExclusive,
  timeLeft,
} from './scripts.js';
import type { LockStore } from './store.js';

/** Redis answers with an error or not at all: so soon it is asked again, in ms. */
export const RETRY_MS = 200;

/** One round trip each: what is asked of Redis for a claim. */
export class Requests {
  readonly #store: LockStore;
  readonly #books: Books;

  /** `channel`: what those of this process begin with, whose own waiters are told by the replies. */
  constructor(store: LockStore, channel: string) {
    this.#store = store;
    this.#books = new Books(channel);
  }

  /** Where this process is told what is granted to its claims in a slot. */
  channel(tag: string): string {
    return this.#books.of(tag).channel;
  }

  /** Asks for a claim, to have it at once or not at all. */
  obtain(claim: Claim, call: ScriptCall<ObtainReply>): void {
    const { shared } = this.#books.of(claim.tag);
    if (isPlain(claim)) {
      this.#store.callScript(obtainExclusive, claim.keys, [claim.value, claim.ttlMs], call, shared);
    } else {
      const args = [claim.value, claim.ttlMs, '', claim.kind, claim.permits];
      this.#store.callScript(obtainAny, this.#keysOf(claim), args, call);
    }
  }

  /** Asks for a claim, to wait for it if need be; `again` if it was asked for under the same id before. */
  obtainOrWait(claim: Claim, id: string, again: boolean): Promise<ObtainReply> {
    const { channel, shared } = this.#books.of(claim.tag);
    const waits = `${id} ${channel} ${again ? (claim.drawn ? 1 : 2) : 0}`;
    return isPlain(claim)
      ? this.#store.runScript(obtainExclusiveWaiting, claim.keys, [claim.value, claim.ttlMs, waits], shared)
      : this.#any(obtainAny, claim, [claim.value, claim.ttlMs, waits, claim.kind, claim.permits]);
  }

  /** Gives a claim back, by its value alone if its fence is not known because the reply was never seen. */
  release(claim: Claim, fence: string | undefined, call: ScriptCall<ReleaseReply>): void {
    const { channel, sharedWithChannel } = this.#books.of(claim.tag);
    if (isPlain(claim) && fence !== undefined) {
      this.#store.callScript(releaseExclusive, claim.keys, [holder(claim, fence)], call, sharedWithChannel);
    } else {
      const args = [channel, claim.value, claim.kind, fence ?? ''];
      this.#store.callScript(releaseAny, this.#keysOf(claim), args, call);
    }
  }

  /**
   * Stops waiting. `keep`, what of the claim is not given back: `'take'` what it was granted, or can be granted now; a fence, what it
   * was granted with this fence; `''` nothing. Or whatever is held under its token: `'all'`; `'free'`, and what can be granted now.
   */
  leave(claim: Claim, id: string, keep: string): Promise<LeaveReply> {
    const { keys, value, ttlMs, kind, permits, tag } = claim;
    const { channel, sharedWithChannel } = this.#books.of(tag);
    const args = [value, ttlMs, id, kind, permits, keep];
    return keys.length === 1
      ? this.#store.runScript(leave, keys, args, sharedWithChannel)
      : this.#any(leaveAny, claim, [channel, ...args]);
  }

  /**
   * Sets the time that is left, fence as above; `false` if the claim is not held at each of its keys any more. `sooner`: it
   * was longer before, and who waits must know.
   */
  async refresh(claim: Claim, fence: string | undefined, ttlMs: number, sooner = false): Promise<boolean> {
    const reply =
      isPlain(claim) && fence !== undefined && !sooner
        ? await this.#store.runScript(refreshExclusive, claim.keys, [holder(claim, fence), ttlMs])
        : await this.#any(refreshAny, claim, [claim.value, ttlMs, claim.kind, fence ?? '']);
    return reply === 1;
  }

  /** The time in ms that is left at the key where least is left. */
  timeLeft(claim: Claim, fence: string): Promise<number> {
    return this.#any(timeLeft, claim, [claim.value, claim.kind, fence]);
  }

  /** How a key is doing. */
  look(key: RedisArgument): Promise<LookReply> {
    return this.#any(look, { keys: [key], tag: tagOfKeys(this.#store, [key]) }, []);
  }

  #any<Reply>(
    script: Script<Reply>,
    claim: Pick<Claim, 'keys' | 'tag'>,
    args: readonly (string | number)[],
  ): Promise<Reply> {
    return this.#store.runScript(script, this.#keysOf(claim), args);
  }

  /** Those of a script that is for one claim alone. */
  #keysOf({ keys, tag }: Pick<Claim, 'keys' | 'tag'>): RedisArgument[] {
    return [...this.#books.of(tag).keys, ...keys];
  }
}

/** The claim as it stands in Redis while it is held. */
function holder(claim: Claim, fence: string): string {
  return `${claim.value}#${fence}`;
}

/** Whether a claim is exclusive and for one key, as most are. */
export function isPlain(claim: Claim): boolean {
  return claim.kind === 'x' && claim.keys.length === 1;
}

/** The reply to a request that tells without a promise how it ended. */
export function replyTo<Reply>(request: (call: ScriptCall<Reply>) => void): Promise<Reply> {
  return new Promise((settle, fail) => request({ settle, fail }));
}
