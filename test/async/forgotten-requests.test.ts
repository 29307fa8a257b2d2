import { describe, expect, onTestFinished, test } from 'vitest';
import { AbortError, type Cache, type Engine, type Lock, Registry } from '../../src/index.js';
import { startCluster } from '../../src/testing/index.js';
import { engineOn, failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { forgottenRequest, withoutRequest } from '../support/requests.js';

const server = useRedis();
const open = () => engineOn(server().address);

// What goes on after the request is asked for outside of it, so that everything that the request began is in use.
describe('what a request had in its async context is forgotten once it has ended, though it was the first to use', () => {
  test('a pool, its connections and its lanes', async () => {
    const redis = open().getRedis();
    await forgottenRequest(async () => {
      await redis.set('forget', 'x');
      await redis.isolated((own) => own.get('forget'));
      await redis.blPop('forget:none', 0.01);
      await redis.multi().get('forget').get('forget').exec();
    });
    expect(await redis.get('forget')).toBe('x');
  });

  test('a lane that is never without a command since', async () => {
    const redis = open().getRedis();
    let busy = true;
    const keepBusy = async () => {
      while (busy) await redis.ping();
    };
    let running: Promise<void>[] = [];
    await forgottenRequest(async () => {
      const mine = redis.ping();
      running = withoutRequest(() => [keepBusy(), keepBusy()]);
      await mine;
    });
    busy = false;
    await Promise.all(running);
  });

  test('the subscriber connection, which others listen on', async () => {
    const redis = open().getRedis();
    let heard = 0;
    await forgottenRequest(async () => {
      const mine = await redis.subscribe('forget:mine', () => {});
      await redis.subscribe('forget:first', () => {}).then((it) => it.unsubscribe());
      await mine.unsubscribe();
    });
    await using _ = await redis.subscribe('forget:theirs', () => heard++);
    await redis.publish('forget:theirs', 'x');
    await eventually(() => heard === 1);
  });

  test('waiting for locks, on which others wait', async () => {
    const locker = open().getRedis().getLocker();
    const held = (await locker.obtain('forget:lock', '1m')) as Lock;
    let theirs: Promise<Lock | null> | undefined;
    await forgottenRequest(async () => {
      expect(await locker.obtain('forget:lock', '1m', 50)).toBeNull();
      const abort = new AbortController();
      const mine = locker.obtain('forget:lock', '1m', '1m', { signal: abort.signal });
      theirs = withoutRequest(() => locker.obtain('forget:lock', '1m', '1m'));
      await eventually(async () => (await locker.inspect('forget:lock')).waiting === 2);
      abort.abort();
      // Vitest would keep a promise that it is given.
      expect(await failure(mine)).toBeInstanceOf(AbortError);
    });
    await held.release();
    expect(await (await theirs)?.release()).toBe(true);
  });

  test('renewal, of which others have need', async () => {
    const locker = open().getRedis().getLocker();
    let theirs: Promise<Lock | null> | undefined;
    await forgottenRequest(async () => {
      const options = { autoRenew: true };
      const lock = (await locker.obtain('forget:mine', 300, 0, options)) as Lock;
      theirs = withoutRequest(() => locker.obtain('forget:renewed', 300, 0, options));
      const until = lock.expiresAt;
      await eventually(() => lock.expiresAt > until);
      expect(lock.signal.aborted).toBe(false);
      await lock.release();
      await locker.run('forget:run', { ttl: 300 }, () => {});
    });
    const lock = await theirs;
    expect(lock?.held).toBe(true);
    expect(await lock?.release()).toBe(true);
  });

  test('a cache with a local tier that it has made', async () => {
    const redis = open().getRedis();
    let cache: Cache | undefined;
    await forgottenRequest(async () => {
      const mine = redis.getCache({ prefix: 'forget', local: true });
      cache = mine;
      await mine.getOrSet('k', () => 'v');
      await eventually(async () => (await mine.get('k')) === 'v' && mine.stats().items === 1);
    });
    expect(await cache?.get('k')).toBe('v');
    expect(cache?.stats().localHits).toBeGreaterThan(0);
  });

  test('a limiter that it has made, whose denials are remembered', async () => {
    const redis = open().getRedis();
    const limiter = redis.getRateLimiter({ limit: 1, period: 100 });
    await forgottenRequest(async () => {
      expect((await limiter.consume('k')).allowed).toBe(true);
      expect((await limiter.consume('k')).allowed).toBe(false);
      expect((await limiter.consume('k')).allowed).toBe(false);
      await limiter.wait('k');
      await redis.rateLimit('forget:limit', '1m', 5);
    });
    expect((await limiter.consume('other')).allowed).toBe(true);
  });

  test('a Redlock that it has made', async () => {
    const engine = open();
    const redlock = engine.getRedlock(['default']);
    let theirs: ReturnType<typeof redlock.lock> | undefined;
    await forgottenRequest(async () => {
      const lock = await redlock.lock('forget:redlock', '1m');
      theirs = withoutRequest(() => redlock.lock('forget:theirs', '1m'));
      await lock.release();
    });
    expect(await (await theirs)?.release()).toBe(true);
  });

  test('a cluster, its view, its subscriptions and its locks', async () => {
    const cluster = await startCluster({ replicasPerMaster: 0 });
    const engine = new Registry().registerRedisCluster(cluster.addresses).validate() as Engine;
    onTestFinished(async () => {
      await engine.close({ timeout: 0 });
      await cluster.stop();
    });
    const redis = engine.getRedis();
    const locker = redis.getLocker();
    await forgottenRequest(async () => {
      await redis.set('forget', 'x');
      const mine = await Promise.all([redis.sSubscribe('forget:s', () => {}), redis.subscribe('forget:c', () => {})]);
      await Promise.all(mine.map((it) => it.unsubscribe()));
      const held = await locker.obtain('forget:lock', '1m');
      expect(await locker.obtain('forget:lock', '1m', 20)).toBeNull();
      await held?.release();
      const cache = redis.getCache({ prefix: 'forget', local: true });
      await cache.getOrSet('k', () => 'v');
    });
    expect(await redis.get('forget')).toBe('x');
  });
});
