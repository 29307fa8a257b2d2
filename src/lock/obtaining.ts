import type { RedisArgument } from 'redis';
import { Deferred } from '../deferred.js';
import { mayHaveBeenExecuted } from '../errors.js';
import { aborted, whenAborted } from '../pool/abort.js';
import type { ScriptCall } from '../pool/script.js';
import { type Claim, type Held, isNotOver, randomToken } from './claim.js';
import type { Lock } from './lock.js';
import type { ObtainOptions } from './obtain.js';
import { heldBy, type ObtainReply } from './replies.js';

/** What is done with what came of the first attempt. */
export interface Obtains {
  /** The lock that was obtained. */
  lockOf(obtaining: Obtaining, held: Held): Lock;
  /** There is more to do than to ask once; `held`: what that gave, if anything. */
  proceed(obtaining: Obtaining, held: Held | undefined): Promise<Lock | null>;
  giveBack(claim: Claim, fence: string | undefined): Promise<void>;
  /** The first attempt has ended, and its caller waits in the queue if it is to wait. */
  attempted(obtaining: Obtaining): void;
}

/** A call of `obtain`, and the attempt to have the lock at once, with which it mostly ends. */
export class Obtaining extends Deferred<Lock | null> implements ScriptCall<ObtainReply> {
  claim: Claim;
  /** As they were given. */
  readonly keys: readonly RedisArgument[];
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  readonly replicas: number | undefined;
  readonly autoRenew: boolean | undefined;
  readonly sentAt: number;
  readonly #owner: Obtains;
  #aborted: boolean;
  #stopListening: (() => void) | undefined;
  /** Later callers that would wait for the same key. */
  #followers: Obtaining[] | undefined;

  constructor(
    owner: Obtains,
    claim: Claim,
    keys: readonly RedisArgument[],
    waitMs: number,
    { signal, replicas, autoRenew }: ObtainOptions,
  ) {
    super();
    this.#owner = owner;
    this.claim = claim;
    this.keys = keys;
    this.waitMs = waitMs;
    this.signal = signal;
    this.replicas = replicas;
    this.autoRenew = autoRenew;
    this.sentAt = performance.now();
    this.#aborted = false;
  }

  /** Ends with an `AbortError` if the signal aborts before the attempt has ended. */
  watch(signal: AbortSignal): void {
    this.#stopListening = whenAborted(signal, () => {
      this.#aborted = true;
      this.reject(aborted(signal));
    });
  }

  /** Goes on under another token, if it was drawn: what is still under way for the one before must not be taken for this. */
  redraw(): void {
    if (!this.claim.drawn) return;
    const token = randomToken();
    this.claim = { ...this.claim, token, value: token + this.claim.metadata };
  }

  /** Lets a later caller go on when this attempt has ended, and not before. */
  letFollow(later: Obtaining): void {
    if (later.signal) later.watch(later.signal);
    this.#followers ??= [];
    this.#followers.push(later);
  }

  settle(reply: ObtainReply): void {
    this.#use(reply);
    if (this.waitMs > 0) this.#owner.attempted(this);
    for (const later of this.#followers ?? []) later.#goOn();
  }

  /** Ends with what the attempt of the caller before it has failed with, as its own would have. */
  fail(error: Error): void {
    this.#stopListening?.();
    // Redis may have granted it in a reply that was lost. A token that the caller has chosen may be asked for again, and what it
    // holds then is not to be given back.
    if (mayHaveBeenExecuted(error) && this.claim.drawn) void this.#owner.giveBack(this.claim, undefined);
    this.reject(error);
    if (this.waitMs > 0) this.#owner.attempted(this);
    for (const later of this.#followers ?? []) {
      later.#stopListening?.();
      later.reject(error);
    }
  }

  #goOn(): void {
    this.#stopListening?.();
    if (!this.#aborted) this.resolve(this.#owner.proceed(this, undefined));
  }

  #use(reply: ObtainReply): void {
    this.#stopListening?.();
    const held = heldBy(reply, this.sentAt, this.claim.ttlMs);
    if (this.#aborted) {
      // Nobody is left who would release it.
      if (held) void this.#owner.giveBack(this.claim, held.fence);
    } else if (isNotOver(held) && this.replicas === undefined) this.resolve(this.#owner.lockOf(this, held));
    else this.resolve(this.#owner.proceed(this, held));
  }
}
