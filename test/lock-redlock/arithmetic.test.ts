import { describe, expect, test } from 'vitest';
import { count, Quorum, type Tally } from '../../src/lock/redlock/quorum.js';
import { checkedTtl, delayOf, driftMs, expiryOf, tryTimeoutOf } from '../../src/lock/redlock/timing.js';

const tally = (yes: number, no: number): Tally => ({ yes, no, failures: [] });
const timing = {
  retryCount: 3,
  retryDelayMs: 200,
  retryJitterMs: undefined,
  driftFactor: 0.01,
  tryTimeoutMs: undefined,
};

describe('a quorum', () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
    [7, 4],
  ])('of %i pools is %i', (pools, size) => {
    expect(new Quorum(pools).size).toBe(size);
  });

  test('is reached with its size, and refused as soon as the rest cannot make it', () => {
    for (let pools = 1; pools <= 9; pools++) {
      const quorum = new Quorum(pools);
      for (let said = 0; said <= pools; said++) {
        expect(quorum.reached(tally(said, 0))).toBe(said > pools / 2);
        expect(quorum.refused(tally(0, said))).toBe(pools - said <= pools / 2);
      }
    }
  });
});

describe('counting answers', () => {
  const never = () => new Promise<boolean>(() => {});
  const ballots = (...answers: Promise<boolean>[]) => answers.map((answer, i) => ({ pool: `p${i}`, answer }));

  test('ends when it has heard enough, without those who are late', async () => {
    const heard = await count(ballots(Promise.resolve(true), never(), Promise.resolve(true)), ({ yes }) => yes === 2);
    expect(heard).toEqual({ yes: 2, no: 0, failures: [] });
  });

  test('ends when all are heard, enough or not, and says why each one failed', async () => {
    const error = new Error('down');
    const heard = await count(
      ballots(Promise.resolve(false), Promise.reject(error), Promise.resolve(true)),
      () => false,
    );
    expect(heard).toEqual({ yes: 1, no: 1, failures: [{ pool: 'p1', error }] });
  });

  test('waits for all as long as its patience lasts', async () => {
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, 30, true));
    expect((await count(ballots(Promise.resolve(true), late), () => true, 10_000)).yes).toBe(2);
    expect((await count(ballots(Promise.resolve(true), never()), () => true, 5)).yes).toBe(1);
  });
});

describe('time', () => {
  test('the drift is 1% of the ttl and 2 ms, or as the factor says', () => {
    expect(driftMs(10_000, 0.01)).toBe(102);
    expect(driftMs(10_000, 0)).toBe(2);
    expect(driftMs(1_000, 0.5)).toBe(502);
  });

  test('a lock is over a ttl after it was first asked for, less the drift', () => {
    expect(expiryOf(5_000, 10_000, 0.01)).toBe(5_000 + 10_000 - 102);
  });

  test.each([
    [10_000, 100],
    [60_000, 600],
    [1_000, 50],
    [3_600_000, 1_000],
    [60, 30],
    [5, 2],
  ])('a try at a lock of %i ms may take %i ms', (ttlMs, tryMs) => {
    expect(tryTimeoutOf(ttlMs)).toBe(tryMs);
    expect(checkedTtl(ttlMs, timing)).toEqual({ ttlMs, tryTimeoutMs: tryMs });
  });

  test('a delay is a random part of retryDelay, or all of it and a random part of retryJitter', () => {
    expect([0, 0.5, 0.99].map((random) => delayOf(timing, random))).toEqual([0, 100, 198]);
    const jitter = { ...timing, retryJitterMs: 50 };
    expect([0, 0.5, 0.98].map((random) => delayOf(jitter, random))).toEqual([200, 225, 249]);
    const drawn = new Set(Array.from({ length: 20 }, () => delayOf(timing)));
    expect(drawn.size).toBeGreaterThan(1);
  });
});
