import { BoundedMap } from '../bounded-map.js';
import { type Duration, positiveMs } from '../duration.js';
import { RateLimiter } from './limiter.js';
import type { LimitStore } from './store.js';

/** So many pairs of period and limit are remembered at most: one that is made anew only has to learn of denials again. */
const MOST = 1_000;

/** What `rateLimit` asks: a sliding window for every period and limit that it is called with. */
export class RateLimits {
  readonly #store: LimitStore;
  readonly #limiters = new BoundedMap<string, RateLimiter>(MOST);

  constructor(store: LimitStore) {
    this.#store = store;
  }

  async allow(key: string, period: Duration, limit: number): Promise<boolean> {
    return (await this.#limiter(period, limit).consume(key)).allowed;
  }

  #limiter(period: Duration, limit: number): RateLimiter {
    const name = `${period} ${limit}`;
    let limiter = this.#limiters.get(name);
    if (!limiter) {
      limiter = new RateLimiter(this.#store, { period: positiveMs(period, 'period'), limit });
      this.#limiters.set(name, limiter);
    }
    return limiter;
  }
}
