import { describe, expect, test } from 'vitest';
import { ReplyError } from '../../src/index.js';
import { poolOn, scriptCalls, watchCommands } from '../lock/support.js';
import { commandCalls } from '../pool/support.js';
import { failure } from '../support/engine.js';
import { eventually, freePort, useRedis } from '../support/redis.js';
import { allowedOf, limiterOn, newKey, together } from './support.js';

const server = useRedis();

describe('the keys in Redis', () => {
  test('begin with the prefix of the limiter, and before it that of the pool', async () => {
    const pool = poolOn(server(), { keyPrefix: 'app:' });
    const key = newKey();
    await pool.getRateLimiter({ limit: 5, period: '1h', prefix: 'api:' }).consume(key);
    await pool.getRateLimiter({ limit: 5, period: '1h' }).consume(key);
    await pool.getRateLimiter({ limit: 5, period: '1h', prefix: '' }).consume(key);
    await pool.rateLimit(key, '1h', 5);
    expect((await poolOn(server()).keys(`*${key}`)).sort()).toEqual([
      `app:api:s3600000:${key}`,
      `app:limit:s3600000:${key}`,
      `app:s3600000:${key}`,
    ]);
    expect(await pool.getRateLimiter({ limit: 5, period: '1h' }).peek(key)).toMatchObject({ remaining: 3 });
  });

  test('are others for another prefix, algorithm or period', async () => {
    const pool = poolOn(server());
    const key = newKey();
    const limiters = [
      pool.getRateLimiter({ limit: 1, period: '1h' }),
      pool.getRateLimiter({ limit: 1, period: '2h' }),
      pool.getRateLimiter({ limit: 1, period: '1h', prefix: 'other:' }),
      pool.getRateLimiter({ limit: 1, period: '1h', algorithm: 'gcra' }),
      pool.getRateLimiter({ limit: 1, period: '1h', algorithm: 'fixed-window' }),
      pool.getRateLimiter({
        rules: [
          { limit: 1, period: '1h', name: 'a' },
          { limit: 1, period: '1h', name: 'b' },
        ],
      }),
    ];
    for (const limiter of limiters) expect(await limiter.consume(key)).toMatchObject({ allowed: true });
    for (const limiter of limiters) expect(await limiter.consume(key)).toMatchObject({ allowed: false });
  });

  test.each([
    ['unicode', 'café – 日本語 – 👩‍👩‍👧'],
    ['braces', '{user}:{1}'],
    ['an opening brace', '{'],
    ['a closing brace', '}'],
    ['both, and nothing in between', '{}'],
    ['colons', ':::'],
    ['spaces and line ends', ' a\r\nb\0c '],
    ['1 KB', 'k'.repeat(1_024)],
  ])('may be made of %s', async (_, key) => {
    const rule = { limit: 2, period: '1h' } as const;
    const one = { ...rule, prefix: `${newKey('p')}:` } as const;
    const several = { rules: [rule, { ...rule, algorithm: 'gcra' }], prefix: `${newKey('p')}:` } as const;
    for (const limiter of [limiterOn(server(), one), limiterOn(server(), several)]) {
      const results = await together(3, () => limiter.consume(key));
      expect(results.map(({ allowed }) => allowed)).toEqual([true, true, false]);
      expect(await limiter.consume(`${key}.`)).toMatchObject({ allowed: true });
      await limiter.reset(key);
      expect(await limiter.peek(key)).toMatchObject({ allowed: true, remaining: 2 });
    }
  });

  test('of several rules are in one slot of a cluster, whatever is in the key', async () => {
    for (const key of ['plain', '{user}:1', '}', '{}', 'a}b{c']) {
      const prefix = `${newKey('slots')}:`;
      const limiter = limiterOn(server(), {
        prefix,
        rules: [
          { limit: 2, period: '1h' },
          { limit: 2, period: '2h' },
          { limit: 2, period: '1h', algorithm: 'gcra' },
        ],
      });
      await limiter.consume(key);
      const names = await poolOn(server()).keys(`${prefix}*`);
      expect(names).toHaveLength(3);
      const tags = names.map((name) => /\{([^}]+)\}/.exec(name)?.[1]);
      expect(tags[0]).toBeTruthy();
      expect(new Set(tags).size).toBe(1);
    }
  });
});

describe('script calls', () => {
  test('of one key in one turn are one', async () => {
    const limiter = limiterOn(server(), { limit: 300, period: '1h' });
    await limiter.consume(newKey());
    await server().cli('CONFIG', 'RESETSTAT');
    const results = await together(1_000, () => limiter.consume('crowd'));
    expect(allowedOf(results)).toBe(300);
    expect(await scriptCalls(server())).toBe(1);
  });

  test('of one turn are two, and decided in their order, after a series that came one at a time', async () => {
    const limiter = limiterOn(server(), { limit: 14, period: '1h' });
    for (let i = 0; i < 9; i++) await limiter.consume('lonely');
    await server().cli('CONFIG', 'RESETSTAT');
    const results = await together(10, () => limiter.consume('lonely'));
    expect(results.map(({ remaining }) => remaining)).toEqual([4, 3, 2, 1, 0, 0, 0, 0, 0, 0]);
    expect(allowedOf(results)).toBe(5);
    expect(await scriptCalls(server())).toBe(2);
  });

  test('of different keys in one turn are shared', async () => {
    const limiter = limiterOn(server(), { limit: 3, period: '1h' });
    await limiter.consume(newKey());
    await server().cli('CONFIG', 'RESETSTAT');
    const results = await together(640, (i) => limiter.consume(`many:${i}`));
    expect(allowedOf(results)).toBe(640);
    expect(await scriptCalls(server())).toBeLessThanOrEqual(640 / 50 + 1);
  });

  test('are at most one per decision, and nothing else is sent', async () => {
    const pool = poolOn(server());
    const single = pool.getRateLimiter({ limit: 3, period: '1h' });
    const several = pool.getRateLimiter({
      rules: [
        { limit: 3, period: '1h' },
        { limit: 3, period: '1h', algorithm: 'gcra' },
      ],
    });
    await Promise.all([single.peek('warm'), several.peek('warm')]);
    const commands = await watchCommands(server());
    for (const limiter of [single, several]) {
      const key = newKey();
      const before = commands.length;
      for (let i = 0; i < 3; i++) expect(await limiter.consume(key)).toMatchObject({ allowed: true });
      expect(await limiter.consume(key)).toMatchObject({ allowed: false });
      await limiter.peek(key);
      await eventually(() => commands.length >= before + 5);
      expect(commands.slice(before).map((line) => /"(\w+)"/.exec(line)?.[1])).toEqual(Array(5).fill('EVALSHA'));
    }
  });

  test.each([
    ['sliding-window', 100],
    ['sliding-window', 10_000],
    ['gcra', 100],
    ['fixed-window', 100],
  ] as const)('read and write once for the usual call (%s, %i)', async (algorithm, limit) => {
    const limiter = limiterOn(server(), { algorithm, limit, period: '1h' });
    await limiter.consume(newKey());
    const key = newKey();
    for (const which of ['first', 'second', 'third']) {
      await server().cli('CONFIG', 'RESETSTAT');
      await limiter.consume(key);
      const { evalsha, time, ...others } = await commandCalls(server());
      const run = Object.keys(others).filter((name) => name !== 'info' && name !== 'config|resetstat');
      expect([evalsha, time, ...run.map((name) => others[name])], `${which} call: ${run}`).toEqual([1, 1, 1, 1]);
    }
  });

  test('that the server does not know are sent again by their text', async () => {
    const limiter = limiterOn(server(), { limit: 3, period: '1h' });
    const key = newKey();
    expect(await limiter.consume(key)).toMatchObject({ remaining: 2 });
    await server().cli('SCRIPT', 'FLUSH');
    expect(await limiter.consume(key)).toMatchObject({ remaining: 1 });
    await server().cli('SCRIPT', 'FLUSH');
    await limiter.penalty(key);
    expect(await limiter.consume(key)).toMatchObject({ allowed: false, remaining: 0 });
  });
});

describe('a refusal of Redis is an error, and never an answer', () => {
  test.each([
    ['sliding-window', 'a hash', ['HSET', 'field', 'value']],
    ['sliding-window', 'a list of something else', ['RPUSH', 'a', 'b', 'c', 'd']],
    ['sliding-window', 'a string of something else', ['SET', 'hello']],
    ['gcra', 'a list', ['RPUSH', 'a']],
    ['gcra', 'a string of something else', ['SET', 'hello']],
    ['fixed-window', 'a hash', ['HSET', 'field', 'value']],
    ['fixed-window', 'a string of something else', ['SET', 'hello']],
  ] as const)('%s on %s, and those who ask in the same turn are served', async (algorithm, _, [name, ...args]) => {
    const prefix = `${newKey('wrong')}:`;
    const limiter = limiterOn(server(), { algorithm, limit: 5, period: '1h', prefix, whenDown: 'allow' });
    await server().cli(name, `${prefix}${algorithm[0]}3600000:bad`, ...args);
    const keys = ['good', 'bad', 'fine', 'bad'];
    const outcomes = await Promise.allSettled(keys.map((key) => limiter.consume(key)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ReplyError);
      else expect(outcome.value, keys[i]).toMatchObject({ allowed: true, remaining: 4, degraded: false });
    }
    for (const call of [
      () => limiter.peek('bad'),
      () => limiter.penalty('bad'),
      () => limiter.block('bad', '1h'),
      () => limiter.wait('bad'),
    ]) {
      expect(await failure(call())).toBeInstanceOf(ReplyError);
    }
    await limiter.reset('bad');
    expect(await limiter.consume('bad')).toMatchObject({ allowed: true, remaining: 4 });
  });

  test('on a wrong type it says so', async () => {
    const limiter = limiterOn(server(), { limit: 5, period: '1h' });
    const key = newKey();
    await server().cli('HSET', `limit:s3600000:${key}`, 'field', 'value');
    expect(await failure(limiter.consume(key))).toMatchObject({ replyCode: 'WRONGTYPE' });
    expect(await failure(limiter.penalty(key))).toMatchObject({ replyCode: 'WRONGTYPE' });
  });

  test.each(['throw', 'allow', 'deny', 'local'] as const)('by a replica, which is an outage (%s)', async (whenDown) => {
    const downs: Error[] = [];
    const limiter = limiterOn(server(), { limit: 5, period: '1h', whenDown, onDown: (error) => downs.push(error) });
    await limiter.consume(newKey());
    await server().cli('REPLICAOF', '127.0.0.1', String(await freePort()));
    try {
      const answer = limiter.consume(newKey());
      if (whenDown === 'throw') expect(await failure(answer)).toMatchObject({ replyCode: 'READONLY' });
      else expect(await answer).toMatchObject({ allowed: whenDown !== 'deny', degraded: true });
    } finally {
      await server().cli('REPLICAOF', 'NO', 'ONE');
    }
    expect(downs).toHaveLength(1);
    expect(downs[0]).toBeInstanceOf(ReplyError);
    await eventually(async () => !(await limiter.peek(newKey())).degraded);
    expect(await limiter.consume(newKey())).toMatchObject({ allowed: true, degraded: false });
  });

  test.each(['throw', 'allow', 'deny', 'local'] as const)(
    'by a server that is out of memory (%s)',
    async (whenDown) => {
      const downs: Error[] = [];
      const limiter = limiterOn(server(), { limit: 5, period: '1h', whenDown, onDown: (error) => downs.push(error) });
      await limiter.consume(newKey());
      await server().cli('CONFIG', 'SET', 'maxmemory', '1');
      try {
        const error = await failure(limiter.consume(newKey()));
        expect(error).toBeInstanceOf(ReplyError);
        expect(error).toMatchObject({ replyCode: 'OOM' });
      } finally {
        await server().cli('CONFIG', 'SET', 'maxmemory', '0');
      }
      expect(downs).toEqual([]);
      expect(await limiter.consume(newKey())).toMatchObject({ allowed: true, degraded: false });
    },
  );
});
