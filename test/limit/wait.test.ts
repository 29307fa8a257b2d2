import { getEventListeners } from 'node:events';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  AbortError,
  ClosedError,
  CommandTimeoutError,
  InvalidArgumentError,
  PoolOverloadedError,
  RateLimitedError,
} from '../../src/index.js';
import { scriptCalls } from '../lock/support.js';
import { engineOn, failure, timed } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { limiterOn, newKey, readAtOnce, together } from './support.js';

const server = useRedis();

describe('wait', () => {
  test('is over at once if there is room', async () => {
    const limiter = limiterOn(server(), { limit: 2, period: '1h' });
    const key = newKey();
    expect(await limiter.wait(key)).toMatchObject({ allowed: true, remaining: 1 });
    expect(await limiter.wait(key, { cost: 1, timeout: 0 })).toMatchObject({ allowed: true, remaining: 0 });
  });

  test.each(['sliding-window', 'gcra', 'fixed-window'] as const)(
    'waits until there is, and not longer (%s)',
    async (algorithm) => {
      const limiter = limiterOn(server(), { algorithm, limit: 2, period: 300, prefix: `${algorithm}:` });
      const key = newKey();
      await limiter.consume(key, 2);
      const { retryAfter } = await limiter.peek(key);
      const startedAt = performance.now();
      expect(await limiter.wait(key)).toMatchObject({ allowed: true });
      const waited = performance.now() - startedAt;
      // Redis denied it at the time of peek; the wait began later.
      expect(waited).toBeGreaterThan(retryAfter - 100);
      expect(waited).toBeLessThan(retryAfter + 250);
    },
  );

  test('asks Redis once before and once after, and not in between', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: 300 });
    const key = newKey();
    await limiter.consume(key);
    await server().cli('CONFIG', 'RESETSTAT');
    await limiter.wait(key);
    expect(await scriptCalls(server())).toBeLessThanOrEqual(3);
  });

  test('serves those who wait for a key in their order', async () => {
    const limiter = limiterOn(server(), { algorithm: 'gcra', limit: 50, period: '1s', burst: 1 });
    const key = newKey();
    const order: number[] = [];
    await limiter.consume(key);
    await together(12, async (i) => {
      await limiter.wait(key);
      order.push(i);
    });
    expect(order).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });

  test('does not let a cheap one pass a dear one that came before', async () => {
    const limiter = limiterOn(server(), { algorithm: 'gcra', limit: 20, period: '1s', burst: 5 });
    const key = newKey();
    await limiter.consume(key, 4);
    const order: number[] = [];
    await Promise.all(
      [5, 1, 2].map(async (cost) => {
        await limiter.wait(key, { cost });
        order.push(cost);
      }),
    );
    expect(order).toEqual([5, 1, 2]);
  });

  test('does not make one key wait for another', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    const busy = newKey();
    await limiter.consume(busy);
    const stop = new AbortController();
    const waiting = failure(limiter.wait(busy, { signal: stop.signal }));
    expect(await limiter.wait(newKey())).toMatchObject({ allowed: true });
    stop.abort();
    await waiting;
  });
});

describe('a wait with a timeout', () => {
  test('fails at once when it is certain that it is too short, and tells when it would pass', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    const key = newKey();
    await limiter.consume(key);
    let error: unknown;
    expect(await timed((async () => (error = await failure(limiter.wait(key, { timeout: '30s' }))))())).toBeLessThan(
      5_000,
    );
    expect(error).toBeInstanceOf(RateLimitedError);
    const { result, code, message } = error as RateLimitedError;
    expect(code).toBe('LAGOON_RATE_LIMITED');
    expect(result).toMatchObject({ allowed: false, limit: 1, remaining: 0, rule: 'sliding-window-3600000ms' });
    expect(result.retryAfter).toBeGreaterThan(3_500_000);
    expect(message).toContain(key);
    expect(message).toContain(String(result.retryAfter));
  });

  test('fails at once for what can never pass, with or without', async () => {
    const limiter = limiterOn(server(), { limit: 5, period: '1h' });
    for (const options of [{ cost: 6 }, { cost: 6, timeout: '1h' } as const]) {
      const error = await failure(limiter.wait(newKey(), options));
      expect(error).toBeInstanceOf(RateLimitedError);
      expect(error).toMatchObject({ result: { allowed: false, retryAfter: -1 } });
      expect(error?.message).toMatch(/never/);
    }
  });

  test('that is long enough passes', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: 200 });
    const key = newKey();
    await limiter.consume(key);
    expect(await limiter.wait(key, { timeout: '20s' })).toMatchObject({ allowed: true });
  });

  test('ends while others are still in front, and they and those behind go on', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: 500 });
    const key = newKey();
    await limiter.consume(key);
    const first = limiter.wait(key);
    const second = failure(limiter.wait(key, { timeout: 100 }));
    const third = limiter.wait(key);
    const error = await second;
    expect(error).toBeInstanceOf(RateLimitedError);
    expect((error as unknown as RateLimitedError).result.retryAfter).toBeGreaterThan(0);
    // What gave up was not counted: the other two pass, one a period after the other.
    expect(await first).toMatchObject({ allowed: true });
    expect(await third).toMatchObject({ allowed: true });
  });
});

describe('a wait whose signal aborts', () => {
  test('ends at once and counts nothing, first or in line', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    const key = newKey();
    await limiter.consume(key);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = failure(limiter.wait(key, { signal: one.signal }));
    const second = failure(limiter.wait(key, { signal: two.signal }));
    const third = limiter.wait(key);
    await limiter.peek(key);
    two.abort(new Error('changed my mind'));
    expect(await second).toBeInstanceOf(AbortError);
    expect((await second)?.cause).toMatchObject({ message: 'changed my mind' });
    one.abort();
    expect(await first).toBeInstanceOf(AbortError);
    expect(await first).toMatchObject({ code: 'ABORT_ERR' });
    // The third is first now.
    await limiter.reward(key);
    expect(await third).toMatchObject({ allowed: true, remaining: 0 });
  });

  test('before it began sends nothing', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    await limiter.consume(newKey());
    await server().cli('CONFIG', 'RESETSTAT');
    expect(await failure(limiter.wait(newKey(), { signal: AbortSignal.abort() }))).toBeInstanceOf(AbortError);
    expect(await scriptCalls(server())).toBe(0);
  });

  test('lets the one behind have its turn', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: 300 });
    const key = newKey();
    await limiter.consume(key);
    const stop = new AbortController();
    const first = failure(limiter.wait(key, { signal: stop.signal }));
    const second = limiter.wait(key);
    stop.abort();
    expect(await first).toBeInstanceOf(AbortError);
    expect(await second).toMatchObject({ allowed: true });
  });
});

describe.each(['reset', 'reward'] as const)('a wait for a key with a %s', (makeRoom) => {
  test.each(['sliding-window', 'gcra', 'fixed-window'] as const)(
    'is over at once, and those behind have their turn (%s)',
    async (algorithm) => {
      const limiter = limiterOn(server(), { algorithm, limit: 1, period: '1h', prefix: `${algorithm}:` });
      const key = newKey();
      await limiter.consume(key);
      const order: number[] = [];
      const waits = [1, 2, 3].map(async (i) => {
        await limiter.wait(key, i === 2 ? { timeout: '2h' } : {});
        order.push(i);
      });
      // Behind it on the same connection: the first was denied.
      await limiter.peek(key);
      for (const [i, wait] of waits.entries()) {
        expect(order).toHaveLength(i);
        await limiter[makeRoom](key);
        await wait;
        expect(await limiter.peek(key)).toMatchObject({ remaining: 0 });
      }
      expect(order).toEqual([1, 2, 3]);
    },
  );

  test('is over even if its denial is heard of later', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    await limiter[makeRoom](newKey());
    // They take three script calls, and of replies that are read at once the last is handed out last.
    const keys = Array.from({ length: 150 }, () => newKey());
    await Promise.all(keys.map((key) => limiter.consume(key)));
    const last = keys.at(-1) as string;
    const stop = new AbortController();
    const others = keys.slice(0, -1);
    // What is older than the room that was made is no reason to give up, either.
    const [{ given, wait }] = await readAtOnce(
      server(),
      () => ({
        given: others.map((key) => failure(limiter.wait(key, { signal: stop.signal }))),
        wait: limiter.wait(last, { timeout: '1m' }),
      }),
      () => limiter[makeRoom](last),
    );
    expect(await wait).toMatchObject({ allowed: true });
    stop.abort();
    for (const error of await Promise.all(given)) expect(error).toBeInstanceOf(AbortError);
  });

  test('is over even if both begin in one turn, and the denial is one that is remembered', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    const key = newKey();
    await limiter.consume(key);
    expect(await limiter.consume(key)).toMatchObject({ allowed: false });
    const made = limiter[makeRoom](key);
    expect(await limiter.wait(key)).toMatchObject({ allowed: true });
    await made;
  });
});

describe('a wait for more than a reward gives back', () => {
  test('asks once more, and waits on', async () => {
    const limiter = limiterOn(server(), { limit: 5, period: '1h' });
    const [key, other] = [newKey(), newKey()];
    await limiter.consume(key, 5);
    const wait = limiter.wait(key, { cost: 3 });
    await limiter.reward(other);
    await server().cli('CONFIG', 'RESETSTAT');
    await limiter.reward(other);
    await limiter.reward(key);
    await eventually(async () => (await scriptCalls(server())) >= 3);
    await limiter.reward(key, 2);
    expect(await wait).toMatchObject({ allowed: true, remaining: 0 });
    // Three rewards; the wait asked once when there was too little, and once when there was enough.
    expect(await scriptCalls(server())).toBe(5);
  });

  test('gives up as soon as it is certain again that there is not enough time', async () => {
    const limiter = limiterOn(server(), { algorithm: 'gcra', limit: 60, burst: 10, period: '1h' });
    const key = newKey();
    await limiter.consume(key, 10);
    const wait = failure(limiter.wait(key, { cost: 5, timeout: '30m' }));
    await limiter.peek(key);
    await limiter.block(key, '1h');
    await limiter.reward(key);
    const error = (await wait) as unknown as RateLimitedError;
    expect(error).toBeInstanceOf(RateLimitedError);
    expect(error.result.retryAfter).toBeGreaterThan(3_000_000);
  });
});

describe('a wait while Redis is silent', () => {
  test('ends with its timeout, first or in line', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    await limiter.consume(newKey());
    const key = newKey();
    await server().freeze();
    onTestFinished(() => server().thaw());
    const waits = [1, 2].map(() => timed(limiter.wait(key, { timeout: 300 })));
    const errors = [1, 2].map(() => failure(limiter.wait(key, { timeout: 300 })));
    for (const took of await Promise.all(waits)) expect(took).toBeLessThan(2_500);
    for (const error of await Promise.all(errors)) expect(error).toBeInstanceOf(CommandTimeoutError);
  });

  test('ends with its signal, and gives back what Redis counts all the same', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    await limiter.consume(newKey());
    await limiter.reward(newKey());
    const key = newKey();
    await server().freeze();
    onTestFinished(() => server().thaw());
    const stop = new AbortController();
    const wait = failure(limiter.wait(key, { signal: stop.signal }));
    await setImmediate();
    stop.abort();
    expect(await wait).toBeInstanceOf(AbortError);
    await server().thaw();
    await eventually(async () => (await limiter.peek(key)).remaining === 1);
    expect(await limiter.consume(key)).toMatchObject({ allowed: true });
  });

  test('asks once with a timeout of 0, for as long as consume does', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h', timeout: 300 });
    await limiter.consume(newKey());
    await server().freeze();
    onTestFinished(() => server().thaw());
    expect(await failure(limiter.wait(newKey(), { timeout: 0 }))).toBeInstanceOf(CommandTimeoutError);
  });
});

describe('waits', () => {
  test('are refused when those who wait take 64 MiB', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    const stop = new AbortController();
    const key = 'k'.repeat(1024 * 1024);
    const first = limiter.wait(key, { signal: stop.signal });
    const waits = together(40, () => failure(limiter.wait(key, { signal: stop.signal })));
    await first;
    stop.abort();
    const errors = await waits;
    expect(errors.filter((error) => error instanceof PoolOverloadedError)).toHaveLength(10);
    expect(errors.filter((error) => error instanceof AbortError)).toHaveLength(30);
    expect(await failure(limiter.wait(key, { timeout: 0 }))).toBeInstanceOf(RateLimitedError);
  });

  test('end when the engine closes, with ClosedError', async () => {
    const engine = engineOn(server().address);
    const limiter = engine.getRedis().getRateLimiter({ limit: 1, period: '1h' });
    const key = newKey();
    await limiter.consume(key);
    const waits = [limiter.wait(key), limiter.wait(key), limiter.wait(key, { timeout: '2h' })].map(failure);
    await limiter.peek(key);
    await engine.close();
    for (const error of await Promise.all(waits)) expect(error).toBeInstanceOf(ClosedError);
    expect(await failure(limiter.wait(newKey()))).toBeInstanceOf(ClosedError);
  });

  test('refuse what can never be right', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: '1h' });
    for (const options of [{ cost: 0 }, { cost: 1.5 }, { timeout: -1 }, { timeout: 'soon' as '1s' }]) {
      const error = await failure(limiter.wait(newKey(), options));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error?.message).toContain(Object.keys(options)[0]);
    }
  });

  test('for thousands of keys leave nothing behind', async () => {
    const limiter = limiterOn(server(), { limit: 1, period: 100 });
    const stop = new AbortController();
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    await together(2_000, (i) => limiter.wait(`many:${i}`, { signal: stop.signal }));
    await together(2_000, (i) => limiter.wait(`many:${i}`, { signal: stop.signal, timeout: '1h' }));
    const given = together(2_000, (i) =>
      failure(limiter.wait(`many:${i % 100}`, { signal: stop.signal, timeout: '1h' })),
    );
    await sleep(10);
    // However many wait under one signal, it has one listener.
    expect(getEventListeners(stop.signal, 'abort').length).toBeLessThanOrEqual(1);
    stop.abort();
    await given;
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    await sleep(50);
    expect(timers()).toBeLessThanOrEqual(before + 10);
  });
});
