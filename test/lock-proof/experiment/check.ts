import { type Access, type Attempt, EXCUSES, type Fault, type History, type StoreEntry } from './history.js';

/** What the checker allows for. All in ms. */
export interface Allowances {
  /** How long a call may take beyond its `waitTimeout`, with the server away. */
  readonly settleMs: number;
  /** How long what a fault excuses is excused after the fault is undone. */
  readonly recoveryMs: number;
  /** How long a free lock may stay free while somebody waits for it and nothing is wrong. */
  readonly idleMs: number;
}

/** A promise that a history breaks. */
export interface Violation {
  readonly promise: Promised;
  readonly what: string;
}

export type Promised = keyof typeof PROMISES;

/** What is promised, each with what finds the places where a history breaks it. */
const PROMISES = {
  'no stale fence is accepted': staleFences,
  'no update is lost': lostUpdates,
  'a holder is never refused': refusedHolders,
  'no two hold at once': overlaps,
  'fences grow': shrinkingFences,
  'every waiter ends in time': endlessWaits,
  'null only when the time is over': earlyNulls,
  'errors only when something is wrong': needlessErrors,
  'first in, first out': inversions,
  'a free lock is handed over': idleLocks,
};

/** Every place where the history breaks what the locks promise. */
export function check(history: History, allowances: Allowances): Violation[] {
  return (Object.keys(PROMISES) as Promised[]).flatMap((promise) =>
    [...PROMISES[promise](history, allowances)].map((what) => ({ promise, what })),
  );
}

/** The store's own record: what it accepted has a fence no smaller than any that it saw before, and one holder per fence. */
function* staleFences({ store }: History): Iterable<string> {
  const newest = new Map<string, StoreEntry>();
  for (const entry of store) {
    if (!entry.accepted) continue;
    const before = newest.get(entry.resource);
    if (before && (entry.fence < before.fence || (entry.fence === before.fence && entry.attempt !== before.attempt))) {
      yield `the store accepted ${show(entry)} after ${show(before)}`;
    }
    newest.set(entry.resource, entry);
  }
}

/** A holder writes one more than it read: the value is the number of accepted writes, or two of them began from one value. */
function* lostUpdates({ store }: History): Iterable<string> {
  const writes = new Map<string, number>();
  for (const entry of store) {
    if (!entry.accepted || entry.kind !== 'write') continue;
    const count = (writes.get(entry.resource) ?? 0) + 1;
    writes.set(entry.resource, count);
    if (entry.value !== count) yield `${show(entry)} is accepted write number ${count}, and wrote ${entry.value}`;
  }
}

/** Whoever holds the lock while its access is under way has the greatest fence there is, unless the server forgot it. */
function* refusedHolders({ attempts, accesses, faults }: History): Iterable<string> {
  const byId = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  for (const access of accesses) {
    const attempt = byId.get(access.attempt);
    if (access.accepted || !attempt || !isGranted(attempt)) continue;
    const held = access.sentAt >= attempt.endedAt && access.answeredAt <= attempt.heldUntil;
    if (held && !forgotten(faults, attempt.askedAt, access.answeredAt))
      yield `${show(attempt)} held, and ${show(access)}`;
  }
}

/**
 * Excused where the server forgot everything between the two grants (FLUSHALL, a restart without persistence): the second was
 * granted by a server that could not know of the first, and only the fence tells them apart.
 */
function* overlaps({ attempts, faults }: History): Iterable<string> {
  const granted = inTime(attempts);
  for (const [i, first] of granted.entries()) {
    for (let j = i + 1; j < granted.length; j++) {
      const second = granted[j] as Granted;
      if (second.endedAt >= first.heldUntil) break;
      const together = Math.min(first.heldUntil, second.heldUntil) - second.endedAt;
      const excuse = forgotten(faults, Math.min(first.askedAt, second.askedAt), second.endedAt);
      if (together > 0 && shareKey(first, second) && !excuse) {
        yield `${show(first)} and ${show(second)} both held for ${together.toFixed(1)} ms`;
      }
    }
  }
}

/** Across everything: a lock that was asked for after another was granted has a greater fence. */
function* shrinkingFences({ attempts }: History): Iterable<string> {
  const byKey = new Map<string, Granted[]>();
  for (const attempt of attempts.filter(isGranted)) {
    for (const key of attempt.keys) byKey.set(key, [...(byKey.get(key) ?? []), attempt]);
  }
  for (const [key, granted] of byKey) {
    // Walking through requests and grants in time: the greatest fence that was granted before a request was made.
    const asked = [...granted].sort((a, b) => a.askedAt - b.askedAt);
    const ended = [...granted].sort((a, b) => a.endedAt - b.endedAt);
    let greatest: Granted | undefined;
    let i = 0;
    for (const later of asked) {
      for (let next = ended[i]; next && next.endedAt < later.askedAt; next = ended[++i]) {
        if (!greatest || next.fence > greatest.fence) greatest = next;
      }
      if (greatest && later.fence <= greatest.fence) yield `on ${key}: ${show(later)} came after ${show(greatest)}`;
    }
    const seen = new Map<number, Granted>();
    for (const attempt of granted) {
      const twin = seen.get(attempt.fence);
      if (twin) yield `on ${key}: ${show(attempt)} has the fence of ${show(twin)}`;
      seen.set(attempt.fence, attempt);
    }
  }
}

function* endlessWaits({ attempts, faults }: History, { settleMs }: Allowances): Iterable<string> {
  for (const attempt of attempts) {
    if (attempt.endedAt === undefined) {
      const killed = faults.some(({ kind, worker }) => kind === 'kill worker' && worker === attempt.worker);
      if (!killed) yield `${show(attempt)} never ended`;
      continue;
    }
    const stopped = stoppedMs(faults, attempt.worker, attempt.askedAt, attempt.endedAt);
    const took = attempt.endedAt - attempt.askedAt - stopped;
    if (took > attempt.waitMs + settleMs) yield `${show(attempt)} took ${took.toFixed(0)} ms to end`;
  }
}

function* earlyNulls({ attempts }: History): Iterable<string> {
  for (const attempt of attempts) {
    if (attempt.outcome !== 'null' || attempt.endedAt === undefined) continue;
    const took = attempt.endedAt - attempt.askedAt;
    if (took < attempt.waitMs) yield `${show(attempt)} gave up after ${took.toFixed(1)} ms`;
  }
}

function* needlessErrors({ attempts, faults }: History, { recoveryMs }: Allowances): Iterable<string> {
  for (const attempt of attempts) {
    const { worker, askedAt, endedAt = askedAt, laterError } = attempt;
    const failed = attempt.outcome === 'error' ? { at: endedAt, error: attempt.error } : laterError;
    if (failed && !excused('errors', faults, worker, askedAt, failed.at, recoveryMs)) {
      yield `${show(attempt)} failed with ${failed.error}`;
    }
  }
}

/**
 * The queue's order is that in which Redis executed the requests. Of two that were under way at once nobody outside can say
 * which was first; but one that was asked for after another was known to be queued is behind it, and is granted after it.
 */
function* inversions({ attempts, faults }: History, { recoveryMs }: Allowances): Iterable<string> {
  const granted = inTime(attempts);
  for (const first of granted) {
    if (first.queuedAt === undefined) continue;
    if (excused('order', faults, first.worker, first.askedAt, first.endedAt, recoveryMs)) continue;
    for (const second of granted) {
      if (second.askedAt <= first.queuedAt || second.fence >= first.fence || !shareKey(first, second)) continue;
      yield `${show(second)} was asked for after ${show(first)} was queued, and overtook it`;
    }
  }
}

/**
 * While somebody waits in the queue and nothing is wrong, there is no long stretch in which nobody holds: a holder that forgot
 * to release delays the others by its TTL and no more, and whoever lost its place comes back. Who waits for several keys keeps
 * all of them waiting for one, so that keys which are ever asked for together count as one here.
 */
function* idleLocks({ attempts, faults }: History, { recoveryMs, idleMs }: Allowances): Iterable<string> {
  const granted = inTime(attempts);
  const linked = linkedKeys(attempts);
  for (const waiting of attempts) {
    const { queuedAt, endedAt } = waiting;
    const keys = linked(waiting.keys[0]);
    if (queuedAt === undefined || endedAt === undefined || endedAt - queuedAt <= idleMs) continue;
    const holds = granted.filter(
      (other) => other.heldUntil > queuedAt && other.endedAt < endedAt && other.keys.some((key) => keys.has(key)),
    );
    const troubles = faults
      .filter(({ kind }) => EXCUSES[kind].idle)
      .map(({ from, to }) => ({ from, to: to + recoveryMs }));
    const busy = [...holds.map((hold) => ({ from: hold.endedAt, to: hold.heldUntil })), ...troubles];
    const longest = longestGap(busy, queuedAt, endedAt);
    if (longest > idleMs) yield `${show(waiting)} waited for ${longest.toFixed(0)} ms while nobody held`;
  }
}

/** Gives the keys that a key is linked with, itself included: by attempts on several. */
function linkedKeys(attempts: readonly Attempt[]): (key: string | undefined) => ReadonlySet<string> {
  const groups: Set<string>[] = [];
  for (const { keys } of attempts) {
    const touched = groups.filter((group) => keys.some((key) => group.has(key)));
    const [group = new Set<string>(), ...others] = touched;
    if (touched.length === 0) groups.push(group);
    for (const key of [...keys, ...others.flatMap((other) => [...other])]) group.add(key);
    for (const other of others) groups.splice(groups.indexOf(other), 1);
  }
  return (key = '') => groups.find((group) => group.has(key)) ?? new Set();
}

interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** How long the longest part of a stretch is that none of `busy` covers. */
function longestGap(busy: readonly Stretch[], from: number, to: number): number {
  let longest = 0;
  let free = from;
  for (const stretch of [...busy].sort((a, b) => a.from - b.from)) {
    longest = Math.max(longest, Math.min(stretch.from, to) - free);
    free = Math.max(free, stretch.to);
  }
  return Math.max(longest, to - free);
}

type Granted = Attempt & { readonly endedAt: number; readonly fence: number; readonly heldUntil: number };

function isGranted(attempt: Attempt): attempt is Granted {
  return attempt.outcome === 'granted';
}

/** Those that were granted, in the order in which they began to hold. */
function inTime(attempts: readonly Attempt[]): Granted[] {
  return attempts.filter(isGranted).sort((a, b) => a.endedAt - b.endedAt);
}

function shareKey(a: Attempt, b: Attempt): boolean {
  return a.keys.some((key) => b.keys.includes(key));
}

function forgotten(faults: readonly Fault[], from: number, to: number): boolean {
  return faults.some((fault) => EXCUSES[fault.kind].forgets && fault.from <= to && fault.to >= from);
}

function excused(
  what: 'order' | 'errors',
  faults: readonly Fault[],
  worker: string,
  from: number,
  to: number,
  recoveryMs: number,
): boolean {
  return faults.some((fault) => {
    const whose = EXCUSES[fault.kind][what];
    const concerns = whose === 'all' || (whose === 'own' && fault.worker === worker);
    return concerns && fault.from <= to && fault.to + recoveryMs >= from;
  });
}

function stoppedMs(faults: readonly Fault[], worker: string, from: number, to: number): number {
  return faults
    .filter((fault) => fault.kind === 'stop worker' && fault.worker === worker)
    .reduce((sum, fault) => sum + Math.max(0, Math.min(fault.to, to) - Math.max(fault.from, from)), 0);
}

function show(of: Attempt | Access | StoreEntry): string {
  if ('askedAt' in of) {
    const { id, keys, fence, outcome = 'waiting', askedAt, queuedAt, endedAt, heldUntil, waitMs, ttlMs } = of;
    const times = Object.entries({ askedAt, queuedAt, endedAt, heldUntil })
      .flatMap(([name, at]) => (at === undefined ? [] : [`${name} ${at.toFixed(2)}`]))
      .join(', ');
    return `[${id} on ${keys.join('+')}, ${outcome}${fence ? ` ${fence}` : ''}, wait ${waitMs}, ttl ${ttlMs}, ${times}]`;
  }
  const fate = of.accepted ? 'accepted' : 'refused';
  return `[${of.kind} of ${of.resource} by ${of.attempt}${'fence' in of ? ` with ${of.fence}` : ` at ${of.sentAt.toFixed(2)}`}, ${fate}]`;
}
