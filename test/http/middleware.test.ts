import { describe, expect, test } from 'vitest';
import { useRedis } from '../support/redis.js';
import { startApp } from './app.js';
import { FRAMEWORKS } from './frameworks.js';
import { limiterOn } from './limiter.js';

const redis = useRedis();
const limiterOf = (options?: Parameters<typeof limiterOn>[1]) => limiterOn(redis().address, options);

describe.each(Object.keys(FRAMEWORKS))('%s', (framework) => {
  test('a request within the limit goes on, and its answer says how the client stands', async () => {
    const app = await startApp(framework, [{ limiter: limiterOf() }]);

    const response = await app.get();
    expect(response).toMatchObject({ status: 200, content: 'hello' });
    expect(response.headers.get('ratelimit-policy')).toBe('"per-minute";q=2;w=60');
    expect(response.headers.get('ratelimit')).toBe('"per-minute";r=1;t=60');
    expect(response.headers.has('retry-after')).toBe(false);
    expect(response.headers.has('x-ratelimit-limit')).toBe(false);
  });

  test('a request beyond the limit is answered with 429, how long to wait, and a JSON problem', async () => {
    const app = await startApp(framework, [{ limiter: limiterOf() }]);
    await app.get();
    await app.get();

    const response = await app.get();
    expect(response.status).toBe(429);
    const wait = Number(response.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(30);
    expect(wait).toBeLessThanOrEqual(60);
    // A client that obeys either comes back at the same time.
    expect(response.headers.get('ratelimit')).toBe(`"per-minute";r=0;t=${wait}`);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(JSON.parse(response.content)).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Request cannot be satisfied as assigned quota has been exceeded',
      status: 429,
      'violated-policies': ['per-minute'],
    });
    expect(app.served).toBe(2);
    expect(app.errors).toEqual([]);
  });

  test('the answer can be text, tell the old headers, or no more than when to come back', async () => {
    const limiter = limiterOf({ limit: 1 });
    const told = await startApp(framework, [{ limiter, legacyHeaders: true, body: 'text' }]);
    const { headers } = await told.get();
    expect(headers.get('x-ratelimit-limit')).toBe('1');
    expect(headers.get('x-ratelimit-remaining')).toBe('0');
    expect(headers.get('x-ratelimit-reset')).toBe('60');

    const denied = await told.get();
    expect(denied.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(denied).toMatchObject({ status: 429, content: 'Too many requests, please try again later.\n' });

    const silent = await startApp(framework, [{ limiter, headers: false }]);
    const response = await silent.get();
    expect(response.status).toBe(429);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(30);
    expect([...response.headers.keys()].filter((name) => name.includes('ratelimit'))).toEqual([]);
  });

  test('the application can answer denied requests itself, with the status and the headers set', async () => {
    const app = await startApp(framework, [{ limiter: limiterOf({ limit: 1 }), ownAnswer: true }]);
    await app.get();

    const response = await app.get();
    expect(response).toMatchObject({ status: 429, content: 'wait per-minute' });
    expect(response.headers.get('x-own')).toBe('1');
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(response.headers.has('retry-after')).toBe(true);
    expect(response.headers.get('ratelimit-policy')).toBe('"per-minute";q=1;w=60');
    expect(app.served).toBe(1);
  });

  test('each of two limiters adds its own to the answer, and both must have room', async () => {
    const site = limiterOf({ limit: 10, name: 'site' });
    const route = limiterOf({ limit: 1, name: 'route' });
    const app = await startApp(framework, [
      { limiter: site, legacyHeaders: true },
      { limiter: route, legacyHeaders: true },
    ]);

    const { headers } = await app.get();
    // Those that are no lists are of the limiter that is nearest to what was asked for.
    expect(headers.get('x-ratelimit-limit')).toBe('1');
    expect(headers.get('ratelimit-policy')?.split(', ').sort()).toEqual(['"route";q=1;w=60', '"site";q=10;w=60']);
    expect(headers.get('ratelimit')?.split(', ').sort()).toEqual(['"route";r=0;t=60', '"site";r=9;t=60']);

    const denied = await app.get();
    expect(denied.status).toBe(429);
    expect(JSON.parse(denied.content)['violated-policies']).toEqual(['route']);
    expect(denied.headers.get('ratelimit')).toMatch(/"site";r=8;t=\d+/);
    expect(denied.headers.has('retry-after')).toBe(true);
  });

  test('of requests at the same time exactly as many pass as there is room for', async () => {
    const app = await startApp(framework, [{ limiter: limiterOf({ limit: 10 }) }]);

    const answers = await Promise.all(Array.from({ length: 40 }, () => app.get()));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(30);
    expect(app.served).toBe(10);
    const left = answers.filter(({ status }) => status === 200).map(({ headers }) => headers.get('ratelimit'));
    expect(new Set(left).size).toBe(10);
  });

  test('in shadow mode all pass, and what would not have is told', async () => {
    const told: unknown[] = [];
    const app = await startApp(framework, [
      {
        limiter: limiterOf({ limit: 1, shadow: true }),
        onLimited: (_request, { allowed, key, result }) => told.push({ allowed, key, exceeded: result.exceeded }),
      },
    ]);

    expect((await app.get()).status).toBe(200);
    expect(told).toEqual([]);
    const beyond = await app.get();
    expect(beyond.status).toBe(200);
    expect(beyond.headers.has('retry-after')).toBe(false);
    expect(told).toEqual([{ allowed: true, key: '127.0.0.1', exceeded: true }]);
    expect(app.served).toBe(2);
  });

  test('an error of the application is its own, and the answer still says how the client stands', async () => {
    const app = await startApp(framework, [{ limiter: limiterOf() }]);

    const response = await app.get('/broken');
    expect(response).toMatchObject({ status: 500, content: 'sorry' });
    expect(response.headers.get('ratelimit')).toBe('"per-minute";r=1;t=60');
    expect(app.errors).toMatchObject([{ message: 'broken' }]);
    expect(app.served).toBe(1);
  });
});

test('a handler of Hono that makes a Response of its own has the headers too', async () => {
  const app = await startApp('Hono', [{ limiter: limiterOf() }]);
  const response = await app.get('/raw');
  expect(response).toMatchObject({ status: 200, content: 'hello' });
  expect(response.headers.get('ratelimit')).toBe('"per-minute";r=1;t=60');
});
