import { startTimer } from '../../async/timers.js';
import type { RedlockFailure } from './errors.js';

/** What so many pools answered, and why the others did not. */
export interface Tally {
  readonly yes: number;
  readonly no: number;
  readonly failures: readonly RedlockFailure[];
}

/** More than half of the pools. */
export class Quorum {
  readonly pools: number;
  /** How many it takes. */
  readonly size: number;

  constructor(pools: number) {
    this.pools = pools;
    this.size = Math.floor(pools / 2) + 1;
  }

  reached({ yes }: Tally): boolean {
    return yes >= this.size;
  }

  /** So many said no that the rest cannot make a quorum. A pool that could not be asked has not said no. */
  refused({ no }: Tally): boolean {
    return no > this.pools - this.size;
  }

  decided(tally: Tally): boolean {
    return this.reached(tally) || this.refused(tally);
  }
}

/** What one pool will answer. */
export interface Ballot {
  readonly pool: string;
  readonly answer: Promise<boolean>;
}

/**
 * Counts answers. For `patienceMs` it waits for all of them, and from then on only until it has heard `enough`. Never rejects;
 * answers that come later are nobody's.
 */
export function count(ballots: readonly Ballot[], enough: (tally: Tally) => boolean, patienceMs = 0): Promise<Tally> {
  return new Promise((resolve) => {
    const tally = { yes: 0, no: 0, failures: [] as RedlockFailure[] };
    let patient = patienceMs > 0;
    const timer = patient
      ? startTimer(() => {
          patient = false;
          look();
        }, patienceMs)
      : undefined;
    const look = () => {
      const all = tally.yes + tally.no + tally.failures.length === ballots.length;
      if (!all && (patient || !enough(tally))) return;
      clearTimeout(timer);
      resolve({ ...tally, failures: [...tally.failures] });
    };
    for (const { pool, answer } of ballots) {
      answer
        .then(
          (yes) => void tally[yes ? 'yes' : 'no']++,
          (error) => void tally.failures.push({ pool, error }),
        )
        .then(look);
    }
  });
}
