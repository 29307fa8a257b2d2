/*
 * The algorithms, as pure functions of a time: what the scripts do in Redis, for a process that has to do without it, and
 * for the tests to compare with. Times are whole µs.
 */
import type { Quota } from './quota.js';

/** What is remembered of one key and rule. What it means depends on the algorithm. */
export interface State {
  /** Nothing is allowed before. */
  readonly blockedUntil: number;
  /** What is used: calls, or with GCRA units. */
  readonly used: number;
  /** GCRA: the time that `used` is of. Fixed window: when the window began. */
  readonly at: number;
  /** GCRA: what `used` is drained by per µs, as long as the limit stays as it is. */
  readonly drain: number;
  /** Sliding window: what was accepted when, the oldest first. */
  readonly accepted: readonly Accepted[];
}

interface Accepted {
  readonly at: number;
  readonly cost: number;
}

/** How one rule stands after a decision. */
export interface Standing {
  readonly used: number;
  /** µs until the cost asked for may pass; 0 if it could now. Sliding and fixed windows only: GCRA has it in `used`. */
  readonly waitUs: number;
  /** µs until nothing is used. As `waitUs`. */
  readonly resetUs: number;
  /** µs until it is not blocked any more. */
  readonly blockedUs: number;
}

export interface Decision {
  /** How many of the calls were accepted. */
  readonly accepted: number;
  readonly states: readonly State[];
  readonly standings: readonly Standing[];
}

type Algorithms = Readonly<Record<Quota['kind'], Algorithm>>;

interface Algorithm {
  /** The state as it is at a time that is not before any that it knows. */
  advance(state: State, quota: Quota, now: number): State;
  /** Adds what calls use; takes back if `cost` is negative. */
  charge(state: State, quota: Quota, now: number, cost: number): State;
  waitUs(state: State, quota: Quota, now: number, cost: number): number;
  resetUs(state: State, quota: Quota, now: number): number;
}

const EMPTY: State = { blockedUntil: 0, used: 0, at: 0, drain: 0, accepted: [] };
/** Beyond it, whole numbers are not exact. */
const MOST = Number.MAX_SAFE_INTEGER;

const ALGORITHMS: Algorithms = {
  s: {
    advance(state, { periodUs }, now) {
      const accepted = state.accepted.filter(({ at }) => at + periodUs > now);
      return { ...state, accepted, used: sum(accepted) };
    },
    charge(state, _quota, now, cost) {
      const accepted = cost > 0 ? [...state.accepted, { at: now, cost }] : withoutNewest(state.accepted, -cost);
      return { ...state, accepted, used: sum(accepted) };
    },
    waitUs({ accepted, used }, { periodUs, capacity }, now, cost) {
      let excess = used + cost - capacity;
      for (const { at, cost: freed } of accepted) {
        if (excess <= 0) break;
        excess -= freed;
        if (excess <= 0) return at + periodUs - now;
      }
      return 0;
    },
    resetUs: ({ accepted }, { periodUs }, now) => {
      const newest = accepted.at(-1);
      return newest ? newest.at + periodUs - now : 0;
    },
  },
  g: {
    advance(state, { drain }, now) {
      const { at, used } = state;
      const converted = state.drain === drain || used === 0 ? used : Math.ceil((used / state.drain) * drain);
      return { ...state, at: now, drain, used: Math.max(0, converted - (now - at) * drain) };
    },
    charge(state, { unit }, _now, cost) {
      return { ...state, used: Math.min(MOST, Math.max(0, state.used + cost * unit)) };
    },
    waitUs: () => 0,
    resetUs: () => 0,
  },
  f: {
    advance(state, { periodUs }, now) {
      return state.used > 0 && state.at + periodUs > now ? state : { ...state, used: 0, at: now };
    },
    charge(state, _quota, _now, cost) {
      return { ...state, used: Math.min(MOST, Math.max(0, state.used + cost)) };
    },
    waitUs: ({ at, used }, { periodUs, capacity }, now, cost) => (used + cost > capacity ? at + periodUs - now : 0),
    resetUs: ({ at, used }, { periodUs }, now) => (used > 0 ? at + periodUs - now : 0),
  },
};

/** A sliding window of a larger limit remembers moments instead of calls, about twice as many at most. */
const MOST_MOMENTS = 100;

/**
 * The algorithms for a process that cannot afford to remember every call. They differ in the sliding window of more than 100
 * calls: calls of one hundredth of the period count as if they were made with the last of them. That never admits more in any
 * window; a call comes back by up to 1 % of the period later.
 */
export const COARSE: Algorithms = {
  ...ALGORITHMS,
  s: {
    ...ALGORITHMS.s,
    charge(state, quota, now, cost) {
      const { accepted } = state;
      const before = accepted.at(-2);
      const joins =
        before && cost > 0 && quota.capacity > MOST_MOMENTS && now - before.at <= quota.periodUs / MOST_MOMENTS;
      if (!joins) return ALGORITHMS.s.charge(state, quota, now, cost);
      const newest = accepted.at(-1) as Accepted;
      const joined = [...accepted.slice(0, -1), { at: now, cost: newest.cost + cost }];
      return { ...state, accepted: joined, used: state.used + cost };
    },
  },
};

/** How often `cost` fits into what is free. */
export function room({ capacity, unit }: Quota, used: number, cost: number): number {
  return Math.max(0, Math.floor((capacity - used) / (cost * unit)));
}

/** Accepts as many of `count` calls of one cost as all rules have room for, and charges all rules with them. */
export function decide(
  known: readonly (State | undefined)[],
  quotas: readonly Quota[],
  nowUs: number,
  cost: number,
  count: number,
  algorithms: Algorithms = ALGORITHMS,
): Decision {
  const times = quotas.map((quota, i) => latest(known[i], quota, nowUs));
  let states = quotas.map((quota, i) => algorithms[quota.kind].advance(known[i] ?? EMPTY, quota, times[i] as number));
  const rooms = states.map((state, i) => (state.blockedUntil > nowUs ? 0 : room(quotas[i] as Quota, state.used, cost)));
  const accepted = Math.min(count, ...rooms);
  if (accepted > 0)
    states = states.map((state, i) => {
      const quota = quotas[i] as Quota;
      return algorithms[quota.kind].charge(state, quota, times[i] as number, accepted * cost);
    });
  const standings = states.map((state, i) => standing(state, quotas[i] as Quota, times[i] as number, nowUs, cost));
  return { accepted, states, standings };
}

/** Charges (or, if `cost` is negative, gives back) whatever room there is. */
export function adjust(known: State | undefined, quota: Quota, nowUs: number, cost: number): State {
  const now = latest(known, quota, nowUs);
  return charged(algorithm(quota).advance(known ?? EMPTY, quota, now), quota, now, cost);
}

/** Allows nothing for some time. */
export function block(known: State | undefined, quota: Quota, nowUs: number, durationUs: number): State {
  const advanced = algorithm(quota).advance(known ?? EMPTY, quota, latest(known, quota, nowUs));
  return { ...advanced, blockedUntil: nowUs + durationUs };
}

function algorithm({ kind }: Quota): Algorithm {
  return ALGORITHMS[kind];
}

function charged(state: State, quota: Quota, now: number, cost: number): State {
  return algorithm(quota).charge(state, quota, now, cost);
}

function standing(state: State, quota: Quota, now: number, nowUs: number, cost: number): Standing {
  return {
    used: state.used,
    waitUs: algorithm(quota).waitUs(state, quota, now, cost),
    resetUs: algorithm(quota).resetUs(state, quota, now),
    blockedUs: Math.max(0, state.blockedUntil - nowUs),
  };
}

// A server's clock may be set back, or another server may take over: what was accepted stays in its order.
function latest(state: State | undefined, { kind }: Quota, nowUs: number): number {
  const newest = kind === 's' ? state?.accepted.at(-1)?.at : state?.at;
  return Math.max(nowUs, newest ?? 0);
}

function sum(accepted: readonly Accepted[]): number {
  return accepted.reduce((total, { cost }) => total + cost, 0);
}

function withoutNewest(accepted: readonly Accepted[], cost: number): Accepted[] {
  const left = [...accepted];
  let excess = cost;
  while (excess > 0) {
    const newest = left.pop();
    if (!newest) break;
    if (newest.cost > excess) left.push({ at: newest.at, cost: newest.cost - excess });
    excess -= newest.cost;
  }
  return left;
}
