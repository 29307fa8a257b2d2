import { describe, expect, test } from 'vitest';
import { InvalidArgumentError } from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { usePools } from './support.js';

type Foreign = Record<string, (...args: unknown[]) => unknown>;

describe('names of other clients', () => {
  const open = usePools(useRedis());

  test.each([
    ['mget', 'mGet(…)'],
    ['hgetall', 'hGetAll(…)'],
    ['setex', 'setEx(…)'],
    ['zrangebyscore', 'zRangeByScore(…)'],
    ['flushdb', 'flushDb(…)'],
    ['pipeline', 'execAsPipeline()'],
    ['call', 'sendCommand('],
    ['on', 'registerQueryLogger()'],
    ['duplicate', 'isolated(fn)'],
    ['disconnect', 'engine.close()'],
    ['scanStream', 'scanIterator('],
    ['defineCommand', 'defineScript('],
  ])('%s says to use %s', (name, instead) => {
    const pool = open() as unknown as Foreign;
    expect(() => pool[name]?.('key')).toThrow(InvalidArgumentError);
    expect(() => pool[name]).toThrow(`A pool has no ${name}: use `);
    expect(() => pool[name]).toThrow(instead);
  });

  test('quit says why it is refused', async () => {
    await expect((open() as unknown as Foreign).quit?.()).rejects.toThrow('close the engine instead');
  });

  test('are not found where a library looks at what an object is', async () => {
    const pool = open() as unknown as Foreign;
    expect(await pool).toBe(pool);
    for (const name of ['then', 'toJSON', 'status', 'isOpen', 'isReady', 'options', 'nodes', 'constructor']) {
      expect(() => pool[name], name).not.toThrow();
    }
    const names: string[] = [];
    for (const name in pool) names.push(name);
    expect(names).not.toContain('mget');
    expect(() => JSON.stringify(pool)).not.toThrow();
  });

  test('can be given to a pool all the same', () => {
    const pool = open() as unknown as Foreign;
    pool.on = () => 'mine';
    expect(pool.on()).toBe('mine');
    expect(() => open().withTimeout('1s')).not.toThrow();
  });
});
