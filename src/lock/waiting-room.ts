import { startTimer } from '../async/timers.js';
import { BoundedMap } from '../bounded-map.js';
import { timerMs } from '../duration.js';
import { ClosedError, isUnavailable, ReplyError } from '../errors.js';
import { log } from '../observe/debug.js';
import { aborted, whenAborted } from '../pool/abort.js';
import type { Claim, Held } from './claim.js';
import { GrantChannel } from './grant-channel.js';
import { LeavePacing } from './leave-pacing.js';
import { Lines } from './lines.js';
import { Patience } from './patience.js';
import { type Grant, heldBy, type LeaveReply, type ObtainReply, partsOf } from './replies.js';
import { isPlain, RETRY_MS, type Requests } from './requests.js';
import type { LockStore } from './store.js';
import { Waiter } from './waiter.js';

/** A holder that is none of ours tells nobody when it lets go: so often it is looked at. */
const STRANGER_LOOK_MS = 300;
/** The book forgets after a minute that somebody waits: so often every line says it again. */
const SAY_AGAIN_MS = 20_000;
/**
 * What was granted may be on its way when the wait ends, and a server that took over may grant anew what the last one granted just
 * before: so many waits that are over are remembered.
 */
const REMEMBERED = 4_096;

export type GiveBack = (claim: Claim, fence: string) => void;

/**
 * Where this process waits for its claims; in a cluster, for those of one slot. The queues are in Redis; here is who is told
 * when Redis grants a claim: by the reply to a release of this process, or by a message to its channel. A message is a hint:
 * what it says is true when it was sent, and whoever has left since gives the claim back.
 */
export class WaitingRoom {
  readonly #channel: GrantChannel;
  readonly #store: LockStore;
  readonly #requests: Requests;
  readonly #giveBack: GiveBack;
  readonly #waiters = new Map<string, Waiter>();
  readonly #ended = new BoundedMap<string, Waiter>(REMEMBERED);
  readonly #lines = new Lines((first) => void this.#ask(first));
  readonly #patience = new Patience();
  readonly #pacing = new LeavePacing();
  /** The first request for a claim on one key, and for others: each is made by a script of its own. */
  readonly #firstRequests = new Map<boolean, Promise<unknown>>();
  /** Those whose time is over, in this turn of the event loop. */
  #givingUp: Waiter[] = [];
  #nextId = 0;
  #askingAll: NodeJS.Timeout | undefined;

  /** `tag`: that of the slot, `''` where there are none. */
  constructor(store: LockStore, requests: Requests, giveBack: GiveBack, tag: string) {
    this.#store = store;
    this.#requests = requests;
    this.#giveBack = giveBack;
    this.#channel = new GrantChannel(store, requests.channel(tag), tag !== '', {
      message: (message) => this.#onMessage(message),
      // Messages were lost, and a claim that was granted to nobody was passed over.
      resubscribe: () => this.#askAll(),
    });
  }

  /** Whether a claim is to be queued at once: messages arrive already, or others of this process wait there until they do. */
  queues(claim: Claim): boolean {
    return this.#channel.isOpen || this.#lines.has(claim);
  }

  /**
   * Waits in the queue until the claim is granted or `waitMs` are over (`Infinity`: never).
   *
   * @returns `undefined` if it was not granted in time.
   * @throws {AbortError} when `signal` aborts. {@link ReplyError} if Redis refuses. Another error if Redis did not answer to the end.
   */
  wait(claim: Claim, waitMs: number, signal: AbortSignal | undefined): Promise<Held | undefined> {
    // The channel, and the timers of a line, serve others too, and those who have waited are remembered for long.
    return this.#store.inBackground(() => this.#wait(claim, waitMs, signal));
  }

  #wait(claim: Claim, waitMs: number, signal: AbortSignal | undefined): Promise<Held | undefined> {
    const id = String(this.#nextId++);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(aborted(signal));
      const waiter = new Waiter(id, claim, this.#lines.of(claim), (outcome) => {
        clearTimeout(timer);
        stop?.();
        this.#forget(waiter);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      });
      let timer: NodeJS.Timeout | undefined;
      const giveUpAt = performance.now() + waitMs;
      const watch = () => {
        timer = startTimer(
          () => (performance.now() < giveUpAt ? watch() : this.#giveUpSoon(waiter)),
          timerMs(giveUpAt),
        );
      };
      if (giveUpAt !== Number.POSITIVE_INFINITY) watch();
      const stop =
        signal &&
        whenAborted(signal, () => {
          waiter.end(aborted(signal));
          waiter.leaving = this.#store.inBackground(() => this.#leave(waiter));
        });
      this.#channel.use();
      this.#waiters.set(id, waiter);
      waiter.line.waiters.add(waiter);
      void this.#ask(waiter);
    });
  }

  /** Tells the waiters of this process that a reply granted their claims; the request was sent at `sentAt`. */
  deliver(grants: readonly Grant[], serverUs: string, sentAt: number): void {
    for (const [id, fence] of grants) this.#grant(id, fence, serverUs, sentAt);
  }

  /** A reply was lost that may have told waiters of this process of their grants: all ask again. */
  askAllSoon(): void {
    if (this.#waiters.size === 0) return;
    this.#askingAll ??= this.#store.inBackground(() => startTimer(() => this.#askAll(), RETRY_MS).unref());
  }

  /** Ends every wait: the pool begins to close. */
  close(): void {
    const { code } = this.#store.getPoolConfig();
    for (const waiter of [...this.#waiters.values()]) {
      waiter.end(new ClosedError(`Pool ${code} was closed during the wait for a lock`));
    }
  }

  #askAll(): void {
    clearTimeout(this.#askingAll);
    this.#askingAll = undefined;
    for (const waiter of this.#waiters.values()) void this.#ask(waiter);
  }

  #onMessage(message: string): void {
    const [id, fence, serverUs] = partsOf(message);
    const waiter = this.#waiters.get(id);
    if (fence) this.#grant(id, fence, serverUs);
    // The holder's time is over sooner than it seemed, or this one was passed over.
    else if (waiter) this.#lines.look(waiter.line, 0);
  }

  #grant(id: string, fence: string, serverUs: string, notBefore?: number): void {
    const waiter = this.#waiters.get(id);
    const ended = this.#ended.get(id);
    if (waiter) waiter.grant(fence, serverUs, notBefore);
    // What comes to one who does not wait any more would be held for nobody until its TTL is over.
    else if (ended && ended.fence !== fence) this.#giveBack(ended.claim, fence);
  }

  // One request at a time: of two, sent on in a cluster or over two lanes, the second may come first, and the claim be queued twice.
  async #ask(waiter: Waiter): Promise<void> {
    waiter.toAsk = true;
    if (waiter.asking) return;
    waiter.asking = true;
    while (waiter.toAsk && !waiter.over && !waiter.leaving) {
      waiter.toAsk = false;
      await this.#askNow(waiter);
    }
    waiter.asking = false;
    // It is over, or leaves: there was reason for another of its line to ask.
    if (waiter.toAsk) this.#lines.look(waiter.line, 0);
  }

  async #askNow(waiter: Waiter): Promise<void> {
    try {
      // Before the claim is queued, or its grant would reach nobody.
      await this.#channel.open();
    } catch (error) {
      return this.#failed(waiter, error as Error);
    }
    // The server does not know the script before the first request, and what is sent meanwhile would be sent again, in another order.
    const first = this.#firstRequests.get(isPlain(waiter.claim));
    if (first) await first;
    if (waiter.over || waiter.leaving) return this.#lines.look(waiter.line, 0);
    let grantedNow = false;
    let leftOver = false;
    try {
      const sentAt = performance.now();
      const again = waiter.askedAt !== undefined;
      waiter.askedAt ??= sentAt;
      const reply = await this.#request(waiter, again);
      this.#patience.heard();
      if (typeof reply !== 'string') this.deliver(reply[4], reply[3], sentAt);
      waiter.trouble = undefined;
      if (waiter.line.troubled || (again && isForgotten(reply))) this.#askOthers(waiter);
      if (typeof reply === 'string' || reply[0] === 1) {
        grantedNow = this.#give(waiter, heldBy(reply, sentAt, waiter.claim.ttlMs) as Held, typeof reply === 'string');
        // Its place in the queue, if Redis had forgotten that anybody waits.
        leftOver = again && typeof reply === 'string';
        this.#lines.look(waiter.line, Math.min(SAY_AGAIN_MS, waiter.claim.ttlMs + 1));
      } else {
        const [, lookMs, foreign, serverUs] = reply;
        waiter.synchronise(sentAt, Number(serverUs));
        const atMostMs = foreign === 1 || lookMs < 0 ? STRANGER_LOOK_MS : SAY_AGAIN_MS;
        this.#lines.look(waiter.line, lookMs < 0 ? atMostMs : Math.min(atMostMs, lookMs + 1));
      }
    } catch (error) {
      this.#failed(waiter, error as Error);
    }
    // Redis may have heard what ended the wait, and even the release, before it heard this.
    const late = (waiter.over || waiter.leaving) && !grantedNow;
    if (late || leftOver) void this.#leave(waiter);
  }

  #request({ claim, id }: Waiter, again: boolean): Promise<ObtainReply> {
    const request = this.#requests.obtainOrWait(claim, id, again);
    const kind = isPlain(claim);
    if (!this.#firstRequests.has(kind)) this.#firstRequests.set(kind, request.then(ignore, ignore));
    return request;
  }

  // What a reply says is its waiter's, or nobody's, if another came before. But for what is held under a token that the caller
  // has chosen, and was not taken just now: that may be his by another call.
  #give(waiter: Waiter, held: Held, taken: boolean): boolean {
    if (waiter.end(held)) return true;
    if (held.fence !== waiter.fence && (taken || waiter.claim.drawn)) this.#giveBack(waiter.claim, held.fence);
    return false;
  }

  // Only the first of a line asks while Redis is away, and those behind it have lost their places with its data, or have none yet.
  #askOthers(first: Waiter): void {
    const { line } = first;
    line.troubled = false;
    for (const waiter of line.waiters) if (waiter !== first) void this.#ask(waiter);
  }

  #failed(waiter: Waiter, error: Error): void {
    if (isUnavailable(error) && !(error instanceof ReplyError && error.replyCode === 'READONLY')) {
      // The wait goes on, and its end tells whether Redis came back.
      waiter.trouble = error;
      waiter.line.troubled = true;
      this.#lines.look(waiter.line, RETRY_MS);
    } else {
      waiter.end(error);
      this.askAllSoon();
    }
  }

  // Each timer ends a turn of its own, and all whose time is over now are to leave together.
  #giveUpSoon(waiter: Waiter): void {
    if (this.#givingUp.push(waiter) > 1) return;
    setImmediate(() => {
      const all = this.#givingUp;
      this.#givingUp = [];
      for (const each of all) if (!each.over) this.#giveUp(each);
    });
  }

  #giveUp(waiter: Waiter): void {
    const { claim } = waiter;
    const stop = this.#patience.watch(() => waiter.end(waiter.trouble));
    waiter.leaving = this.#send(waiter, claim.drawn ? 'take' : 'free').then(
      ({ reply, sentAt }) => {
        stop();
        this.#patience.heard();
        this.deliver(reply[2], reply[1], sentAt);
        if (reply[0] === 2) this.#give(waiter, { fence: reply[3], expiresAt: sentAt + reply[4] }, !claim.drawn);
        else waiter.end(waiter.trouble);
      },
      (error: Error) => {
        stop();
        waiter.end(error);
        this.#leaveLater(waiter, error);
      },
    );
  }

  // Out of the queue, and back with what it may have been granted, but for that with which it ended. A token that the caller has
  // chosen may be used again, and what it holds then is not to be given back: what is granted late is known by its fence.
  async #leave(waiter: Waiter): Promise<void> {
    await waiter.leaving;
    const { claim, fence } = waiter;
    try {
      const { reply, sentAt } = await this.#send(waiter, claim.drawn ? (fence ?? '') : 'all');
      this.deliver(reply[2], reply[1], sentAt);
    } catch (error) {
      this.#leaveLater(waiter, error as Error);
    }
  }

  #send({ claim, id }: Waiter, keep: string): Promise<{ reply: LeaveReply; sentAt: number }> {
    return this.#pacing.run(async () => {
      const sentAt = performance.now();
      return { reply: await this.#requests.leave(claim, id, keep), sentAt };
    });
  }

  // Until it has left it may be granted its claim, and all who come behind it would wait for nobody.
  #leaveLater(waiter: Waiter, error: Error): void {
    log.lock('cannot leave a queue: %s', error.message);
    // What was granted before it failed, others of this process were not told.
    this.askAllSoon();
    if (!isUnavailable(error)) return;
    startTimer(() => void this.#leave(waiter), RETRY_MS).unref();
  }

  #forget(waiter: Waiter): void {
    this.#waiters.delete(waiter.id);
    this.#ended.set(waiter.id, waiter);
    if (this.#waiters.size === 0) this.#channel.rest();
    this.#lines.leave(waiter);
  }
}

/** Whether the reply to a claim that had asked before says that Redis did not know of it. */
function isForgotten(reply: ObtainReply): boolean {
  return typeof reply === 'string' || (reply[0] === 0 && reply[5] === 1);
}

function ignore(): void {}
