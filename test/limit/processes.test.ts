import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useRedis } from '../support/redis.js';
import type { ConsumerRequest } from './consumer.js';
import { limiterOn, newKey } from './support.js';

const server = useRedis();
const PROGRAM = fileURLToPath(new URL('consumer.ts', import.meta.url));
let consumers: ChildProcess[] = [];

beforeAll(async () => {
  consumers = [1, 2, 3, 4].map(() =>
    fork(PROGRAM, [server().address], { execArgv: ['--import', 'tsx'], env: { PATH: process.env.PATH } }),
  );
  await Promise.all(consumers.map((consumer) => once(consumer, 'message')));
});
afterAll(() => {
  for (const consumer of consumers) consumer.kill('SIGKILL');
});

/** How many calls each process was allowed. */
function consumeInAll(request: ConsumerRequest): Promise<number[]> {
  return Promise.all(
    consumers.map(async (consumer) => {
      const answer = once(consumer, 'message');
      consumer.send(request);
      return (await answer)[0] as number;
    }),
  );
}

describe.each(['sliding-window', 'gcra', 'fixed-window'] as const)('four processes (%s)', (algorithm) => {
  test('are allowed the limit together, and no more', async () => {
    const key = newKey();
    // GCRA frees one call per 3.6 s at this limit: more than all of this takes would be needed for one more.
    const limit = 1_000;
    const startedAt = performance.now();
    const allowed = await consumeInAll({ algorithm, limit, key, calls: 800, concurrency: 20 });
    const total = allowed.reduce((sum, each) => sum + each, 0);
    const freed = algorithm === 'gcra' ? Math.floor((performance.now() - startedAt) / 3_600) : 0;
    expect(total).toBeGreaterThanOrEqual(limit);
    expect(total).toBeLessThanOrEqual(limit + freed);
    expect(await limiterOn(server(), { algorithm, limit, period: '1h' }).peek(key, limit)).toMatchObject({
      allowed: false,
    });
  });
});
