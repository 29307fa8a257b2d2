import { isUnavailable } from '../errors.js';

/** How many requests to leave a queue may be under way: some script calls, behind which other commands do not wait for long. */
const MOST = 512;
/** The same until one was answered: the server may not know the script, and what is sent meanwhile is sent twice. */
const MOST_AT_FIRST = 64;

interface Waiting {
  begin(): void;
  fail(error: Error): void;
}

/** Sends requests to leave a queue a few hundred at a time, in their order, however many waits end together. */
export class LeavePacing {
  #most = MOST_AT_FIRST;
  #underWay = 0;
  readonly #waiting = new Set<Waiting>();

  /** Sends one when it is its turn. It fails together with those under way if Redis cannot be asked. */
  async run<T>(send: () => Promise<T>): Promise<T> {
    if (this.#underWay < this.#most) this.#underWay++;
    else await new Promise<void>((begin, fail) => this.#waiting.add({ begin, fail }));
    try {
      const reply = await send();
      this.#most = MOST;
      return reply;
    } catch (error) {
      if (isUnavailable(error)) this.#failAll(error as Error);
      throw error;
    } finally {
      this.#underWay--;
      this.#next();
    }
  }

  #next(): void {
    for (const next of this.#waiting) {
      if (this.#underWay >= this.#most) return;
      this.#waiting.delete(next);
      this.#underWay++;
      next.begin();
    }
  }

  #failAll(error: Error): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { fail } of waiting) fail(error);
  }
}
