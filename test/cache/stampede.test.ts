import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Registry } from '../../src/index.js';
import { engineOn, failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { startGate } from './gate.js';
import { cacheOn, expectBetween, heldLoader, localCacheOn, newName, poolOn, warm } from './support.js';
import { startWorker, type Worker } from './workers.js';

const server = useRedis();
const PREFIX = 'stampede';
const LOAD_MS = 150;

const cleanings: (() => Promise<void>)[] = [];
const later = (clean: () => Promise<void>) => void cleanings.push(clean);
afterAll(() => Promise.all(cleanings.map((clean) => clean())));

/** What became of those who waited for a load of a process that was killed. It takes a while, in which the other tests run. */
let takenOver: Promise<{ values: unknown[]; ms: number; loads: number }>;
beforeAll(async () => {
  const doomed = await startWorker(server(), { prefix: 'killed' }, later);
  const engine = new Registry().registerRedis(server().address).validate();
  later(() => engine.close({ timeout: 0 }));
  const cache = engine.getRedis().getCache({ prefix: 'killed' });
  const loading = doomed.loading();
  void doomed.ask({ do: 'getOrSet', key: 'k', callers: 10, load: { ms: 60_000 }, options: { lock: true } });
  await loading;
  const calls = [1, 2, 3].map(() => cache.getOrSet('k', () => 'mine', { lock: true }));
  await sleep(50);
  await doomed.kill();
  const killedAt = performance.now();
  takenOver = Promise.all(calls).then((values) => {
    return { values, ms: performance.now() - killedAt, loads: cache.stats().loads };
  });
  takenOver.catch(() => undefined);
});

describe('4 processes', () => {
  let workers: Worker[] = [];
  beforeAll(async () => {
    const options = [{}, {}, { local: true }, { local: true }];
    workers = await Promise.all(
      options.map((option) => startWorker(server(), { prefix: PREFIX, ttl: '1m', ...option }, later)),
    );
  });

  async function stampede(callers: number, lock: boolean, load: { value?: unknown; error?: string; ms: number }) {
    const key = newName('key');
    const startedAt = performance.timeOrigin + performance.now();
    const replies = await Promise.all(
      workers.map((worker) => worker.ask({ do: 'getOrSet', key, callers, load, options: { lock } })),
    );
    return {
      key,
      loads: replies.map(({ loads }) => loads ?? 0),
      values: replies.map(({ values }) => values),
      errors: replies.map(({ errors }) => errors),
      ms: Math.max(...replies.map(({ at }) => (at ?? 0) - startedAt)),
    };
  }

  const sum = (loads: number[]) => loads.reduce((all, n) => all + n, 0);

  test('with 1,000 callers load once with lock, and nobody waits for much longer than one load', async () => {
    let slowest = 0;
    for (let round = 0; round < 4; round++) {
      const { loads, values, errors, ms } = await stampede(250, true, { value: 'v', ms: LOAD_MS });
      expect(sum(loads)).toBe(1);
      expect(values).toEqual([['v'], ['v'], ['v'], ['v']]);
      expect(errors).toEqual([[], [], [], []]);
      slowest = Math.max(slowest, ms);
    }
    console.log(
      `1,000 callers in 4 processes: the last had its value ${(slowest - LOAD_MS).toFixed(1)} ms after one load`,
    );
    expect(slowest).toBeLessThan(LOAD_MS + 1_000);
  });

  test('each with 1,000 callers load once with lock', async () => {
    const { loads } = await stampede(1_000, true, { value: 'v', ms: LOAD_MS });
    expect(sum(loads)).toBe(1);
  });

  test('load once each without lock', async () => {
    const { loads, values } = await stampede(1_000, false, { value: 'v', ms: LOAD_MS });
    expect(loads).toEqual([1, 1, 1, 1]);
    expect(values).toEqual([['v'], ['v'], ['v'], ['v']]);
  });

  test('load once with lock if the value is null', async () => {
    const { loads, values } = await stampede(250, true, { value: null, ms: LOAD_MS });
    expect(sum(loads)).toBe(1);
    expect(values).toEqual([[null], [null], [null], [null]]);
  });

  test('load one after the other if the loader fails under the lock, and each has its own error', async () => {
    const { loads, errors, values, ms } = await stampede(100, true, { error: 'no', ms: 50 });
    expect(loads).toEqual([1, 1, 1, 1]);
    expect(errors).toEqual([['Error: no'], ['Error: no'], ['Error: no'], ['Error: no']]);
    expect(values).toEqual([[], [], [], []]);
    expect(ms).toBeGreaterThan(4 * 50 - 5);
  });

  test('load one after the other if the loader gives nothing under the lock', async () => {
    const { loads, errors } = await stampede(100, true, { ms: 10 });
    expect(loads).toEqual([1, 1, 1, 1]);
    expect(errors).toEqual([[], [], [], []]);
  });

  test('see what another wrote, and what another removed by a tag', async () => {
    const [one, , two, three] = workers as [Worker, Worker, Worker, Worker];
    const read = async (worker: Worker, key: string) => (await worker.ask({ do: 'get', key })).values?.[0];
    for (let round = 0; round < 20; round++) {
      const writer = round % 2 ? one : two;
      await writer.ask({ do: 'put', key: 'shared', value: `v${round}`, options: { tags: ['t'], ttl: 60_000 } });
      expect(await read(writer, 'shared')).toBe(`v${round}`);
      await eventually(async () => (await read(three, 'shared')) === `v${round}`);
      expect(await read(three, 'shared')).toBe(`v${round}`);
      expect(await read(three, 'shared')).toBe(`v${round}`);
      await (round % 2 ? two : one).ask({ do: 'removeByTag', tag: 't' });
      expect(await read(round % 2 ? two : one, 'shared')).toBeUndefined();
      await eventually(async () => (await read(three, 'shared')) === undefined);
    }
    const { stats } = await three.ask({ do: 'stats' });
    expect(stats?.localHits).toBeGreaterThan(0);
  });
});

describe('the round trips of 1,000 callers in 4 processes', () => {
  /** A command: when it was called, and when it was answered. */
  type Sent = readonly [calledAt: number, answeredAt: number];

  function startProcess(prefix: string) {
    const engine = engineOn(server().address);
    const sent: Sent[] = [];
    engine.registerQueryLogger(({ operation, durationUs }) => {
      const now = performance.now();
      if (operation !== 'PING') sent.push([now - durationUs / 1000, now]);
    });
    const pool = engine.getRedis();
    return { pool, cache: pool.getCache<string>({ prefix, ttl: '1m' }), sent };
  }

  /** How many round trips these took: as many as were called one after the answer of the other. */
  function roundTrips(sent: readonly Sent[]): number {
    let count = 0;
    let last = 0;
    for (const [calledAt, answeredAt] of [...sent].sort((a, b) => a[1] - b[1])) {
      if (calledAt < last) continue;
      count++;
      last = answeredAt;
    }
    return count;
  }

  test('are two before the load, and two after it: storing tells the others, and they read', async () => {
    const prefix = newName();
    const processes = [1, 2, 3, 4].map(() => startProcess(prefix));
    const stampede = (key: string, load: () => Promise<string>) =>
      processes.map(async ({ cache }) => {
        const calls = Array.from({ length: 250 }, () => cache.getOrSet(key, load, { lock: true }));
        return new Set(await Promise.all(calls));
      });
    // Whoever has waited once has its subscription, and the server knows the scripts.
    const locker = poolOn(server()).getLocker();
    const lock = await locker.readWriteLock(`lagoon:load:${prefix}#warm`).obtainWrite('10s');
    const warming = stampede('warm', () => sleep(1, 'v'));
    const waiting = async () => Number(await server().cli('LLEN', `lagoon:locks:lagoon:load:${prefix}#warm`));
    await eventually(async () => expect(await waiting()).toBe(4));
    await lock?.release();
    await Promise.all(warming);
    const loadsBefore = processes.map(({ cache }) => cache.stats().loads);
    // What was sent before it is answered before it.
    const allAnswered = () => Promise.all(processes.map(({ pool }) => pool.ping()));
    const gone = (key: string) => async () =>
      expect(await server().cli('EXISTS', `lagoon:load:${prefix}#${key}`)).toBe(0);
    await eventually(gone('warm'));
    await allAnswered();
    for (const { sent } of processes) sent.length = 0;

    const loader = heldLoader<string>();
    const asking = stampede('k', loader.load);
    await loader.began;
    await eventually(() => expect(processes.filter(({ sent }) => roundTrips(sent) === 3)).toHaveLength(3));
    const endedAt = performance.now();
    loader.give('v');
    expect(await Promise.all(asking)).toEqual(Array.from({ length: 4 }, () => new Set(['v'])));
    await eventually(gone('k'));
    await allAnswered();

    expect(loader.calls).toBe(1);
    for (const [i, { cache, sent }] of processes.entries()) {
      const loads = cache.stats().loads - (loadsBefore[i] ?? 0);
      const before = sent.filter(([calledAt]) => calledAt < endedAt);
      const after = sent.filter(([calledAt]) => calledAt >= endedAt);
      // The third is the place among those who wait, taken while the other loads.
      expect(roundTrips(before)).toBe(loads === 1 ? 2 : 3);
      expect(roundTrips(after)).toBe(1);
      // Read, try to lock and read; then store and give back, or wait, give back and read.
      expect(sent).toHaveLength(loads === 1 ? 5 : 6);
    }
  });
});

describe('the lock of a load', () => {
  test.each(['v', 0, '', false, null])('is given back unused by whoever finds %j behind it', async (value) => {
    const gate = await startGate(server());
    const slow = cacheOn(gate);
    const quick = cacheOn(server(), { prefix: slow.prefix });
    await slow.cache.has('connected');
    // It has read that there is nothing, but goes on only when another has loaded.
    const locking = gate.holdCommand('EVALSHA');
    const both = slow.cache.getOrSet<unknown>('k', () => 'twice', { lock: true });
    await locking.reached;
    expect(await quick.cache.getOrSet('k', () => value, { lock: true })).toBe(value);
    locking.release();
    expect(await both).toBe(value);
    expect(slow.cache.stats().loads).toBe(0);
  });

  test('is not waited for by those whose signal aborts', async () => {
    const one = cacheOn(server());
    const two = cacheOn(server(), { prefix: one.prefix });
    const loader = heldLoader<string>();
    const loading = one.cache.getOrSet('k', loader.load, { lock: true });
    await loader.began;
    const abort = new AbortController();
    const waiting = failure(two.cache.getOrSet('k', () => 'never', { lock: true, signal: abort.signal }));
    await sleep(20);
    abort.abort();
    expect(await waiting).toMatchObject({ code: 'ABORT_ERR' });
    loader.give('v');
    expect(await loading).toBe('v');
    expect(two.cache.stats().loads).toBe(0);
    expect(await two.cache.getOrSet('k', () => 'never', { lock: true })).toBe('v');
  });

  test('is kept for as long as the loader runs, and free after it', async () => {
    const { cache, pool, prefix } = cacheOn(server());
    await cache.getOrSet('k', () => 'v', { lock: true });
    const left = await pool.keys(`*lagoon:load:${prefix}*`);
    for (const key of left) expect(await pool.type(key)).not.toBe('string');
    await cache.remove('k');
    const from = performance.now();
    expect(await cache.getOrSet('k', () => 'w', { lock: true })).toBe('w');
    expectBetween(performance.now() - from, 0, 1_000);
  });

  test('works beside a local tier on both sides', async () => {
    const one = await localCacheOn(server());
    const two = await localCacheOn(server(), { prefix: one.prefix });
    for (let i = 0; i < 20; i++) {
      const key = `k${i}`;
      const load = () => sleep(3, i);
      const calls = [one, two, one, two].map(({ cache }) => cache.getOrSet(key, load, { lock: true }));
      expect(await Promise.all(calls)).toEqual([i, i, i, i]);
      await warm(one.cache, key);
      await warm(two.cache, key);
    }
    expect(one.cache.stats().loads + two.cache.stats().loads).toBe(20);
  });

  test('of a process that was killed is taken over within its TTL', async () => {
    const { values, ms, loads } = await takenOver;
    console.log(`the lock of a killed process was taken over after ${(ms / 1000).toFixed(1)} s`);
    expect(values).toEqual(['mine', 'mine', 'mine']);
    expect(loads).toBe(1);
    expect(ms).toBeLessThan(11_500);
  });
});

test('a lock is given back if what it guards cannot be read', async () => {
  const gate = await startGate(server());
  const { cache, name } = cacheOn(gate);
  await cache.getOrSet('warm', () => 1, { lock: true });
  const lockKey = `lagoon:load:${name('k')}`;
  const asking = gate.holdCommand('EVALSHA', lockKey);
  const failed = failure(cache.getOrSet('k', () => 'loaded', { lock: true }));
  await asking.reached;
  await server().cli('RPUSH', name('k'), 'of another type');
  asking.release();
  expect((await failed)?.message).toMatch(/^WRONGTYPE/);
  await eventually(async () => expect(await server().cli('EXISTS', lockKey)).toBe(0));
});
