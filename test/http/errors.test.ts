import { describe, expect, test } from 'vitest';
import { useRedis } from '../support/redis.js';
import { startApp } from './app.js';
import { FRAMEWORKS } from './frameworks.js';
import { limiterOn } from './limiter.js';

const redis = useRedis();

describe.each(Object.keys(FRAMEWORKS))('%s', (framework) => {
  test.each(['key', 'cost', 'skip', 'onLimited'] as const)(
    'an error of %s goes to its handling of errors',
    async (name) => {
      const broken = async () => {
        throw new Error(`no ${name}`);
      };
      const limiter = limiterOn(redis().address, { limit: 1 });
      await limiter.consume('127.0.0.1');
      const app = await startApp(framework, [{ limiter, [name]: broken }]);

      expect(await app.get()).toMatchObject({ status: 500, content: 'sorry' });
      expect(app.errors).toMatchObject([{ message: `no ${name}` }]);
      expect(app.served).toBe(0);
    },
  );

  test('a key that is none is an error', async () => {
    const app = await startApp(framework, [{ limiter: limiterOn(redis().address), key: () => '' }]);
    expect((await app.get()).status).toBe(500);
    expect(app.errors).toMatchObject([{ code: 'LAGOON_INVALID_ARGUMENT' }]);
    expect(app.served).toBe(0);
  });
});

describe('with Redis down', () => {
  const gone = useRedis();

  describe.each(Object.keys(FRAMEWORKS))('%s', (framework) => {
    test('handles the error', async () => {
      await gone().kill();
      const app = await startApp(framework, [{ limiter: limiterOn(gone().address) }]);
      expect(await app.get()).toMatchObject({ status: 500, content: 'sorry' });
      expect(app.errors).toHaveLength(1);
      expect(app.errors[0]?.code).toMatch(/^LAGOON_(CONNECTION|COMMAND_TIMEOUT)$/);
      expect(app.served).toBe(0);
    });

    test('serves, if the limiter says so', async () => {
      await gone().kill();
      const app = await startApp(framework, [{ limiter: limiterOn(gone().address, { whenDown: 'allow' }) }]);
      const answers = [await app.get(), await app.get(), await app.get()];
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(answers[2]?.headers.get('ratelimit')).toBe('"per-minute";r=2;t=60');
      expect(app.errors).toEqual([]);
    });

    test('denies, if the limiter says so', async () => {
      await gone().kill();
      const app = await startApp(framework, [{ limiter: limiterOn(gone().address, { whenDown: 'deny' }) }]);
      const response = await app.get();
      expect(response.status).toBe(429);
      expect(response.headers.get('retry-after')).toBe('1');
      expect(app.served).toBe(0);
    });
  });
});
