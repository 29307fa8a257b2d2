import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type RateLimiter, type RateLimiterSettings, type RedisPool, Registry } from '../../src/index.js';
import { type RedisCluster, type RedisServer, startCluster } from '../../src/testing/index.js';
import { eventually } from '../support/eventually.js';
import { engineOf } from '../topology/support.js';

const LIMIT = 5;
let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startCluster({ replicasPerMaster: 0, args: ['--cluster-require-full-coverage', 'no'] });
});
afterAll(() => cluster.stop());

/** What a limiter is asked about: keys of a server that is frozen, and keys of others. */
interface Split {
  readonly limiter: RateLimiter;
  readonly sick: () => string;
  readonly well: () => string;
  readonly events: string[];
}

let prefixes = 0;

async function split(pool: RedisPool, victim: RedisServer, options: RateLimiterSettings): Promise<Split> {
  const events: string[] = [];
  const prefix = `p${++prefixes}:`;
  const limiter = pool.getRateLimiter({
    limit: LIMIT,
    period: '1h',
    prefix,
    onDown: () => events.push('down'),
    onUp: () => events.push('up'),
    ...options,
  });
  const sick: string[] = [];
  const well: string[] = [];
  for (let i = 0; sick.length < 2 || well.length < 7; i++) {
    const owner = await cluster.nodeOf(`${prefix}s3600000:k${i}`);
    (owner === victim ? sick : well).push(`k${i}`);
  }
  // On a busy machine the first answer may take longer than what is an outage here.
  for (const key of [...sick, ...well]) await eventually(async () => !(await limiter.peek(key)).degraded);
  events.length = 0;
  return { limiter, sick: () => sick.pop() as string, well: () => well.pop() as string, events };
}

async function consumed(limiter: RateLimiter, key: string, calls: number): Promise<boolean[]> {
  const results: boolean[] = [];
  for (let i = 0; i < calls; i++) results.push((await limiter.consume(key)).allowed);
  return results;
}

const AS_EVER = [...Array(LIMIT).fill(true), false];

describe('while one server of a cluster is away', () => {
  test.each(['allow', 'deny', 'local'] as const)(
    "'%s' answers for its keys alone, and the keys of the others are counted as ever",
    async (whenDown) => {
      const pool = engineOf(
        new Registry().registerRedisCluster(cluster.addresses, 'default', { commandTimeout: '500ms' }),
      ).getRedis();
      const [victim] = (await cluster.masters()) as [RedisServer];
      const { limiter, sick, well, events } = await split(pool, victim, { whenDown });
      const [down, other] = [sick(), sick()];
      await victim.freeze();
      onTestFinished(() => victim.thaw());
      await limiter.consume(down);
      for (let round = 0; round < 5; round++) {
        expect(await consumed(limiter, well(), LIMIT + 1)).toEqual(AS_EVER);
        const { allowed, degraded } = await limiter.consume(down);
        expect(degraded).toBe(true);
        if (whenDown !== 'local') expect(allowed).toBe(whenDown === 'allow');
      }
      // What the others answer meanwhile does not wipe what was counted here.
      if (whenDown === 'local') expect(await consumed(limiter, other, LIMIT)).toEqual(AS_EVER.slice(0, LIMIT));
      if (whenDown === 'local') expect(await consumed(limiter, down, 2)).toEqual([false, false]);
      await limiter.consume(well());
      if (whenDown === 'local') expect(await consumed(limiter, other, 2)).toEqual([false, false]);
      expect(events).toEqual(['down']);
      await victim.thaw();
      await eventually(async () => !(await limiter.peek(down)).degraded);
      expect(events).toEqual(['down', 'up']);
    },
  );
});
