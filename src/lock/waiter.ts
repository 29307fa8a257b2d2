import type { Claim, Held } from './claim.js';
import type { Line } from './lines.js';

/** Granted, not granted in time, or why neither can be said. */
type Outcome = Held | undefined | Error;

/** One claim that waits, in this process. */
export class Waiter {
  readonly id: string;
  readonly claim: Claim;
  readonly line: Line;
  /** When it first asked, on the clock of `performance.now()`. */
  askedAt: number | undefined;
  /** Whether a request for it is under way, and whether there is reason for another. */
  asking = false;
  toAsk = false;
  /** Why Redis could not be asked the last time. */
  trouble: Error | undefined;
  /** Set while and after it leaves the queue of its own accord: it is not asked for any more. */
  leaving: Promise<void> | undefined;
  #settle: ((outcome: Outcome) => void) | undefined;
  #over = false;
  #fence: string | undefined;
  /** A moment on this clock that is not after the same moment, in µs, on the server's. */
  #localMs = 0;
  #serverUs: number | undefined;

  constructor(id: string, claim: Claim, line: Line, settle: (outcome: Outcome) => void) {
    this.id = id;
    this.claim = claim;
    this.line = line;
    this.#settle = settle;
  }

  get over(): boolean {
    return this.#over;
  }

  /** With what it was granted, if it was; what it may be granted besides must be given back. */
  get fence(): string | undefined {
    return this.#fence;
  }

  /** Returns `false` if it was over before. */
  end(outcome: Outcome): boolean {
    if (this.#over) return false;
    this.#over = true;
    if (outcome && !(outcome instanceof Error)) this.#fence = outcome.fence;
    this.#settle?.(outcome);
    // What has ended is remembered, and must not keep the signal and the promise of its caller.
    this.#settle = undefined;
    return true;
  }

  /** Learns that a request sent at `sentAt` was executed when the server's clock showed `serverUs`. */
  synchronise(sentAt: number, serverUs: number): void {
    if (this.#serverUs !== undefined) return;
    this.#localMs = sentAt;
    this.#serverUs = serverUs;
  }

  /** Ends with a grant that the server made when its clock showed `serverUs`, and not before `notBefore` on ours. */
  grant(fence: string, serverUs: string, notBefore = 0): void {
    const since = Math.max(notBefore, this.#sinceServer(Number(serverUs)));
    this.end({ fence, expiresAt: since + this.claim.ttlMs });
  }

  // On our clock, and not too late: the request that is the measure was executed after it was sent. So the time that a
  // message took counts against the lock, however long it took.
  #sinceServer(serverUs: number): number {
    if (this.#serverUs === undefined) return this.askedAt ?? performance.now();
    return Math.min(performance.now(), this.#localMs + (serverUs - this.#serverUs) / 1000);
  }
}
