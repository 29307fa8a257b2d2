import { getEventListeners } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AbortError, type Engine, Registry } from '../../src/index.js';
import { withEither } from '../../src/pool/abort.js';
import { startSentinel } from '../../src/testing/index.js';
import { engineOn, failure } from '../support/engine.js';
import { useRedis } from '../support/redis.js';
import { collectGarbage } from '../support/requests.js';

const server = useRedis();

/** How many bytes of the heap a call of `work` leaves used: the least of some rounds, as the first ones compile code. */
async function leftByEach(calls: number, work: () => Promise<unknown>): Promise<number> {
  const left: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = heapUsed();
    for (let i = 0; i < calls; i++) await work();
    left.push((heapUsed() - before) / calls);
  }
  return Math.min(...left);
}

function heapUsed(): number {
  for (let i = 0; i < 3; i++) collectGarbage();
  return process.memoryUsage().heapUsed;
}

const ROUNDS = 4;
const CALLS = 1_000;
// AbortSignal.any() leaves about 2000.
const FEW_BYTES = 800;

describe('a signal that lives on', () => {
  test('keeps nothing of blocking commands that ran under it', async () => {
    const { signal } = new AbortController();
    const redis = engineOn(server().address).getRedis().withAbortSignal(signal);
    await redis.rPush('signals', ['x', 'y']);
    expect(await leftByEach(CALLS, () => redis.blMove('signals', 'signals', 'LEFT', 'RIGHT', 0))).toBeLessThan(
      FEW_BYTES,
    );
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
  });

  test('nor of commands, transactions, scripts and locks', async () => {
    const { signal } = new AbortController();
    const redis = engineOn(server().address).getRedis();
    const under = redis.withAbortSignal(signal);
    const locker = redis.getLocker();
    const work = async () => {
      await under.isolated((own) => own.get('x'));
      await under.multi().get('x').exec();
      await locker.run('signals:lock', { ttl: '10s', signal }, () => {});
    };
    expect(await leftByEach(500, work)).toBeLessThan(3 * FEW_BYTES);
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
  });

  test('nor of loads that take a lock', async () => {
    const { signal } = new AbortController();
    const cache = engineOn(server().address).getRedis().getCache({ prefix: 'signals' });
    const options = { lock: true, ttl: 1_000, signal };
    const work = async () => {
      await cache.getOrSet('k', () => 'v', options);
      await cache.remove('k');
    };
    expect(await leftByEach(500, work)).toBeLessThan(3 * FEW_BYTES);
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
  });

  test('still ends a blocking command, and so does the close of the engine', async () => {
    const abort = new AbortController();
    const engine = engineOn(server().address);
    const redis = engine.getRedis().withAbortSignal(abort.signal);
    const blocked = redis.blPop('signals:none', 0);
    await redis.ping();
    abort.abort(new Error('enough'));
    expect(await failure(blocked)).toBeInstanceOf(AbortError);
    const again = engine.getRedis().withAbortSignal(new AbortController().signal).blPop('signals:none', 0);
    await engine.getRedis().ping();
    await engine.close({ timeout: 0 });
    expect(await failure(again)).toMatchObject({ code: 'LAGOON_CLOSED' });
  });

  test('of a pool keeps nothing of connections to the master that sentinels name', async () => {
    const group = await startSentinel({ replicas: 0, sentinels: 1 });
    const engine = new Registry().registerRedisSentinel(group.name, group.sentinels).validate() as Engine;
    onTestFinished(async () => {
      await engine.close({ timeout: 0 });
      await group.stop();
    });
    const redis = engine.getRedis();
    // A connection in the state of a subscriber is closed afterwards.
    const connectAnew = () => redis.isolated((own) => own.subscribe('signals', () => {}));
    expect(await leftByEach(100, connectAnew)).toBeLessThan(2_000);
  });
});

describe('work with either of two signals', () => {
  test('is aborted by the first that aborts, with its reason, and before it begins too', async () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const reason = new Error('the second');
    const ended = withEither([one.signal, two.signal], (either) => {
      two.abort(reason);
      one.abort();
      return Promise.resolve([either.aborted, either.reason]);
    });
    expect(await ended).toEqual([true, reason]);
    expect(await withEither([two.signal], async (either) => either.reason)).toBe(reason);
  });

  test('is not aborted after it has ended', async () => {
    const source = new AbortController();
    const either = await withEither([source.signal], async (signal) => signal);
    source.abort();
    expect(either.aborted).toBe(false);
  });
});
