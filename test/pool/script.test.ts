import { describe, expect, test } from 'vitest';
import { AbortError, defineScript, InvalidArgumentError, PoolOverloadedError, ReplyError } from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { commandCalls, failure, usePools } from './support.js';

const BUMP = defineScript({
  lua: '-- KEYS[1] a counter, ARGV[1] a step; returns the counter\nreturn redis.call("INCRBY", KEYS[1], ARGV[1])',
  keys: 1,
  args: 1,
  transform: (reply) => ({ count: Number(reply) }),
});

describe('runScript()', () => {
  const redis = useRedis();
  const open = usePools(redis);

  /** EVALSHA and EVAL calls since the last call of this. */
  async function calls(): Promise<{ evalsha: number; eval: number }> {
    const { evalsha = 0, eval: evals = 0 } = await commandCalls(redis());
    await redis().cli('CONFIG', 'RESETSTAT');
    return { evalsha, eval: evals };
  }

  test('sends the source once, and again only after the server forgot it', async () => {
    const pool = open();
    await pool.scriptFlush();
    await calls();
    expect(await pool.runScript(BUMP, ['s:n'], [2])).toEqual({ count: 2 });
    expect(await calls()).toEqual({ evalsha: 1, eval: 1 });
    expect(await pool.runScript(BUMP, ['s:n'], [3])).toEqual({ count: 5 });
    expect(await calls()).toEqual({ evalsha: 1, eval: 0 });
    await pool.scriptFlush();
    expect(await pool.runScript(BUMP, ['s:n'], [1])).toEqual({ count: 6 });
    expect(await calls()).toEqual({ evalsha: 1, eval: 1 });
  });

  test('runs each of many concurrent calls exactly once when the script is unknown', async () => {
    const pool = open();
    await pool.scriptFlush();
    const replies = await Promise.all(Array.from({ length: 50 }, () => pool.runScript(BUMP, ['s:many'], [1])));
    expect(replies.map(({ count }) => count).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, i) => i + 1),
    );
  });

  test('takes Buffers and numbers, and gives the reply as node-redis decodes it without a transform', async () => {
    const echo = defineScript({ lua: 'return {KEYS[1], ARGV[1], ARGV[2], #KEYS, #ARGV}' });
    const binary = Buffer.from([0, 255, 13, 10]);
    const pool = open();
    expect(await pool.runScript(echo, ['key', 'other'], [1.5, 'text'])).toEqual(['key', '1.5', 'text', 2, 2]);
    const store = defineScript({ lua: 'return redis.call("SET", KEYS[1], ARGV[1])' });
    await pool.runScript(store, [Buffer.from('s:binary')], [binary]);
    expect(await pool.sendCommand(['STRLEN', 's:binary'])).toBe(4);
    expect(await pool.runScript(defineScript({ lua: 'return 1' }), [])).toBe(1);
  });

  test('puts the prefix before every key', async () => {
    const pool = open({ keyPrefix: 'p:' });
    await pool.runScript(BUMP, [Buffer.from('s:prefixed')], [7]);
    await pool.runScript(BUMP, ['s:prefixed'], [1]);
    expect(await redis().cli('GET', 'p:s:prefixed')).toBe('8');
  });

  test('hands on the error of the script', async () => {
    const wrong = defineScript({ lua: 'return redis.error_reply("OWN reason")' });
    const error = (await failure(open().runScript(wrong, []))) as ReplyError;
    expect(error).toBeInstanceOf(ReplyError);
    expect(error.replyCode).toBe('OWN');
    const broken = defineScript({ lua: 'this is not Lua' });
    expect(await failure(open().runScript(broken, []))).toBeInstanceOf(ReplyError);
  });

  test('rejects with what the transform throws', async () => {
    const own = new Error('own');
    const script = defineScript({
      lua: 'return 1',
      transform: () => {
        throw own;
      },
    });
    expect(await failure(open().runScript(script, []))).toBe(own);
  });

  test.each<[string, string[], unknown[]]>([
    ['too few keys', [], [1]],
    ['too many keys', ['a', 'b'], [1]],
    ['too few arguments', ['a'], []],
    ['too many arguments', ['a'], [1, 2]],
    ['an argument that is neither text nor a number', ['a'], [null]],
    ['NaN', ['a'], [Number.NaN]],
    ['a key that is a number', [5 as never], [1]],
    ['no array of keys', undefined as never, [1]],
    ['no array of arguments', ['a'], 1 as never],
  ])('refuses %s, and sends nothing', async (_, keys, args) => {
    const pool = open();
    expect(await failure(pool.runScript(BUMP, keys, args as never))).toBeInstanceOf(InvalidArgumentError);
    expect(pool.stats().connections).toBe(0);
  });

  test('heeds the signal of its view and the limits of the pool', async () => {
    const pool = open({ maxPending: 1 });
    const aborted = pool.withAbortSignal(AbortSignal.abort()).runScript(BUMP, ['s:aborted'], [1]);
    expect(await failure(aborted)).toBeInstanceOf(AbortError);
    const first = pool.runScript(BUMP, ['s:one'], [1]);
    expect(await failure(pool.runScript(BUMP, ['s:one'], [1]))).toBeInstanceOf(PoolOverloadedError);
    expect(await first).toEqual({ count: 1 });
    expect(await pool.exists('s:aborted')).toBe(0);
  });
});

describe('runScript() of an isolated connection', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test('runs there, known to the server or not, with the prefix and the transform', async () => {
    const pool = open({ keyPrefix: 'p:' });
    await pool.scriptFlush();
    const [id, replies] = await pool.isolated(async (own) => {
      const { count } = await own.runScript(BUMP, ['n'], [2]);
      await own.watch('n');
      return [await own.clientId(), [count, (await own.runScript(BUMP, ['n'], [3])).count]];
    });
    expect(replies).toEqual([2, 5]);
    expect(await redis().cli('GET', 'p:n')).toBe('5');
    // The connection went back clean.
    expect(await pool.isolated((own) => own.clientId())).toBe(id);
  });

  test('gives a batched script its one call, with what it shares and with its error', async () => {
    const both = defineScript<string>({
      lua: `local replies = {}
        for i = 2, #KEYS do
          replies[i - 1] = ARGV[i] == 'bad' and redis.error_reply('BAD it is') or KEYS[1] .. KEYS[i] .. ARGV[1] .. ARGV[i]
        end
        return replies`,
      keys: 1,
      args: 1,
      batch: 8,
    });
    const shared = { keys: ['k0'], args: ['a0'] };
    await open().isolated(async (own) => {
      expect(await own.runScript(both, ['k1'], ['a1'], shared)).toBe('k0k1a0a1');
      expect(await failure(own.runScript(both, ['k1'], ['bad'], shared))).toMatchObject({ replyCode: 'BAD' });
      expect(await failure(own.runScript(both, [], ['a1']))).toBeInstanceOf(InvalidArgumentError);
    });
  });
});

describe('defineScript()', () => {
  test('makes an immutable script that knows its SHA-1', () => {
    const script = defineScript({ lua: 'return 1' });
    expect(script.sha).toBe('e0e1f9fabfc9d4800c877a703b823ac0578ff8db');
    expect(Object.isFrozen(script)).toBe(true);
  });

  test.each<[string, object]>([
    ['no source', { lua: ' ' }],
    ['a source that is no text', { lua: 5 }],
    ['a count of keys that is not whole', { lua: 'return 1', keys: 1.5 }],
    ['a negative count of arguments', { lua: 'return 1', args: -1 }],
    ['a batch of none', { lua: 'return {}', keys: 1, args: 0, batch: 0 }],
    ['a batch without the counts of one call', { lua: 'return {}', batch: 8 }],
    ['usual arguments of another number', { lua: 'return {}', keys: 1, args: 2, batch: 8, usual: [1] }],
    ['a batch without keys', { lua: 'return {}', keys: 0, args: 1, batch: 8 }],
  ])('refuses %s', (_, definition) => {
    expect(() => defineScript(definition as never)).toThrow(InvalidArgumentError);
  });
});
