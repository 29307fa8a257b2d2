import { Random } from './random.js';

/** How one attempt is made. */
export interface Plan {
  readonly keys: readonly string[];
  readonly how: 'run' | 'plain' | 'renewed';
  readonly ttlMs: number;
  readonly waitMs: number;
  /** When its signal aborts the wait, if it does. */
  readonly abortMs?: number;
  readonly holdMs: number;
  /** Whether it never releases; whoever waits must get it when its time is over. */
  readonly forgets: boolean;
  /** Whether it writes without looking whether it still holds. */
  readonly careless: boolean;
  /** Whether it listens to the lock's signal. */
  readonly watches: boolean;
  readonly pauseMs: number;
}

const MIN_TTL_MS = 300;
const MAX_TTL_MS = 800;

/** There is always somebody who waits for it. */
const HOT = ['a'];
/** Nobody comes by for a while, so that it depends on those who wait that it is noticed when its holder is gone. */
const QUIET = ['d'];

/** Gives one plan after the other, as the seed decides. */
export function planner(seed: number): () => Plan {
  const random = new Random(seed);
  return () => {
    const keys = random.pick([HOT, HOT, HOT, HOT, HOT, ['b'], ['c'], ['b', 'c'], ['c', 'b'], QUIET]);
    const how: Plan['how'] = random.pick(keys.length > 1 ? ['plain', 'renewed'] : ['plain', 'renewed', 'run']);
    return {
      keys,
      how,
      ttlMs: random.between(MIN_TTL_MS, MAX_TTL_MS),
      waitMs: keys === QUIET ? 3_000 : random.pick([0, 30, 300, 1_500, 3_000, 3_000]),
      ...(random.chance(0.1) && { abortMs: random.between(1, 400) }),
      // Some work on beyond their time.
      holdMs: random.chance(0.06) ? random.between(300, 1_000) : random.between(0, 20),
      forgets: how === 'plain' && random.chance(keys === QUIET ? 0.8 : 0.03),
      careless: random.chance(0.4),
      watches: random.chance(0.7),
      pauseMs: random.between(0, 30),
    };
  };
}
