import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommandKeys } from '../../../src/config/types.js';
import { CrossSlotError } from '../../../src/index.js';
import { keysOf, NO_SLOT, sharedSlot, slotOfCommand, slotOfCommands } from '../../../src/pool/cluster/keys.js';
import { SLOTS, slotOf, tagOf } from '../../../src/pool/cluster/slot.js';
import { useRedis } from '../../support/redis.js';

const redis = useRedis({ args: ['--cluster-enabled', 'yes'] });

describe('the keys of a command that the configuration declares', () => {
  const declared = new Map<string, CommandKeys>([
    ['MY.GET', { first: 1 }],
    ['MY.MGET', { first: 1, last: -1 }],
    ['MY.MSET', { first: 1, last: -1, step: 2 }],
    ['MY.COPY', { first: 2, last: 3 }],
    ['MY.TAIL', { first: 1, last: -2 }],
    ['MY.MERGE', { count: 2 }],
    ['MY.STATS', 'none'],
  ]);

  test.each([
    ['MY.GET a b', ['a']],
    ['my.get a b', ['a']],
    ['MY.MGET a b a', ['a', 'b', 'a']],
    ['MY.MSET a 1 b 2', ['a', 'b']],
    ['MY.COPY x a b y', ['a', 'b']],
    ['MY.TAIL a b 5', ['a', 'b']],
    ['MY.MERGE x 2 a b y', ['a', 'b']],
    ['MY.STATS a', []],
    ['MY.OTHER a b', ['a']],
  ])('are where it says: %s', (line, keys) => {
    expect(keysOf(line.split(' '), declared)).toEqual(keys);
    const slot = slotOfCommand(line.replace(/\b([ab])\b/g, '{t}$1').split(' '), declared);
    expect(slot).toBe(keys.length > 0 ? slotOf('{t}') : NO_SLOT);
  });
});

describe('slotOf', () => {
  test.each([
    '',
    'key',
    '{tag}key',
    'key{tag}',
    '{}key',
    '{tag',
    'tag}',
    'a{}{b}',
    '{{a}}',
    'foo{bar}{zap}',
    'ключ',
    '{é}x',
    '\u{1f600}',
  ])('is what the server says of %j', async (key) => {
    const slot = Number(await redis().cli('CLUSTER', 'KEYSLOT', key));
    expect(slotOf(key)).toBe(slot);
    expect(slotOf(Buffer.from(key))).toBe(slot);
  });

  test('is what the server says of any key', async () => {
    const part = fc.constantFrom('{', '}', 'a', 'b:', 'é', '\u{1f600}', '1');
    const keys = fc.sample(
      fc.oneof(
        fc.array(part).map((parts) => parts.join('')),
        fc.string(),
      ),
      300,
    );
    const replies = await redis().exchange(keys.map((key) => ['CLUSTER', 'KEYSLOT', key]));
    expect(keys.map((key) => slotOf(key))).toEqual(replies.map(Number));
  });
});

test('every slot has a tag of its own, the same each time', () => {
  const tags = Array.from({ length: SLOTS }, (_, slot) => tagOf(slot));
  expect(tags.map((tag) => slotOf(`any:key{${tag}}`))).toEqual([...tags.keys()]);
  expect(Math.max(...tags.map((tag) => tag.length))).toBeLessThanOrEqual(4);
});

const COMMANDS = `
GET a
SET a v EX 10
MGET a b c
MSET a 1 b 2
MSETNX a 1 b 2
DEL a b
UNLINK a b
EXISTS a b
RENAME a b
COPY a b DB 0
BITOP AND a b c
PFMERGE a b c
PFCOUNT a b
SINTERSTORE a b c
SINTERCARD 2 a b LIMIT 1
SMOVE a b m
LMOVE a b LEFT RIGHT
RPOPLPUSH a b
BLMOVE a b LEFT RIGHT 1
BRPOPLPUSH a b 1
BLPOP a b 1
BZPOPMIN a b 1
LMPOP 2 a b LEFT
BLMPOP 1 2 a b LEFT
ZMPOP 2 a b MIN
BZMPOP 1 2 a b MIN
ZUNION 2 a b WITHSCORES
ZUNIONSTORE a 2 b c WEIGHTS 1 2
ZDIFFSTORE a 2 b c
ZRANGESTORE a b 0 1
ZADD a 1 m
GEOSEARCHSTORE a b FROMMEMBER m BYRADIUS 1 m
GEORADIUS a 1 2 3 m STORE b
GEORADIUSBYMEMBER a m 1 m STOREDIST b
SORT a BY nosort STORE b
LCS a b LEN
EVAL return 2 a b arg
EVALSHA 0000 1 a arg
FCALL f 2 a b arg
XADD a * f v
XREAD COUNT 1 STREAMS a b 0 0
XREADGROUP GROUP g c COUNT 1 STREAMS a b > >
XINFO STREAM a
XGROUP CREATE a g 0
OBJECT ENCODING a
MEMORY USAGE a
MIGRATE host 1 a 0 1
MIGRATE host 1  0 1 KEYS a b
HSET a f v
SPUBLISH a m
WATCH a b`
  .trim()
  .split('\n');

describe('the keys of a command', () => {
  test.each(COMMANDS)('are those that the server sees: %s', async (line) => {
    const args = line.split(' ');
    const keys = args[0] === 'SPUBLISH' ? ['a'] : await redis().cli('COMMAND', 'GETKEYS', ...args);
    expect(keysOf(args)).toEqual(keys);
    expect(keysOf([Buffer.from(line.split(' ')[0]?.toLowerCase() ?? ''), ...args.slice(1)])).toEqual(keys);
  });

  test.each([
    'PING',
    'INFO server',
    'DBSIZE',
    'PUBLISH channel message',
    'SCRIPT LOAD lua',
    'EVAL return 0',
    'KEYS *',
    'XINFO HELP',
  ])('are none, so that any server will do: %s', (line) => {
    expect(slotOfCommand(line.split(' '))).toBe(NO_SLOT);
  });

  test('are that of a command nobody knows, behind its name', () => {
    expect(slotOfCommand(['MY.COMMAND', 'a', 'b'])).toBe(slotOf('a'));
  });

  test('must share a slot, or an error says how they can', () => {
    expect(() => slotOfCommand(['MGET', 'a', 'b'])).toThrow(CrossSlotError);
    expect(() => slotOfCommand(['MGET', 'a', 'b'])).toThrow(/MGET.*"a" and "b".*\{user:1\}:cart/);
    expect(slotOfCommand(['MGET', '{x}a', '{x}b'])).toBe(slotOf('x'));
    expect(() => slotOfCommands('A transaction', [['PING'], ['GET', 'a'], ['SET', 'b', '1']])).toThrow(
      /A transaction.*"a" and "b"/,
    );
    expect(slotOfCommands('A transaction', [['PING'], ['GET', '{x}a'], ['GET', '{x}b']])).toBe(slotOf('x'));
    expect(() => sharedSlot('A script', ['a', Buffer.from('b')])).toThrow(/A script/);
    expect(sharedSlot('A script', [])).toBe(NO_SLOT);
  });
});
