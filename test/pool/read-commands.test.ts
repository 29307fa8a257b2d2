import { expect, test } from 'vitest';
import { isRead, readCommands } from '../../src/pool/replicas/read-commands.js';
import { useRedis } from '../support/redis.js';

const redis = useRedis();

/** What the server itself says of its commands: those that have a key and that it calls read-only, and those that write. */
async function said(): Promise<{ reads: Set<string>; writes: Set<string> }> {
  const reads = new Set<string>();
  const writes = new Set<string>();
  // Name, arity, flags, the first key …
  for (const [name, , flags, firstKey] of (await redis().cli('COMMAND')) as unknown as [
    string,
    0,
    string[],
    number,
  ][]) {
    const upper = name.toUpperCase();
    if (flags.includes('write')) writes.add(upper);
    if (flags.includes('readonly') && (firstKey > 0 || flags.includes('movablekeys'))) reads.add(upper);
  }
  return { reads, writes };
}

test('only what the server calls read-only may go to a replica', async () => {
  const { reads, writes } = await said();
  const known = readCommands().filter((name) => reads.has(name) || writes.has(name));
  expect(known.length).toBeGreaterThan(60);
  expect(known.filter((name) => writes.has(name) || !reads.has(name))).toEqual([]);
});

test('and all of it, but for cursors, scripts and what a replica would keep to itself', async () => {
  const { reads } = await said();
  const own = new Set(readCommands());
  expect([...reads].filter((name) => !own.has(name)).sort()).toEqual(
    ['EVALSHA_RO', 'EVAL_RO', 'FCALL_RO', 'HSCAN', 'SSCAN', 'TOUCH', 'ZSCAN'].sort(),
  );
});

test.each([
  [['GET', 'k'], true],
  [['get', 'k'], true],
  [['gEt', 'k'], true],
  [[Buffer.from('get'), 'k'], true],
  [['JSON.GET', 'k'], true],
  [['ts.range', 'k', '-', '+'], true],
  [['XREAD', 'STREAMS', 'k', '0'], true],
  [['GETEX', 'k'], false],
  [['SET', 'k', 'v'], false],
  [['SCAN', '0'], false],
  [['KEYS', '*'], false],
  [['HSCAN', 'k', '0'], false],
  [['PING'], false],
  [['CONFIG', 'GET', '*'], false],
  [['OBJECT', 'ENCODING', 'k'], false],
  [['EVAL_RO', 'return 1', '0'], false],
  [['WHATEVER', 'k'], false],
])('%j: %s', (args, expected) => {
  expect(isRead(args)).toBe(expected);
});
