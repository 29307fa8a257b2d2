/*
 * What an experiment leaves behind: plain data, on one clock, so that the checker is a pure function and can be tried on
 * histories written by hand. Times are ms of the machine's monotonic clock, the same in every process.
 */

/** One call of `obtain` or `run`, and what came of it. */
export interface Attempt {
  /** Its token. */
  readonly id: string;
  readonly worker: string;
  readonly keys: readonly string[];
  readonly waitMs: number;
  readonly ttlMs: number;
  readonly askedAt: number;
  /** When Redis had confirmed that it is queued, for the last time if it had to queue again. */
  readonly queuedAt?: number;
  /** When the call was over; missing if its process was killed before. */
  readonly endedAt?: number;
  readonly outcome?: 'granted' | 'null' | 'error';
  readonly error?: string;
  readonly fence?: number;
  /** When it stopped to hold, as its process saw it: on release, on its deadline, or killed. Present if it was granted. */
  readonly heldUntil?: number;
  /** An error of its release or its renewal. */
  readonly laterError?: { readonly at: number; readonly error: string };
}

/** One access to the guarded store, as its caller saw it. */
export interface Access {
  readonly attempt: string;
  readonly resource: string;
  readonly kind: 'read' | 'write';
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly accepted: boolean;
}

/** One access to the guarded store, as the store recorded it; in the order in which it came there. */
export interface StoreEntry {
  readonly attempt: string;
  readonly resource: string;
  readonly kind: 'read' | 'write';
  readonly fence: number;
  readonly accepted: boolean;
  /** The value after it. */
  readonly value: number;
}

/** What the nemesis can do. */
export type FaultKind =
  | 'stop worker'
  | 'kill worker'
  | 'freeze server'
  | 'restart server'
  | 'lose server'
  | 'cut commands'
  | 'cut subscribers'
  | 'flush scripts'
  | 'flush all';

/** Something that the nemesis did, from before it began until it was undone. */
export interface Fault {
  readonly kind: FaultKind;
  readonly from: number;
  readonly to: number;
  /** The worker it was done to, if it was done to one. */
  readonly worker?: string;
}

export interface History {
  readonly attempts: readonly Attempt[];
  readonly accesses: readonly Access[];
  readonly store: readonly StoreEntry[];
  readonly faults: readonly Fault[];
}

/** Whose calls a fault touches. */
export type Whose = 'none' | 'own' | 'all';

/**
 * What a fault excuses, and nothing else is excused:
 *   forgets  whether the server forgets who holds what: a lock that was granted before may overlap one that was granted after.
 *   order    whose waiters may lose their place, because they cannot be reached when their turn comes or the queue is gone.
 *   errors   whose calls may fail.
 *   idle     whether a lock may stay free while somebody waits, because whoever has it or gets it is dead, stopped, or cannot be
 *            told: until the TTL is over.
 */
export const EXCUSES: Readonly<Record<FaultKind, { forgets: boolean; order: Whose; errors: Whose; idle: boolean }>> = {
  'stop worker': { forgets: false, order: 'own', errors: 'own', idle: true },
  'kill worker': { forgets: false, order: 'own', errors: 'own', idle: true },
  'freeze server': { forgets: false, order: 'all', errors: 'all', idle: true },
  'restart server': { forgets: false, order: 'all', errors: 'all', idle: true },
  'lose server': { forgets: true, order: 'all', errors: 'all', idle: true },
  'cut commands': { forgets: false, order: 'all', errors: 'all', idle: true },
  'cut subscribers': { forgets: false, order: 'all', errors: 'none', idle: true },
  'flush scripts': { forgets: false, order: 'none', errors: 'none', idle: false },
  'flush all': { forgets: true, order: 'all', errors: 'none', idle: true },
};
