import { setTimeout as sleep } from 'node:timers/promises';
import { isUnavailable } from '../../src/errors.js';

/** What can obtain and release: a locker of this process, or a contender. */
export interface Contestant {
  obtain(
    key: string,
    ttl: number,
    waitTimeout: number,
  ): Promise<{ readonly fence: number; release(): Promise<boolean> } | null>;
}

/** One time that somebody held the lock, on the clock of `performance.now()`; `until` is when it began to give it back. */
interface Hold {
  readonly fence: number;
  readonly from: number;
  readonly until: number;
}

/** What the lock of a contest guards: a number, and the greatest fence that has come by. */
class GuardedNumber {
  value = 0;
  /** Accesses with a fence smaller than one seen before. */
  refused = 0;
  written = 0;
  #greatest = 0;

  read(fence: number): number | undefined {
    return this.#accepts(fence) ? this.value : undefined;
  }

  write(fence: number, value: number): void {
    if (!this.#accepts(fence)) return;
    this.value = value;
    this.written++;
  }

  #accepts(fence: number): boolean {
    if (fence < this.#greatest) {
      this.refused++;
      return false;
    }
    this.#greatest = fence;
    return true;
  }
}

/** Callers that obtain, read, write and release without end, from now until `stop()`. */
export class Contest {
  readonly guarded = new GuardedNumber();
  /** In the order in which they began. */
  readonly holds: Hold[] = [];
  /** What somebody failed with that nobody may expect while a master is away. */
  readonly unexpected: Error[] = [];
  failed = 0;
  #stopped = false;
  readonly #loops: Promise<void>[];

  constructor(key: string, contestants: readonly Contestant[], { ttl, wait }: { ttl: number; wait: number }) {
    this.#loops = contestants.map(async (contestant) => {
      while (!this.#stopped) await this.#take(key, contestant, ttl, wait);
    });
  }

  /** Resolves once everybody has ended what he had begun. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  /** Pairs of holds that overlap, though both were within their time. */
  get overlaps(): number {
    return this.holds.filter((hold, i) => i > 0 && hold.from < Math.max(...this.holds.slice(0, i).map(untilOf))).length;
  }

  /** Whether each hold that began after the end of another has the greater fence. */
  get fencesGrow(): boolean {
    return this.holds.every((hold, i) =>
      this.holds.slice(0, i).every((before) => before.until > hold.from || before.fence < hold.fence),
    );
  }

  async #take(key: string, contestant: Contestant, ttl: number, wait: number): Promise<void> {
    const askedAt = performance.now();
    try {
      const lock = await contestant.obtain(key, ttl, wait);
      if (!lock) return;
      const from = performance.now();
      const value = this.guarded.read(lock.fence);
      await sleep(2);
      if (value !== undefined) this.guarded.write(lock.fence, value + 1);
      this.holds.push({ fence: lock.fence, from, until: Math.min(performance.now(), askedAt + wait + ttl) });
      await lock.release();
    } catch (error) {
      this.failed++;
      if (!isFailure(error as Error)) this.unexpected.push(error as Error);
      await sleep(2);
    }
  }
}

function untilOf({ until }: Hold): number {
  return until;
}

/** An error of a master that is away or about to be another; that of a contender has its message only. */
function isFailure(error: Error): boolean {
  return isUnavailable(error) || /Connection|Timeout|READONLY|UNBLOCKED|CLUSTERDOWN|TRYAGAIN/.test(error.message);
}
