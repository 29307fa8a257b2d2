import { describe, expect, test } from 'vitest';
import { Deferred } from '../../src/deferred.js';
import { engineOn } from '../support/engine.js';
import { useRedis } from '../support/redis.js';

const server = useRedis();

describe('engine.close()', () => {
  test.each([
    ['without a lock', { prefix: 'plain', ttl: '1h' as const }, {}],
    ['with a lock', { prefix: 'locked', ttl: '1h' as const }, { lock: true }],
    ['with a lock, over several lanes', { prefix: 'lanes', ttl: '1h' as const }, { lock: true, lanes: 3 }],
  ])(
    'waits for a load, which is stored: %s',
    async (_, options, { lanes = 1, ...load }: { lanes?: number; lock?: boolean }) => {
      const engine = engineOn(server().address, { pool: { lanes } });
      const loading = new Deferred<void>();
      const end = new Deferred<string>();
      const cache = engine.getRedis().getCache<string>(options);
      const value = cache.getOrSet(
        'k',
        () => {
          loading.resolve();
          return end.promise;
        },
        load,
      );
      await loading.promise;
      const closing = engine.close();
      setTimeout(() => end.resolve('loaded'), 50);
      await closing;
      expect(await value).toBe('loaded');
      const { prefix } = options;
      expect(await server().cli('GET', `${prefix}#k`)).toBe('"loaded"');
      expect(await server().cli('EXISTS', `lagoon:load:${prefix}#k`)).toBe(0);
    },
  );
});
