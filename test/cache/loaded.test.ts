import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Seen, Watch } from '../../src/cache/loaded.js';
import { RemovalMarks } from '../../src/cache/marks.js';
import type { CacheStore } from '../../src/cache/store.js';
import { Registry } from '../../src/index.js';
import { type RedisCluster, startCluster } from '../../src/testing/index.js';
import { eventually, useRedis } from '../support/redis.js';
import { heldLoader, newName, poolOn } from './support.js';

const server = useRedis();

describe('a load that takes longer than a removal stands marked', () => {
  const EVERY_MS = 150;

  async function longLoad(before: (marks: RemovalMarks) => Promise<unknown> = async () => undefined) {
    const pool = poolOn(server());
    const prefix = `${newName()}#`;
    const marks = new RemovalMarks(pool as unknown as CacheStore, prefix);
    await before(marks);
    const watch = new Watch(marks, (work) => work(), EVERY_MS);
    const seen: Seen = { stored: null, marks: await marks.read('k', undefined) };
    return { pool, prefix, marks, seen, end: watch.begin('k', seen) };
  }

  /** Long enough that what was seen at the beginning says nothing any more. */
  async function untilTooOld({ marks }: Seen): Promise<void> {
    await eventually(() => performance.now() - marks.askedAt > 2.5 * EVERY_MS);
  }

  // Again and again, as on a busy machine the last look may be too long ago.
  test('is stored if nothing was removed', async () => {
    await eventually(async () => {
      const { marks, seen, end } = await longLoad();
      await marks.remove('another');
      await marks.removing('x*');
      await untilTooOld(seen);
      expect(end()).toMatchObject({ stored: null });
    });
  });

  test.each<[string, (marks: RemovalMarks) => Promise<unknown>]>([
    ['its key', (marks) => marks.remove('k')],
    ['a pattern', (marks) => marks.removing('k*')],
  ])('is not if %s was removed, although the mark of that is gone', async (_, remove) => {
    const { pool, prefix, marks, seen, end } = await longLoad();
    await remove(marks);
    await untilTooOld(seen);
    await pool.unlink([`lagoon:removed:${prefix}k`, `lagoon:removed:${prefix}`]);
    await untilTooOld({ ...seen, marks: { ...seen.marks, askedAt: performance.now() } });
    expect(end()).toBeUndefined();
  });

  test('is stored if a mark from before it is gone', async () => {
    await eventually(async () => {
      const { pool, prefix, seen, end } = await longLoad((marks) => marks.remove('k'));
      expect(seen.marks.own).not.toBeNull();
      await pool.unlink(`lagoon:removed:${prefix}k`);
      await untilTooOld(seen);
      expect(end()).toMatchObject({ marks: { own: null, all: null } });
    });
  });

  test('is not if Redis could not be asked for so long', async () => {
    const { seen, end } = await longLoad();
    await server().freeze();
    try {
      await untilTooOld(seen);
      expect(end()).toBeUndefined();
    } finally {
      await server().thaw();
    }
  });
});

describe('in a cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startCluster({ replicasPerMaster: 0 });
  }, 60_000);
  afterAll(() => cluster?.stop());

  test.each(['k', 'a{b}c', 'a{}b', '{', '}{', 'ü'])(
    'a load of %j during which another process removed it is not stored',
    async (key) => {
      const engines = [1, 2].map(() => new Registry().registerRedisCluster(cluster.addresses).validate());
      const prefix = newName();
      const [here, there] = engines.map((engine) => engine.getRedis().getCache({ prefix }));
      if (!here || !there) throw new Error('there are two');
      try {
        for (const remove of [() => there.remove(key), () => there.getDel(key)]) {
          const loader = heldLoader<string>();
          const loading = here.getOrSet(key, loader.load);
          await loader.began;
          await remove();
          loader.give('loaded');
          expect(await loading).toBe('loaded');
          expect(await there.get(key)).toBeUndefined();
          expect(await here.getOrSet(key, () => 'anew')).toBe('anew');
          expect(await there.getOrSet(key, () => 'never')).toBe('anew');
          expect(await there.remove(key)).toBe(1);
        }
        await here.getOrSet(key, () => 'anew');
        expect(await there.clear()).toBe(1);
      } finally {
        await Promise.all(engines.map((engine) => engine.close()));
      }
    },
  );
});
