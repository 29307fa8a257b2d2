import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Cache, RecursiveLoadError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { cacheOn, deferred, localCacheOn } from './support.js';

const server = useRedis();

describe.each([false, true])('a loader that asks for its own key (lock: %s)', (lock) => {
  const ask = (cache: Cache<unknown>, key: string, loader: () => unknown) => cache.getOrSet(key, loader, { lock });

  async function refused(call: Promise<unknown>): Promise<void> {
    const error = await failure(call);
    expect(error).toBeInstanceOf(RecursiveLoadError);
    expect(error).toMatchObject({ code: 'LAGOON_RECURSIVE_LOAD' });
  }

  test('is refused at once', async () => {
    const { cache } = cacheOn(server());
    const self = (): Promise<unknown> => ask(cache, 'k', self);
    await refused(ask(cache, 'k', self));
    expect(cache.stats().loads).toBe(1);
    expect(await ask(cache, 'k', () => 'fine')).toBe('fine');
  });

  test('is refused after it has awaited something', async () => {
    const { cache } = cacheOn(server());
    await refused(
      ask(cache, 'k', async () => {
        await sleep(1);
        await cache.has('other');
        return ask(cache, 'k', () => 'never');
      }),
    );
  });

  test('is refused after it has removed the key', async () => {
    const { cache } = cacheOn(server());
    const self = async (): Promise<unknown> => {
      await cache.remove('k');
      return ask(cache, 'k', self);
    };
    await refused(ask(cache, 'k', self));
    expect(cache.stats().loads).toBe(1);
  });

  test('is refused through other keys and other caches', async () => {
    const one = cacheOn(server()).cache;
    const two = cacheOn(server()).cache;
    await refused(ask(one, 'a', () => ask(two, 'a', () => ask(one, 'b', () => ask(one, 'a', () => 'never')))));
    expect(await ask(one, 'a', () => ask(two, 'a', () => ask(one, 'b', () => ask(two, 'c', () => 'fine'))))).toBe(
      'fine',
    );
  });

  test('is refused in two loaders that ask for the keys of each other', async () => {
    const { cache } = cacheOn(server());
    const began = [deferred(), deferred()] as const;
    const one = failure(
      ask(cache, 'a', async () => {
        began[0].resolve();
        await began[1].promise;
        return ask(cache, 'b', () => 'never');
      }),
    );
    const two = failure(
      ask(cache, 'b', async () => {
        began[1].resolve();
        await began[0].promise;
        return ask(cache, 'a', () => 'never');
      }),
    );
    expect([await one, await two]).toEqual([expect.any(RecursiveLoadError), expect.any(RecursiveLoadError)]);
  });

  test('is refused in a refresh too, though an older value would serve', async () => {
    const probe = cacheOn(server());
    const { cache, pool, name } = probe;
    await cache.put('k', 'stale', { ttl: 1, grace: '1m' });
    await eventually(async () => (await pool.pTTL(name('k'))) < 60_000);
    const self = (): Promise<unknown> => cache.getOrSet('k', self, { lock, grace: '1m' });
    expect(await self()).toBe('stale');
    await eventually(() => probe.count('refresh-failed') === 1);
    expect(probe.events).toMatchObject([{ error: expect.any(RecursiveLoadError) }]);
  });

  test('is none if the callers have nothing to do with one another', async () => {
    const { cache } = cacheOn(server());
    const inner = deferred<string>();
    const began = deferred();
    const loader = () => {
      began.resolve();
      return ask(cache, 'inner', () => inner.promise);
    };
    const first = ask(cache, 'k', loader);
    await began.promise;
    // The same keys, asked for by others while they are loaded.
    const others = ['k', 'inner', 'k'].map((key) => ask(cache, key, loader));
    const nested = ask(cache, 'another', () => ask(cache, 'k', loader));
    inner.resolve('v');
    expect(await Promise.all([first, nested, ...others])).toEqual(Array(5).fill('v'));
  });

  test('is none once that loader is over, whatever it has left behind', async () => {
    const { cache } = cacheOn(server());
    const left = deferred<unknown>();
    await ask(cache, 'k', () => {
      setTimeout(
        () =>
          void cache
            .remove('k')
            .then(() => ask(cache, 'k', () => 'again'))
            .then(left.resolve, left.resolve),
        30,
      );
      return 'v';
    });
    // Another load of the key runs meanwhile, which is none of that timer's.
    expect(await left.promise).toBe('again');
  });

  test('is none if the outer loader waits for the inner one no longer', async () => {
    const { cache } = cacheOn(server());
    const abort = new AbortController();
    const go = deferred();
    const innerBegan = deferred();
    const outer = ask(cache, 'outer', async () => {
      const waiting = cache.getOrSet(
        'inner',
        async () => {
          innerBegan.resolve();
          await go.promise;
          return ask(cache, 'outer', () => 'never');
        },
        { lock, signal: abort.signal },
      );
      await Promise.race([waiting, innerBegan.promise]);
      // Keeps it going.
      return failure(waiting).then(() => 'outer');
    });
    await innerBegan.promise;
    const inner = ask(cache, 'inner', () => 'never');
    abort.abort();
    go.resolve();
    expect(await outer).toBe('outer');
    expect(await inner).toBe('outer');
  });
});

test('a loader may load stale values of the loader that waits for it in the background', async () => {
  const { cache, pool, name } = cacheOn(server());
  await cache.put('k', 'stale', { ttl: 1, grace: '1m' });
  await eventually(async () => (await pool.pTTL(name('k'))) < 60_000);
  const grace = { grace: '1m' } as const;
  const outer = cache.getOrSet('outer', () =>
    cache.getOrSet('k', () => cache.getOrSet('outer', () => 'never', grace), grace),
  );
  expect(await outer).toBe('stale');
  await eventually(async () => (await cache.get('k')) === 'stale');
});

test('two caches of the same keys wait for one lock: the inner one is refused', async () => {
  const { cache, pool, prefix } = cacheOn(server());
  const same = pool.getCache({ prefix });
  const lock = { lock: true };
  const nested = cache.getOrSet('k', () => same.getOrSet('k', () => 'never', lock), lock);
  expect(await failure(nested)).toBeInstanceOf(RecursiveLoadError);
  expect(await cache.getOrSet('k', () => same.getOrSet('k', () => 'inner'), lock)).toBe('inner');
});

test('what is served from this process is refused inside its loader as well', async () => {
  const { cache, count } = await localCacheOn(server());
  const self = (): Promise<unknown> => cache.getOrSet('k', self, { earlyRefresh: 1e12, ttl: '1m' });
  await cache.getOrSet('k', () => 'v', { earlyRefresh: true, ttl: '1m' });
  await eventually(async () => {
    expect(await self()).toBe('v');
    return count('refresh-failed') > 0;
  });
});
