import { beforeEach, describe, expect, test } from 'vitest';
import { InvalidArgumentError, type RateLimiter, type RateLimiterOptions, type RedisPool } from '../../src/index.js';
import { poolOn, watchCommands } from '../lock/support.js';
import { failure } from '../support/engine.js';
import { useRedis } from '../support/redis.js';

const server = useRedis();
let redis: RedisPool;

beforeEach(() => {
  redis = poolOn(server());
});

const valid = { limit: 5, period: '1m' } as const;
const COUNTS = [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '5', null, {}, true, 5n];

/** Options, and what the error names: which of them is wrong, and the value if it can be shown. */
const options: readonly [invalid: object, ...named: string[]][] = [
  ...COUNTS.map((limit): [object, ...string[]] => [{ ...valid, limit }, 'limit', String(limit)]),
  [{ period: '1m' }, 'limit', 'undefined'],
  [{ limit: 5 }, 'period', 'undefined'],
  ...[0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '0s', '-1s', '1 m', 'soon', '', null, 2 ** 53].map(
    (period): [object, ...string[]] => [{ ...valid, period }, 'period', String(period)],
  ),
  ...COUNTS.map((burst): [object, ...string[]] => [{ ...valid, algorithm: 'gcra', burst }, 'burst', String(burst)]),
  [{ ...valid, burst: 5 }, 'burst', "'gcra'"],
  [{ ...valid, algorithm: 'fixed-window', burst: 5 }, 'burst', 'fixed-window'],
  ...['leaky-bucket', 'GCRA', '', 'toString', '__proto__', null, 5].map((algorithm): [object, ...string[]] => [
    { ...valid, algorithm },
    'algorithm',
    String(algorithm),
  ]),
  ...['', 'naïve', 'line\nend', 'nul\0', 5].map((name): [object, ...string[]] => [{ ...valid, name }, 'name']),
  [{ ...valid, name: 'naïve' }, 'naïve'],
  ...['never', '', 'Allow', 'toString', null, true].map((whenDown): [object, ...string[]] => [
    { ...valid, whenDown },
    'whenDown',
    String(whenDown),
    'throw, allow, deny, local',
  ]),
  ...[5, null, Buffer.from('a'), {}].map((prefix): [object, ...string[]] => [{ ...valid, prefix }, 'prefix']),
  ...[1, 'yes', null].map((shadow): [object, ...string[]] => [{ ...valid, shadow }, 'shadow']),
  ...[-1, 1.5, Number.NaN, '5', null].map((maxDenials): [object, ...string[]] => [
    { ...valid, maxDenials },
    'maxDenials',
    String(maxDenials),
  ]),
  [{ ...valid, onDown: 'log' }, 'onDown'],
  [{ ...valid, onUp: true }, 'onUp'],
  ...[0, -1, 'soon', null].map((timeout): [object, ...string[]] => [{ ...valid, timeout }, 'timeout']),
  [{ ...valid, prefix: 'a\ud800' }, 'prefix', 'well-formed'],
  [{ ...valid, prefx: 'a' }, '"prefx"', 'did you mean "prefix"'],
  [{ ...valid, points: 5 }, '"points"', 'did you mean "limit"'],
  [{ rules: [{ ...valid, prefix: 'a' }] }, '"prefix"', 'rule'],
  [{ rules: [valid], limit: 5 }, '"limit"'],
  [{ rules: [] }, 'rules'],
  [{ rules: valid }, 'rules'],
  [{ rules: [valid, { ...valid, limit: 0 }] }, 'limit', '0'],
  [{ rules: [valid, { ...valid, limit: 9 }] }, 'sliding-window-60000ms', 'name'],
  [
    {
      rules: [
        { ...valid, name: 'a' },
        { limit: 5, period: '1h', name: 'a' },
      ],
    },
    '"a"',
    'name',
  ],
];

/** Numbers that could not be counted exactly, each fine by itself. */
const inexact: readonly [invalid: object, ...named: string[]][] = [
  [{ algorithm: 'gcra', limit: 2 ** 31 - 1, period: '365d' }, 'limit', '2147483647', '31536000000'],
  [{ algorithm: 'gcra', limit: 1_000_003, period: '1d' }, 'limit', '1000003'],
  [{ algorithm: 'gcra', limit: 7, period: '365d', burst: 10_000 }, 'burst', '10000'],
  [{ limit: 2 ** 32, period: '1m' }, 'limit', '4294967296'],
  [{ limit: 2 ** 53 - 1, period: '1m' }, 'limit'],
  [{ algorithm: 'fixed-window', limit: 2 ** 53 - 1, period: '1m' }, 'limit'],
  ...(['sliding-window', 'fixed-window', 'gcra'] as const).map((algorithm): [object, ...string[]] => [
    { algorithm, limit: 1, period: Number.MAX_SAFE_INTEGER },
    '9007199254740991',
  ]),
];

function describeValue(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    typeof inner === 'bigint' || (typeof inner === 'number' && !Number.isFinite(inner)) ? String(inner) : inner,
  );
}

describe('an option that cannot be right is refused, by name and value', () => {
  test.each([...options, ...inexact].map((row) => [describeValue(row[0]), ...row] as const))(
    '%s',
    (_, invalid, ...named) => {
      let error: unknown;
      try {
        redis.getRateLimiter(invalid as RateLimiterOptions);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
      for (const name of named) expect((error as Error).message).toContain(name);
    },
  );

  test('with the last that can be counted exactly, all is well', () => {
    for (const fine of [
      { limit: 2 ** 32 - 1, period: '1m' },
      { algorithm: 'fixed-window', limit: 2 ** 52, period: '1m' },
      { limit: 2 ** 31, period: '365d' },
      { algorithm: 'fixed-window', limit: 2 ** 31, period: '365d' },
      { algorithm: 'gcra', limit: 2 ** 31, period: '1s' },
      { algorithm: 'gcra', limit: 100, period: '365d' },
      { algorithm: 'gcra', limit: 1, period: '365d' },
    ] as const) {
      expect(() => redis.getRateLimiter(fine)).not.toThrow();
    }
  });
});

describe('a call that cannot be right is refused, and nothing is sent', () => {
  const bad = {
    keys: ['', undefined, null, 5, Buffer.from('key'), {}, [], Symbol('key')] as unknown as string[],
    counts: [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1', null] as number[],
    durations: [0, -1, 1.5, Number.NaN, 'soon', undefined] as number[],
  };
  type Call = (limiter: RateLimiter, value: never) => Promise<unknown>;
  const calls: readonly [string, Call, readonly unknown[], ...named: string[]][] = [
    ['consume: key', (limiter, key) => limiter.consume(key), bad.keys, 'key'],
    ['consume: cost', (limiter, cost) => limiter.consume('key', cost), bad.counts, 'cost'],
    ['peek: key', (limiter, key) => limiter.peek(key), bad.keys, 'key'],
    ['peek: cost', (limiter, cost) => limiter.peek('key', cost), bad.counts, 'cost'],
    ['wait: key', (limiter, key) => limiter.wait(key), bad.keys, 'key'],
    ['wait: cost', (limiter, cost) => limiter.wait('key', { cost }), bad.counts, 'cost'],
    ['wait: timeout', (limiter, timeout) => limiter.wait('key', { timeout }), [-1, 1.5, 'soon'], 'timeout'],
    ['reset: key', (limiter, key) => limiter.reset(key), bad.keys, 'key'],
    ['penalty: key', (limiter, key) => limiter.penalty(key), bad.keys, 'key'],
    ['penalty: points', (limiter, points) => limiter.penalty('key', points), [...bad.counts, 2 ** 31 + 1], 'points'],
    ['reward: key', (limiter, key) => limiter.reward(key), bad.keys, 'key'],
    ['reward: points', (limiter, points) => limiter.reward('key', points), [...bad.counts, 2 ** 31 + 1], 'points'],
    ['block: key', (limiter, key) => limiter.block(key, '1m'), bad.keys, 'key'],
    ['block: duration', (limiter, duration) => limiter.block('key', duration), bad.durations, 'duration'],
    // What could not be written down exactly, in µs.
    ['block: too long', (limiter, duration) => limiter.block('key', duration), [2 ** 53 - 1, '820000d'], 'duration'],
    ['rateLimit: key', (_, key) => redis.rateLimit(key, '1m', 5), bad.keys, 'key'],
    ['rateLimit: period', (_, period) => redis.rateLimit('key', period, 5), bad.durations, 'period'],
    ['rateLimit: limit', (_, limit) => redis.rateLimit('key', '1m', limit), bad.counts, 'limit'],
  ];

  test.each(calls)('%s', async (_, call, values, ...named) => {
    const limiter = redis.getRateLimiter(valid);
    await limiter.peek('key');
    const commands = await watchCommands(server());
    for (const value of values) {
      const error = await failure(call(limiter, value as never));
      expect(error, String(value)).toBeInstanceOf(InvalidArgumentError);
      for (const name of named) expect(error?.message).toContain(name);
      if (typeof value === 'number') expect(error?.message).toContain(String(value));
    }
    // Whatever was sent before it has been seen when this is.
    await redis.ping();
    await expect.poll(() => commands.length).toBeGreaterThan(0);
    expect(commands).toHaveLength(1);
  });

  test('also for what JSON cannot show', async () => {
    const limiter = redis.getRateLimiter(valid);
    expect(await failure(limiter.consume(5n as unknown as string))).toBeInstanceOf(InvalidArgumentError);
    for (const name of ['algorithm', 'whenDown', 'name']) {
      expect(() => redis.getRateLimiter({ ...valid, [name]: 5n })).toThrow(InvalidArgumentError);
    }
  });

  test('cost 0 is told of peek', async () => {
    const error = await failure(redis.getRateLimiter(valid).consume('key', 0));
    expect(error?.message).toContain('peek()');
  });

  test('a limiter goes on after it', async () => {
    const limiter = redis.getRateLimiter(valid);
    await failure(limiter.consume('after', 0));
    expect(await limiter.consume('after')).toMatchObject({ allowed: true, remaining: 4 });
  });
});

describe('keys with a lone surrogate, which Redis could not tell apart,', () => {
  test('are refused, and nothing is sent', async () => {
    const limiter = redis.getRateLimiter(valid);
    await limiter.consume('well-formed: \u{1f600}');
    const sent = await watchCommands(server());
    for (const key of ['a\ud800', '\udc00b', '\ude00\ud83d']) {
      for (const call of [
        () => limiter.consume(key),
        () => limiter.peek(key),
        () => limiter.wait(key),
        () => limiter.penalty(key),
        () => limiter.block(key, '1m'),
        () => limiter.reset(key),
        () => redis.rateLimit(key, '1m', 5),
      ]) {
        expect(await failure(call())).toBeInstanceOf(InvalidArgumentError);
      }
    }
    expect(sent).toEqual([]);
  });
});

describe('options that a call does not know', () => {
  test('are refused with the nearest name', async () => {
    const limiter = redis.getRateLimiter(valid);
    const error = await failure(limiter.wait('key', { timout: 5 } as object));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error?.message).toContain('did you mean "timeout"');
    const result = await limiter.peek('key');
    expect(() => limiter.headers(result, { legcy: true } as object)).toThrow('did you mean "legacy"');
  });
});
