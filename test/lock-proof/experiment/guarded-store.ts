import { defineScript, type RedisPool } from '../../../src/index.js';
import type { StoreEntry } from './history.js';

const LOG = 'log';

/*
 * What a lock guards: a number per resource, on a server that the nemesis leaves alone. It refuses a fence smaller than the
 * greatest that it has seen there. Reading counts as seeing, or a holder that is over could still write after its successor
 * has read. KEYS: resource, log. ARGV: attempt, kind, fence, value to write. Returns whether it was accepted, and the value.
 */
const accessScript = defineScript<readonly [accepted: 0 | 1, value: string]>({
  keys: 2,
  args: 4,
  lua: `
local fence = tonumber(ARGV[3])
local greatest = tonumber(redis.call('HGET', KEYS[1], 'fence') or '0')
local accepted = fence >= greatest
if accepted then
  redis.call('HSET', KEYS[1], 'fence', ARGV[3])
  if ARGV[2] == 'write' then redis.call('HSET', KEYS[1], 'value', ARGV[4]) end
end
local value = redis.call('HGET', KEYS[1], 'value') or '0'
redis.call('RPUSH', KEYS[2], table.concat({ ARGV[1], KEYS[1], ARGV[2], ARGV[3], accepted and 1 or 0, value }, ' '))
return { accepted and 1 or 0, value }`,
});

/** Reads or writes the number of a resource under a fence. */
export async function access(
  pool: RedisPool,
  { attempt, resource, kind, fence, value }: Omit<StoreEntry, 'accepted'>,
): Promise<{ accepted: boolean; value: number }> {
  const reply = await pool.runScript(accessScript, [resource, LOG], [attempt, kind, fence, value]);
  return { accepted: reply[0] === 1, value: Number(reply[1]) };
}

/** All that was done to the store, in order. */
export async function storeLog(pool: RedisPool): Promise<StoreEntry[]> {
  const lines = await pool.lRange(LOG, 0, -1);
  return lines.map((line) => {
    const [attempt = '', resource = '', kind, fence, accepted, value] = line.split(' ');
    const known = { attempt, resource, kind: kind as StoreEntry['kind'] };
    return { ...known, fence: Number(fence), accepted: accepted === '1', value: Number(value) };
  });
}
