import { expect, test } from 'vitest';
import { AbortError, CommandTimeoutError, type LagoonError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

/** What takes time ends in time; afterwards all is as before. */
export function frozen(site: Site): void {
  test('every feature ends with its timeout, none is answered wrongly, and all of them work again', async () => {
    const engine = site.open({ commandTimeout: 500, connectTimeout: '2s', pool: { acquireTimeout: 500 } });
    const redis = engine.getRedis();
    const key = site.key('frozen');
    const locker = redis.getLocker();
    const limiter = redis.getRateLimiter({ limit: 10, period: '1h' });
    const lenient = redis.getRateLimiter({ prefix: 'lenient:', limit: 1, period: '1h', whenDown: 'allow' });
    const cache = redis.getCache<string>({ prefix: key, ttl: '1m', whenDown: 'load' });
    const features: Record<string, () => Promise<unknown>> = {
      command: () => redis.set(key, 'value'),
      'blocking command': () => redis.blPop(`${key}:list`, 0.01),
      multi: () => redis.multi().get(key).exec(),
      transaction: () => redis.transaction((own) => own.get(key), { watch: key }),
      isolated: () => redis.isolated((own) => own.get(key), { key }),
      subscription: () => redis.subscribe(key, () => {}),
      script: () => redis.eval('return 1', { keys: [key] }),
      'about all keys': () => redis.dbSize(),
      lock: () => locker.obtain(`${key}:lock`, '1m'),
      'rate limit': () => limiter.consume(key),
      'value of a cache': () => cache.get('key'),
    };
    await engine.connect({ timeout: '20s' });
    await site.whileFrozen(async () => {
      const startedAt = performance.now();
      const hurried = failure(redis.withTimeout(100).get(key)).then((error) => ({ error, at: performance.now() }));
      const aborted = failure(redis.withAbortSignal(AbortSignal.timeout(50)).get(key));
      const all = Object.entries(features).map(async ([name, work]) => [name, (await failure(work()))?.code]);
      const loaded = cache.getOrSet('loaded', () => 'by the loader');
      const lent = lenient.consume(key);
      const { error, at } = await hurried;
      expect(error).toBeInstanceOf(CommandTimeoutError);
      expect((error as unknown as CommandTimeoutError).timeoutMs).toBe(100);
      expect(at - startedAt).toBeLessThan(500);
      expect(await aborted).toBeInstanceOf(AbortError);
      const codes = Object.fromEntries(await Promise.all(all)) as Record<string, LagoonError['code']>;
      expect(Object.keys(codes).filter((name) => !/TIMEOUT|CONNECTION/.test(String(codes[name])))).toEqual([]);
      expect(await loaded).toBe('by the loader');
      expect(await lent).toMatchObject({ allowed: true, degraded: true });
      expect((await engine.health()).default.status).toBe('down');
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    });
    for (const [name, work] of Object.entries(features)) {
      await eventually(() => work().then(() => true), { timeout: 10_000, interval: 20 }).catch((error: Error) => {
        throw new Error(`${name} does not work again`, { cause: error });
      });
    }
    await eventually(async () => (await engine.health()).default.status === 'up');
  });
}
