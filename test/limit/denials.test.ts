import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { RateLimiter, RateLimiterOptions } from '../../src/index.js';
import { scriptCalls } from '../lock/support.js';
import { useRedis } from '../support/redis.js';
import { allowedOf, limiterOn, newKey, readAtOnce, together } from './support.js';

const server = useRedis();

/** A limiter whose scripts the server knows already: what is counted from then on is decisions. */
async function warm(options: Partial<RateLimiterOptions> = {}): Promise<RateLimiter> {
  const rule = 'rules' in options ? {} : { limit: 5, period: '1h' };
  const limiter = limiterOn(server(), { ...rule, ...options } as RateLimiterOptions);
  await limiter.consume(newKey('warm'));
  await server().cli('CONFIG', 'RESETSTAT');
  return limiter;
}

async function used(limiter: RateLimiter, cost = 5): Promise<string> {
  const key = newKey();
  await limiter.consume(key, cost);
  return key;
}

/** What Redis was asked while `work` was done. */
async function callsOf(work: () => Promise<unknown>): Promise<number> {
  const before = await scriptCalls(server());
  await work();
  return (await scriptCalls(server())) - before;
}

describe.each(['sliding-window', 'gcra', 'fixed-window'] as const)('a denied key (%s)', (algorithm) => {
  test('costs Redis nothing until the denial ends, and then one script call', async () => {
    const limiter = await warm({ algorithm, limit: 2, period: 600, prefix: `${algorithm}:` });
    const key = await used(limiter, 2);
    const denied = await limiter.consume(key);
    const endsAt = performance.now() + denied.retryAfter;
    expect(denied.allowed).toBe(false);
    let last = denied.retryAfter;
    const calls = await callsOf(async () => {
      while (performance.now() < endsAt - 150) {
        const results = await together(50, () => limiter.consume(key));
        // Had the machine been asleep meanwhile, the denial would have ended.
        if (performance.now() >= endsAt - 100) break;
        expect(allowedOf(results)).toBe(0);
        const { retryAfter, resetAfter } = results[0] ?? denied;
        expect(retryAfter).toBeLessThanOrEqual(last);
        expect(retryAfter).toBeGreaterThan(0);
        expect(resetAfter).toBeGreaterThanOrEqual(retryAfter);
        last = retryAfter;
        await sleep(5);
      }
    });
    expect(calls).toBe(0);
    await sleep(Math.max(0, endsAt - performance.now()) + 2);
    const after = await callsOf(async () => {
      expect(allowedOf(await together(20, () => limiter.consume(key)))).toBeGreaterThan(0);
    });
    expect(after).toBe(1);
  });

  test('is asked for again when its denial ends, by callers who never let the event loop go on too', async () => {
    const limiter = await warm({ algorithm, limit: 2, period: 200, prefix: `${algorithm}:` });
    const key = await used(limiter, 2);
    const denied = await limiter.consume(key);
    const endsAt = performance.now() + denied.retryAfter;
    let allowed = false;
    while (!allowed && performance.now() < endsAt + 2_000) ({ allowed } = await limiter.consume(key));
    expect(allowed).toBe(true);
  });

  test('is denied that cost; another is asked for', async () => {
    const limiter = await warm({ algorithm, prefix: `${algorithm}:` });
    const key = await used(limiter, 3);
    expect(await limiter.consume(key, 5)).toMatchObject({ allowed: false });
    expect(await limiter.consume(key, 1)).toMatchObject({ allowed: true, remaining: 1 });
    expect(await limiter.consume(key, 5)).toMatchObject({ allowed: false });
    expect(await limiter.consume(key, 1)).toMatchObject({ allowed: true, remaining: 0 });
  });

  test('is asked for again after a block that is shorter than the one before, also by one who waits', async () => {
    const limiter = await warm({ algorithm, prefix: `${algorithm}:` });
    const key = newKey();
    await limiter.block(key, '1h');
    expect(await limiter.consume(key)).toMatchObject({ allowed: false });
    const wait = limiter.wait(key);
    await limiter.block(key, 50);
    expect(await wait).toMatchObject({ allowed: true });
    expect(await limiter.consume(key)).toMatchObject({ allowed: true });
  });

  test('says after a penalty for how much longer it is denied', async () => {
    const limiter = await warm({ algorithm: 'gcra', limit: 10, prefix: `${algorithm}:penalty:` });
    const key = await used(limiter, 10);
    const before = await limiter.consume(key);
    await limiter.penalty(key, 5);
    expect((await limiter.consume(key)).retryAfter).toBeGreaterThan(before.retryAfter + 1_000_000);
  });

  test('is asked for again after reset and reward', async () => {
    const limiter = await warm({ algorithm, prefix: `${algorithm}:` });
    const key = await used(limiter);
    expect(await limiter.consume(key)).toMatchObject({ allowed: false });
    await limiter.reward(key);
    expect(await limiter.consume(key)).toMatchObject({ allowed: true });
    expect(await limiter.consume(key)).toMatchObject({ allowed: false });
    expect(await limiter.consume(key, 2)).toMatchObject({ allowed: false });
    await limiter.reset(key);
    expect(await limiter.consume(key, 2)).toMatchObject({ allowed: true });
    expect(await limiter.consume(key)).toMatchObject({ allowed: true });
  });
});

describe('denials', () => {
  let limiter: RateLimiter;
  beforeEach(async () => {
    limiter = await warm({ maxDenials: 10 });
  });

  test('of one key are none of another', async () => {
    const [one, other] = [await used(limiter), newKey()];
    await limiter.consume(one);
    expect(await limiter.consume(other)).toMatchObject({ allowed: true });
    expect(await callsOf(() => limiter.consume(one))).toBe(0);
  });

  test('of several costs are remembered each', async () => {
    const key = await used(limiter, 4);
    for (const cost of [2, 3, 4]) await limiter.consume(key, cost);
    expect(await callsOf(() => Promise.all([2, 3, 4].map((cost) => limiter.consume(key, cost))))).toBe(0);
  });

  test('are remembered up to maxDenials, the oldest is forgotten first', async () => {
    const keys = await Promise.all(Array.from({ length: 11 }, () => used(limiter)));
    for (const key of keys) await limiter.consume(key);
    const [oldest = '', ...rest] = keys;
    expect(await callsOf(() => Promise.all(rest.map((key) => limiter.consume(key))))).toBe(0);
    expect(await callsOf(() => limiter.consume(oldest))).toBe(1);
  });

  test('of different costs share that number, the oldest of them is forgotten first', async () => {
    const older = await used(limiter);
    await limiter.consume(older, 1);
    await limiter.consume(older, 2);
    // Makes cost 1 the one that was denied last.
    const keys = await Promise.all(Array.from({ length: 9 }, () => used(limiter)));
    for (const key of keys) await limiter.consume(key, 1);
    // 11 in all: `older` at cost 1 went first; one more, and it is `older` at cost 2.
    await limiter.consume(await used(limiter), 1);
    expect(await callsOf(() => limiter.consume(keys[0] as string, 1))).toBe(0);
    expect(await callsOf(() => limiter.consume(older, 2))).toBe(1);
  });

  test('are remembered up to 16 MiB of keys, the oldest is forgotten first', async () => {
    const large = await warm();
    const keys = Array.from({ length: 5 }, (_, i) => `${i}:${'x'.repeat(1024 * 1024)}`);
    for (const key of keys) {
      await large.consume(key, 5);
      await large.consume(key);
    }
    const [oldest = '', ...rest] = keys;
    expect(await callsOf(() => Promise.all(rest.slice(1).map((key) => large.consume(key))))).toBe(0);
    expect(await callsOf(() => large.consume(oldest))).toBe(1);
  });

  test('are none with maxDenials 0', async () => {
    const forgetful = await warm({ maxDenials: 0 });
    const key = await used(forgetful);
    for (let i = 0; i < 3; i++) expect(await callsOf(() => forgetful.consume(key))).toBe(1);
  });

  test('do not count, and peek does not see them', async () => {
    const key = await used(limiter);
    await limiter.consume(key);
    await together(100, () => limiter.consume(key));
    expect(await callsOf(() => limiter.peek(key))).toBe(1);
    await limiter.reward(key, 2);
    expect(await limiter.peek(key)).toMatchObject({ remaining: 2 });
  });

  test('of what can never pass do not keep a later one from passing', async () => {
    const key = newKey();
    expect(await limiter.consume(key, 6)).toMatchObject({ allowed: false, retryAfter: -1, remaining: 5 });
    expect(await limiter.consume(key, 5)).toMatchObject({ allowed: true });
    expect(await limiter.consume(key, 6)).toMatchObject({ allowed: false, retryAfter: -1, remaining: 0 });
    expect(await callsOf(() => together(50, () => limiter.consume(key, 6)))).toBe(0);
    expect(await limiter.consume(key, 6)).toMatchObject({ allowed: false, retryAfter: -1 });
  });

  test('of several rules are remembered as of one', async () => {
    const several = await warm({
      rules: [
        { limit: 2, period: '1h' },
        { limit: 5, period: '1d', algorithm: 'gcra' },
      ],
    } as Partial<RateLimiterOptions>);
    const key = await used(several, 2);
    await several.consume(key);
    expect(await callsOf(() => together(50, () => several.consume(key)))).toBe(0);
  });

  test('in shadow mode are remembered, and allowed', async () => {
    const shadow = await warm({ shadow: true, prefix: 'shadow:' });
    const key = await used(shadow);
    await shadow.consume(key);
    const calls = await callsOf(async () => {
      for (const result of await together(50, () => shadow.consume(key))) {
        expect(result).toMatchObject({ allowed: true, exceeded: true });
      }
    });
    expect(calls).toBe(0);
  });
});

describe.each(['reset', 'reward'] as const)('a denial that is older than a %s', (forget) => {
  test('is not remembered, though it is heard of later', async () => {
    const limiter = await warm({ limit: 1 });
    await limiter[forget](newKey('warm'));
    // They take three script calls, and of replies that are read at once the last is handed out last.
    const keys = await Promise.all(Array.from({ length: 150 }, () => used(limiter, 1)));
    const key = keys.at(-1) as string;
    const heard: string[] = [];
    const [denials, forgotten] = await readAtOnce(
      server(),
      () => keys.map((each) => limiter.consume(each).finally(() => each === key && heard.push('denial'))),
      () => limiter[forget](key).finally(() => heard.push(forget)),
    );
    expect(allowedOf(await Promise.all(denials))).toBe(0);
    await forgotten;
    expect(heard).toEqual([forget, 'denial']);
    expect(await limiter.consume(key)).toMatchObject({ allowed: true });
  });
});
