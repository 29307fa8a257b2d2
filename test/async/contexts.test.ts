import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Lock, Registry } from '../../src/index.js';
import { engineOn } from '../support/engine.js';
import { eventually, startProxy, useRedis } from '../support/redis.js';
import { currentRequest, inRequest } from '../support/requests.js';

const server = useRedis();

/** An engine whose connections are all made while request `first` uses it. */
async function usedBy(first: string, address = server().address) {
  const engine = engineOn(address);
  const redis = engine.getRedis();
  await inRequest(first, async () => {
    await redis.ping();
    await redis.subscribe('first', () => {});
  });
  return { engine, redis };
}

describe('a callback runs in the async context in which it was registered', () => {
  test('the listener of a subscription, its onResubscribe too, when another request made the connection', async () => {
    const proxy = await startProxy(server().address);
    onTestFinished(() => proxy.stop());
    const { redis } = await usedBy('first', proxy.address);
    const seen: (string | undefined)[] = [];
    await inRequest('second', () =>
      redis.subscribe('context:a', () => seen.push(currentRequest()), {
        onResubscribe: () => seen.push(`${currentRequest()} again`),
      }),
    );
    await redis.subscribe('context:a', () => seen.push(currentRequest() ?? 'none'));
    await server().cli('PUBLISH', 'context:a', 'x');
    await eventually(() => seen.length === 2);
    expect(seen).toEqual(['second', 'none']);
    proxy.cutAll();
    await eventually(() => seen.length === 3);
    expect(seen.at(-1)).toBe('second again');
  });

  test('a query logger and its filter', async () => {
    const { engine, redis } = await usedBy('first');
    const seen: (string | undefined)[] = [];
    inRequest('logger', () =>
      engine.registerQueryLogger(
        () => seen.push(currentRequest()),
        () => {
          seen.push(currentRequest());
          return true;
        },
      ),
    );
    await inRequest('second', () => redis.get('x'));
    expect(seen).toEqual(['logger', 'logger']);
  });

  test('a listener on an isolated connection, which unsubscribe() still finds', async () => {
    const { redis } = await usedBy('first');
    await inRequest('first', () => redis.isolated((own) => own.ping()));
    const seen: (string | undefined)[] = [];
    await inRequest('second', () =>
      redis.isolated(async (own) => {
        const listener = () => seen.push(currentRequest());
        await own.subscribe('context:own', listener);
        await own.pSubscribe('context:own*', async () => {
          throw new Error('ends nothing');
        });
        await server().cli('PUBLISH', 'context:own', 'x');
        await eventually(() => seen.length === 1);
        await own.unsubscribe('context:own', listener);
        await server().cli('PUBLISH', 'context:own', 'y');
        await own.ping();
      }),
    );
    expect(seen).toEqual(['second']);
  });

  test('a function that gives the password', async () => {
    const seen: (string | undefined)[] = [];
    const password = () => {
      seen.push(currentRequest());
      return '';
    };
    const registry = inRequest('start', () =>
      new Registry().registerRedis(server().address, 0, 'default', { password }),
    );
    await using engine = registry.validate();
    await inRequest('first', () => engine.getRedis().ping());
    expect(seen).toEqual(['start']);
  });

  test('events of a cache and of a limiter', async () => {
    const { redis } = await usedBy('first');
    const seen: (string | undefined)[] = [];
    const [cache, limiter] = inRequest('start', () => [
      redis.getCache({ prefix: 'context', onEvent: () => seen.push(currentRequest()) }),
      redis.withTimeout(100).getRateLimiter({
        limit: 1,
        period: '1m',
        whenDown: 'allow',
        onDown: () => seen.push(currentRequest()),
        onUp: () => seen.push(currentRequest()),
      }),
    ]);
    await redis.set('context#k', '{');
    await inRequest('second', () => cache.get('k'));
    expect(seen).toEqual(['start']);
    await server().freeze();
    await inRequest('third', () => limiter.consume('k'));
    await server().thaw();
    expect(seen).toEqual(['start', 'start']);
    await eventually(async () => !(await inRequest('fourth', () => limiter.peek('k'))).degraded);
    expect(seen).toEqual(['start', 'start', 'start']);
  });

  test("listeners of a lock's signal, when another's renewal finds that it is lost", async () => {
    const { redis } = await usedBy('first');
    const locker = redis.getLocker();
    const renewed = { autoRenew: true };
    // The timer of all renewals is made by this one.
    const other = await inRequest('first', () => locker.obtain('context:other', 600, 0, renewed));
    const lock = (await inRequest('second', () => locker.obtain('context:lock', 600, 0, renewed))) as Lock;
    const seen: (string | undefined)[] = [];
    const listen = () => seen.push(currentRequest());
    const removed = () => seen.push('removed');
    inRequest('second', () => lock.signal.addEventListener('abort', listen));
    inRequest('third', () => lock.signal.addEventListener('abort', { handleEvent: () => seen.push(currentRequest()) }));
    inRequest('fourth', () => {
      lock.signal.onabort = () => seen.push(currentRequest());
    });
    lock.signal.addEventListener('abort', removed);
    lock.signal.removeEventListener('abort', removed);
    lock.signal.addEventListener('abort', async () => {
      throw new Error('ends nothing');
    });
    await server().cli('DEL', 'context:lock');
    await eventually(() => seen.length === 3);
    expect(seen).toEqual(['second', 'third', 'fourth']);
    await other?.release();
  });

  test("listeners of a loader's signal, when the last caller who waits aborts", async () => {
    const { redis } = await usedBy('first');
    const cache = redis.getCache({ prefix: 'context:load' });
    const abort = new AbortController();
    const seen: (string | undefined)[] = [];
    const loading = inRequest('loads', () =>
      cache.getOrSet(
        'k',
        ({ signal }) => {
          signal.addEventListener('abort', () => seen.push(currentRequest()));
          return new Promise<string>(() => {});
        },
        { signal: abort.signal },
      ),
    );
    loading.catch(() => undefined);
    await eventually(() => cache.stats().loads === 1);
    inRequest('aborts', () => abort.abort());
    expect(seen).toEqual(['loads']);
  });

  test('listeners of `closing`', async () => {
    const { engine, redis } = await usedBy('first');
    const seen: (string | undefined)[] = [];
    inRequest('second', () => redis.closing.addEventListener('abort', () => seen.push(currentRequest())));
    await inRequest('closes', () => engine.close());
    expect(seen).toEqual(['second']);
  });
});

describe('a callback that was registered outside of a lock never joins it', () => {
  test('though the lock is held where the connection was made', async () => {
    const redis = engineOn(server().address).getRedis();
    const locker = redis.getLocker();
    const order: string[] = [];
    let second: Promise<unknown> | undefined;
    const first = locker.run('context:run', { ttl: '10s' }, async () => {
      await redis.subscribe('context:in', () => {});
      await eventually(() => second !== undefined);
      // Long enough for one who joins.
      await sleep(100);
      order.push('first ends');
    });
    await eventually(async () => String(await server().cli('PUBSUB', 'NUMSUB', 'context:in')) === 'context:in,1');
    await redis.subscribe('context:out', () => {
      second = locker.run('context:run', { ttl: '10s', waitTimeout: '10s' }, () => void order.push('second runs'));
    });
    await server().cli('PUBLISH', 'context:out', 'x');
    await first;
    await second;
    expect(order).toEqual(['first ends', 'second runs']);
  });

  test('but one that was registered inside does', async () => {
    const redis = engineOn(server().address).getRedis();
    const locker = redis.getLocker();
    let joined: Promise<number> | undefined;
    const fence = await locker.run('context:inside', { ttl: '10s' }, async (lock) => {
      await redis.subscribe('context:inside', () => {
        joined = locker.run('context:inside', { ttl: '10s' }, (same) => same.fence);
      });
      await server().cli('PUBLISH', 'context:inside', 'x');
      await eventually(() => joined !== undefined);
      await joined;
      return lock.fence;
    });
    expect(await joined).toBe(fence);
  });
});
