import { readFile } from 'node:fs/promises';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError } from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { failure, usePools } from './support.js';

type Calls = Record<string, ((...args: unknown[]) => unknown) & Record<string, (...args: unknown[]) => unknown>>;

/** Calls as of JavaScript, and what is wrong with each. */
const WRONG: readonly [name: string, args: unknown[], message: RegExp | string][] = [
  [
    'set',
    ['k', 'v', 30],
    /options must be an object with EX, .*, got a number\. Call it as set\(key, value, \{ EX: 30 \}\)/,
  ],
  ['set', ['k', 'v', 'EX', 30], 'set takes 3 arguments at most, got 4. Call it as set(key, value, { EX: 30 })'],
  ['set', ['k', 'v', 'NX'], 'options must be an object'],
  ['set', ['k', 'v', { ttl: 30 }], 'options has no "ttl"; it can have EX, EXAT,'],
  ['set', ['k', 'v', { ex: 30 }], 'options has no "ex"; did you mean EX?'],
  [
    'set',
    ['k', 'v', { expiration: 30 }],
    'options.expiration must be a string or an object with type, value, got a number',
  ],
  ['set', ['k', 'v', { expiration: { type: 'EX', seconds: 30 } }], 'options.expiration has no "seconds"'],
  ['set', ['k', 'v', null], 'options must be an object'],
  ['set', ['k', 'v', ['EX', 30]], 'got an array'],
  ['set', ['k', 'v', new Map([['EX', 30]])], 'got a Map'],
  [
    'set',
    ['k', { a: 1 }],
    'value must be a string, a number or a Buffer, got an object; store objects with JSON.stringify(value), or use getCache()',
  ],
  ['set', ['k', undefined], 'value must be a string, a number or a Buffer, got undefined'],
  ['set', ['k'], 'set takes 2 arguments, got 1'],
  ['set', [5, 'v'], 'key must be a string or a Buffer, got a number; write String(value)'],
  ['get', [undefined], 'key must be a string or a Buffer, got undefined. Call it as get(key)'],
  ['get', [null], 'key must be a string or a Buffer, got null'],
  ['get', [], 'get takes 1 argument, got 0'],
  ['get', ['k', 'x'], 'get takes 1 argument at most, got 2. Call it as get(key)'],
  ['del', ['a', 'b'], "del takes 1 argument at most, got 2. Call it as del(['a', 'b'])"],
  ['exists', ['a', 'b'], "Call it as exists(['a', 'b'])"],
  ['mGet', ['a', 'b'], "Call it as mGet(['a', 'b'])"],
  ['mGet', [['a', undefined]], 'keys[1] must be a string or a Buffer, got undefined'],
  ['lPush', ['k', 'a', 'b'], "lPush(key, ['a', 'b'])"],
  ['sAdd', ['k', 'a', 'b'], "sAdd(key, ['a', 'b'])"],
  ['sAdd', ['k', [1]], 'members[0] must be a string or a Buffer, got a number; write String(value)'],
  ['incr', ['k', 5], 'incrBy(key, 5)'],
  ['lPop', ['k', 5], 'lPopCount(key, 5)'],
  ['mSet', ['a', '1', 'b', '2'], 'Call it as mSet({ key: value })'],
  ['mSet', ['a'], 'toSet must be'],
  ['mSet', [Buffer.from('ab')], 'toSet must be'],
  ['mSet', [new Set(['a'])], 'got a Set'],
  ['set', ['k', 'v', new Set(['NX'])], 'got a Set'],
  ['set', ['k', 'v', Buffer.from('NX')], 'got a Buffer'],
  ['set', ['k', 'v', new Date()], 'got a Date'],
  ['mSet', [{ a: undefined }], 'a value of toSet must be'],
  ['hSet', ['k', 'f', 'v', 'f2', 'v2'], 'hSet takes 3 arguments at most, got 5'],
  ['hSet', ['k', { f: 'v' }, 'x'], 'field must be'],
  ['hSet', ['k', 'f'], 'value must be'],
  ['hSet', ['k', { f: { nested: true } }], 'JSON.stringify(value)'],
  ['hGetAll', ['k', 'x'], 'at most'],
  ['zAdd', ['k', 1, 'member'], "Call it as zAdd(key, { score: 1, value: 'member' })"],
  ['zAdd', ['k', { score: 1, member: 'm' }], 'members has no "member"'],
  ['zAdd', ['k', [{ score: 1, member: 'm' }]], 'members[0] has no "member"'],
  ['zAdd', ['k', { score: 1, value: 'm' }, 'NX'], 'options must be'],
  ['zRange', ['k', 0, -1, 'WITHSCORES'], 'zRangeWithScores(key, 0, -1)'],
  ['zRange', ['k', 0, -1, { rev: true }], 'did you mean REV?'],
  ['xAdd', ['k', '*', 'f', 'v'], "xAdd(key, '*', { field: 'value' })"],
  ['xAdd', ['k', '*', 'f'], 'message must be an object'],
  ['eval', ['return 1', 0], "eval(script, { keys: ['key'], arguments: ['value'] })"],
  ['eval', ['return 1', 1, 'k', 'a'], 'eval takes 2 arguments at most, got 4'],
  ['eval', ['return 1', { keys: ['k'], args: ['a'] }], 'options has no "args"'],
  ['expire', ['k', 10, { NX: true }], 'mode must be'],
  ['expire', ['k'], 'expire takes 2 arguments, got 1'],
  ['scan', ['0', { match: 'x*' }], 'did you mean MATCH?'],
  ['scan', ['0', 'MATCH', 'x*'], 'scan takes 2 arguments at most, got 3'],
  ['blPop', ['a', 'b', 1], 'blPop takes 2 arguments at most, got 3'],
  ['xRead', ['STREAMS', 'k', '0'], 'at most'],
  ['xRead', ['k', '0'], "Call it as xRead({ key, id: '0' }"],
  ['aclDryRun', ['user', 'get k'], 'command must be an array'],
  ['json.set', ['k', '$', 1, 'NX'], 'options must be'],
  ['json.set', ['k', '$', 1, { nx: true }], 'did you mean NX?'],
  ['json.get', ['k', '$'], 'options must be'],
  ['bf.add', ['k', 'a', 'b'], 'bf.add takes 2 arguments at most, got 3'],
  ['ft.search', ['i', 'q', { limit: { from: 0, size: 1 } }], 'did you mean LIMIT?'],
  ['ft.search', ['i', 'q', { LIMIT: { offset: 0, count: 1 } }], 'options.LIMIT has no "offset"'],
  ['ft.create', ['i', { a: { type: 'TEXT', sortable: true } }], 'did you mean SORTABLE?'],
  ['ts.add', ['k', '*', 1, { labels: { a: 'b' } }], 'did you mean LABELS?'],
];

function call(target: unknown, name: string, args: unknown[]): unknown {
  const [method = '', fn] = name.split('.');
  const owner = (fn === undefined ? target : (target as Calls)[method]) as Calls;
  return (owner[fn ?? method] as Calls[string])(...args);
}

describe('a typed call that node-redis would misunderstand', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test.each(WRONG)('%s(%j) is refused with the right call', async (name, args, message) => {
    const error = await failure(() => call(open(), name, args));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).message).toMatch(message);
  });

  test('is refused in multi(), by each of its names, and on isolated connections', async () => {
    const pool = open();
    const ofMulti = async (name: string, args: unknown[]) => {
      const multi = pool.multi();
      call(multi as unknown as Calls, name, args);
      return (await failure(multi.get('k').exec())) as Error;
    };
    for (const [name, args, message] of WRONG) expect((await ofMulti(name, args)).message, name).toMatch(message);
    for (const name of ['SET', 'set']) expect(await ofMulti(name, ['k', 'v', 30])).toBeInstanceOf(InvalidArgumentError);
    expect(await ofMulti('json.SET', ['k', '$', 1, 'NX'])).toBeInstanceOf(InvalidArgumentError);
    await pool.isolated(async (own) => {
      for (const [name, args, message] of WRONG) {
        expect(((await failure(() => call(own, name, args))) as Error).message, name).toMatch(message);
      }
    });
  });

  test('sends nothing', async () => {
    const pool = open();
    for (const [name, args] of WRONG) await failure(() => call(pool, name, args));
    expect(pool.stats().connections).toBe(0);
  });

  test('is refused by iterators', async () => {
    const pool = open() as unknown as Calls;
    expect(() => call(pool, 'scanIterator', [{ match: 'x*' }])).toThrow('did you mean MATCH?');
    expect(() => call(pool, 'scanIterator', ['x*'])).toThrow("scanIterator({ MATCH: 'user:*', COUNT: 100 })");
    expect(() => call(pool, 'hScanIterator', ['k', 'x*'])).toThrow('options must be');
  });

  test('never shows a value', async () => {
    const secret = 'hunter2';
    const pool = open();
    for (const args of [
      ['k', { [secret.length]: secret }],
      ['k', 'v', secret],
      ['k', [secret]],
      ['k', secret, secret, 1],
    ]) {
      expect(String(await failure(() => call(pool, 'set', args)))).not.toContain(secret);
    }
  });
});

describe('a typed call as the types have it', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test('goes through, in the older spellings too', async () => {
    const pool = open();
    await pool.set('k', 'v', { EX: 30 });
    expect(await pool.ttl('k')).toBeGreaterThan(0);
    await pool.set('k', 'v', { expiration: 'KEEPTTL' });
    await pool.set('k', 'v', { KEEPTTL: true, XX: true, GET: true });
    await pool.set('k', 5, undefined);
    await pool.set('k', 'v', {});
    await pool.hSet('h', { a: 1, b: Buffer.from('2') });
    await pool.hSet('h', new Map([['c', '3']]));
    await pool.hSet('h', ['d', '4', 'e', '5']);
    await pool.hSet('h', [['f', '6']]);
    await pool.hSet('h', 'g', 7);
    expect(await pool.hLen('h')).toBe(7);
    await pool.mSet([
      ['a', '1'],
      ['b', '2'],
    ]);
    await pool.mSet(['c', '3']);
    await pool.zAdd('z', [{ score: 1, value: 'a' }], { NX: true });
    expect(await pool.zRange('z', '-', '+', { BY: 'LEX', LIMIT: { offset: 0, count: 1 } })).toEqual(['a']);
    await pool.xAdd('x', '*', { f: 'v' }, { TRIM: { strategy: 'MAXLEN', strategyModifier: '~', threshold: 10 } });
    class Fields {
      g = '7';
    }
    await pool.hSet('h', new Fields() as unknown as Record<string, string>);
    await pool.hSet('h', runInNewContext("({ g: '7' })"));
    await pool.set('k', 'v', runInNewContext('({})'));
    expect(await pool.latencyReset('command', 'fork')).toBe(0);
    expect(await pool.ping()).toBe('PONG');
  });

  test('may have undefined for what is left out', async () => {
    const pool = open() as unknown as Calls;
    expect(await call(pool, 'get', ['none', undefined])).toBeNull();
    expect(await call(pool, 'set', ['k', 'v', { EX: undefined }])).toBe('OK');
  });
});

const SCRIPTS = '../../scripts';

interface TableScript {
  readonly TABLE: string;
  callTable(signatures: unknown): Promise<string>;
}

interface SignaturesScript {
  readSignatures(): Promise<unknown>;
}

describe('the table of calls', () => {
  test('is what the type declarations of node-redis say', { timeout: 120_000 }, async () => {
    const { callTable, TABLE } = (await import(`${SCRIPTS}/call-table.mjs`)) as TableScript;
    const { readSignatures } = (await import(`${SCRIPTS}/call-signatures.mjs`)) as SignaturesScript;
    const now = await callTable(await readSignatures());
    expect(now, 'run: node scripts/call-table.mjs').toBe(await readFile(TABLE, 'utf8'));
  });
});
