import { describe, expect, test } from 'vitest';
import { check, type Promised } from './check.js';
import type { Access, Attempt, Fault, FaultKind, History, StoreEntry } from './history.js';

const ALLOWANCES = { settleMs: 100, recoveryMs: 50, idleMs: 200 };

let next = 0;

/** An attempt that was asked for and granted at the times given, and held until the third. */
function granted(askedAt: number, endedAt: number, heldUntil: number, rest: Partial<Attempt> = {}): Attempt {
  const id = `op${next++}`;
  const own = { id, worker: 'w1', keys: ['a'], waitMs: 500, ttlMs: 300, fence: 1_000 + endedAt };
  return { ...own, outcome: 'granted', askedAt, endedAt, heldUntil, ...rest };
}

/** One that was not granted. */
function denied(askedAt: number, endedAt: number, rest: Partial<Attempt> = {}): Attempt {
  const own = { id: `op${next++}`, worker: 'w1', keys: ['a'], waitMs: endedAt - askedAt, ttlMs: 300 };
  return { ...own, outcome: 'null', askedAt, endedAt, ...rest };
}

function entry(attempt: string, kind: StoreEntry['kind'], fence: number, value: number, accepted = true): StoreEntry {
  return { attempt, resource: 'a', kind, fence, value, accepted };
}

function fault(kind: FaultKind, from: number, to = from, worker?: string): Fault {
  return { kind, from, to, ...(worker && { worker }) };
}

function broken(history: Partial<History>): Promised[] {
  const whole = { attempts: [], accesses: [], store: [], faults: [], ...history };
  return [...new Set(check(whole, ALLOWANCES).map(({ promise }) => promise))];
}

test('a history in which all goes well breaks nothing', () => {
  const first = granted(0, 1, 50, { id: 'first' });
  const second = granted(10, 52, 90, { id: 'second', queuedAt: 12 });
  const third = granted(20, 92, 120, { id: 'third', queuedAt: 22, keys: ['a', 'b'] });
  const store = [
    entry('first', 'read', 1_001, 0),
    entry('first', 'write', 1_001, 1),
    entry('second', 'read', 1_052, 1),
    entry('first', 'write', 1_001, 2, false),
    entry('second', 'write', 1_052, 2),
  ];
  expect(broken({ attempts: [first, second, third, denied(30, 80, { queuedAt: 31 })], store })).toEqual([]);
});

describe('the store', () => {
  test('accepts no fence smaller than one that it has seen', () => {
    const store = [entry('new', 'read', 2, 0), entry('old', 'write', 1, 1)];
    expect(broken({ store })).toEqual(['no stale fence is accepted']);
  });

  test('sees no two holders with one fence', () => {
    const store = [entry('one', 'write', 1, 1), entry('two', 'write', 1, 2)];
    expect(broken({ store })).toEqual(['no stale fence is accepted']);
  });

  test('loses no update', () => {
    const store = [entry('one', 'write', 1, 1), entry('two', 'write', 2, 1)];
    expect(broken({ store })).toEqual(['no update is lost']);
  });

  const access: Access = { attempt: 'x', resource: 'a', kind: 'write', sentAt: 10, answeredAt: 20, accepted: false };

  test('refuses nobody who holds', () => {
    const attempts = [granted(0, 5, 50, { id: 'x' })];
    expect(broken({ attempts, accesses: [access] })).toEqual(['a holder is never refused']);
  });

  test('may refuse who holds no longer, and who was forgotten', () => {
    expect(broken({ attempts: [granted(0, 5, 15, { id: 'x' })], accesses: [access] })).toEqual([]);
    const attempts = [granted(0, 5, 50, { id: 'x' })];
    expect(broken({ attempts, accesses: [access], faults: [fault('flush all', 7)] })).toEqual([]);
    expect(broken({ attempts, accesses: [access], faults: [fault('flush all', -7)] })).not.toEqual([]);
  });
});

describe('no two hold at once', () => {
  const attempts = [granted(0, 1, 50), granted(10, 49, 90)];

  test('on one key', () => {
    expect(broken({ attempts })).toEqual(['no two hold at once']);
  });

  test('or on one of several', () => {
    const several = [granted(0, 1, 50, { keys: ['a', 'b'] }), granted(10, 49, 90, { keys: ['b', 'c'] })];
    expect(broken({ attempts: several })).toEqual(['no two hold at once']);
    const apart = [granted(0, 1, 50, { keys: ['a', 'b'] }), granted(10, 49, 90, { keys: ['c'] })];
    expect(broken({ attempts: apart })).toEqual([]);
  });

  test.each<FaultKind>(['flush all', 'lose server'])('unless %s came between the grants', (kind) => {
    expect(broken({ attempts, faults: [fault(kind, 30)] })).toEqual([]);
    expect(broken({ attempts, faults: [fault(kind, 60)] })).toEqual(['no two hold at once']);
  });

  const others: FaultKind[] = ['freeze server', 'restart server', 'cut commands', 'cut subscribers', 'flush scripts'];
  test.each(others)('%s is no excuse', (kind) => {
    expect(broken({ attempts, faults: [fault(kind, 30)] })).toEqual(['no two hold at once']);
  });
});

describe('fences grow', () => {
  test('with every grant', () => {
    const attempts = [granted(0, 1, 5, { fence: 9 }), granted(10, 11, 15, { fence: 8 })];
    expect(broken({ attempts })).toEqual(['fences grow']);
  });

  test('across FLUSHALL and a restart too', () => {
    const attempts = [granted(0, 1, 5, { fence: 9 }), granted(10, 11, 15, { fence: 8 })];
    expect(broken({ attempts, faults: [fault('flush all', 6), fault('lose server', 7)] })).toEqual(['fences grow']);
  });

  test('and are never given twice', () => {
    const attempts = [granted(0, 15, 16, { fence: 9 }), granted(0, 11, 15, { fence: 9 })];
    expect(broken({ attempts })).toEqual(['fences grow']);
  });

  test('in no order that can be seen from outside for two requests at once, and apart for each key', () => {
    expect(broken({ attempts: [granted(0, 11, 12, { fence: 9 }), granted(5, 15, 16, { fence: 8 })] })).toEqual([]);
    const keys = [granted(0, 1, 5, { fence: 9 }), granted(10, 11, 15, { fence: 8, keys: ['b'] })];
    expect(broken({ attempts: keys })).toEqual([]);
  });
});

describe('every waiter ends in time', () => {
  const { endedAt, outcome, ...endless } = denied(0, 1);

  test('with an outcome', () => {
    expect(broken({ attempts: [endless] })).toEqual(['every waiter ends in time']);
    expect(broken({ attempts: [endless], faults: [fault('kill worker', 5, 5, 'w2')] })).not.toEqual([]);
    expect(broken({ attempts: [endless], faults: [fault('kill worker', 5, 5, 'w1')] })).toEqual([]);
  });

  test('within its waitTimeout, not counting the time that its process was stopped', () => {
    const attempts = [denied(0, 700, { waitMs: 500 })];
    expect(broken({ attempts })).toEqual(['every waiter ends in time']);
    expect(broken({ attempts, faults: [fault('stop worker', 100, 250, 'w2')] })).not.toEqual([]);
    expect(broken({ attempts, faults: [fault('stop worker', 100, 250, 'w1')] })).toEqual([]);
  });

  test('and not before, with null', () => {
    expect(broken({ attempts: [denied(0, 100, { waitMs: 500 })] })).toEqual(['null only when the time is over']);
  });
});

describe('errors only when something is wrong', () => {
  const failed = denied(100, 150, { outcome: 'error', error: 'timeout' });
  const later = granted(100, 110, 120, { laterError: { at: 150, error: 'timeout' } });

  test.each([{ attempt: failed }, { attempt: later }])('%#', ({ attempt }) => {
    expect(broken({ attempts: [attempt] })).toEqual(['errors only when something is wrong']);
    for (const at of [40, 160]) {
      expect(broken({ attempts: [attempt], faults: [fault('freeze server', at)] })).not.toEqual([]);
    }
    expect(broken({ attempts: [attempt], faults: [fault('freeze server', 60)] })).toEqual([]);
    expect(broken({ attempts: [attempt], faults: [fault('stop worker', 120, 130, 'w1')] })).toEqual([]);
    expect(broken({ attempts: [attempt], faults: [fault('stop worker', 120, 130, 'w2')] })).not.toEqual([]);
    expect(broken({ attempts: [attempt], faults: [fault('flush scripts', 120), fault('flush all', 120)] })).not.toEqual(
      [],
    );
  });
});

describe('first in, first out', () => {
  const overtaken = granted(0, 100, 110, { queuedAt: 10 });
  const overtaking = granted(20, 50, 60);

  test('nobody overtakes who was known to be queued', () => {
    expect(broken({ attempts: [overtaken, overtaking] })).toEqual(['first in, first out']);
    expect(broken({ attempts: [overtaken, overtaking], faults: [fault('flush scripts', 30)] })).not.toEqual([]);
  });

  test('two that were under way at once may come in either order', () => {
    expect(broken({ attempts: [overtaken, granted(5, 50, 60)] })).toEqual([]);
  });

  test('on other keys there are other queues', () => {
    expect(broken({ attempts: [overtaken, granted(20, 50, 60, { keys: ['b'] })] })).toEqual([]);
  });

  test('who could not be reached may lose its place', () => {
    for (const excuse of [fault('stop worker', 30, 40, 'w1'), fault('cut subscribers', 30), fault('flush all', 30)]) {
      expect(broken({ attempts: [overtaken, overtaking], faults: [excuse] })).toEqual([]);
    }
    expect(broken({ attempts: [overtaken, overtaking], faults: [fault('stop worker', 30, 40, 'w2')] })).not.toEqual([]);
  });
});

describe('a free lock is handed over', () => {
  const holder = granted(0, 1, 50);
  const waiting = denied(10, 400, { queuedAt: 12 });

  test('while somebody waits', () => {
    expect(broken({ attempts: [holder, waiting] })).toEqual(['a free lock is handed over']);
  });

  test('even if it is handed over in the end', () => {
    expect(broken({ attempts: [holder, granted(10, 400, 410, { queuedAt: 12 })] })).not.toEqual([]);
  });

  test('others hold it meanwhile', () => {
    const others = [granted(45, 60, 220), granted(45, 230, 290)];
    expect(broken({ attempts: [holder, waiting, ...others] })).toEqual([]);
  });

  test('who waits for several keys keeps all of them waiting for one', () => {
    const other = granted(0, 1, 390, { keys: ['b'] });
    const several = denied(5, 400, { keys: ['a', 'b'], queuedAt: 6 });
    expect(broken({ attempts: [holder, other, several, waiting] })).toEqual([]);
    expect(broken({ attempts: [holder, other, waiting] })).toEqual(['a free lock is handed over']);
  });

  test('a fault excuses the time that it takes to recover, and no more', () => {
    expect(broken({ attempts: [holder, waiting], faults: [fault('flush all', 100, 150)] })).toEqual([]);
    const longer = denied(10, 500, { queuedAt: 12 });
    expect(broken({ attempts: [holder, longer], faults: [fault('flush all', 100, 150)] })).not.toEqual([]);
    expect(broken({ attempts: [holder, waiting], faults: [fault('flush scripts', 100, 150)] })).not.toEqual([]);
  });
});
