import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { useRedis } from '../support/redis.js';
import { type App, startApp } from './app.js';
import { FRAMEWORKS } from './frameworks.js';
import { limiterOn } from './limiter.js';

const redis = useRedis();
const limiterOf = (options?: Parameters<typeof limiterOn>[1]) => limiterOn(redis().address, options);

const statusesOf = async (app: App, ...headers: Record<string, string>[]) => {
  const statuses: number[] = [];
  for (const header of headers) statuses.push((await app.get('/', header)).status);
  return statuses;
};

describe.each(Object.keys(FRAMEWORKS))('%s', (framework) => {
  test('by default limits by the address of the connection, whatever a header says', async () => {
    const limiter = limiterOf({ limit: 1 });
    const app = await startApp(framework, [{ limiter }]);

    expect(await statusesOf(app, { 'x-forwarded-for': '192.0.2.1' }, { 'x-forwarded-for': '192.0.2.2' })).toEqual([
      200, 429,
    ]);
    expect((await limiter.peek('127.0.0.1')).remaining).toBe(0);
  });

  test('limits by the address that a trusted proxy names, one of IPv6 by its network', async () => {
    const app = await startApp(framework, [{ limiter: limiterOf({ limit: 1 }) }], { proxied: true });
    const from = (address: string) => ({ 'x-forwarded-for': address });

    expect(await statusesOf(app, from('192.0.2.1'), from('192.0.2.2'), from('192.0.2.1'))).toEqual([200, 200, 429]);
    const neighbours = [from('2001:db8:1:2::1'), from('2001:db8:1:2:aaaa::1'), from('2001:db8:1:3::1')];
    expect(await statusesOf(app, ...neighbours)).toEqual([200, 429, 200]);

    const narrow = await startApp(framework, [{ limiter: limiterOf({ limit: 1 }), ipv6Prefix: 128 }], {
      proxied: true,
    });
    expect(await statusesOf(narrow, ...neighbours)).toEqual([200, 200, 200]);
  });

  test('limits by the key, and not at all where there is none', async () => {
    const limiter = limiterOf({ limit: 1 });
    const app = await startApp(framework, [{ limiter, keyHeader: 'x-user' }]);
    const [ann, bob] = [{ 'x-user': 'ann' }, { 'x-user': 'bob' }];

    expect(await statusesOf(app, ann, bob, ann, {}, {})).toEqual([200, 200, 429, 200, 200]);
    expect((await app.get()).headers.has('ratelimit')).toBe(false);
    expect((await limiter.peek('ann')).remaining).toBe(0);
  });

  test('waits for a key that is found asynchronously', async () => {
    const key = async () => {
      await sleep(5);
      return 'ann';
    };
    const limiter = limiterOf({ limit: 1 });
    const app = await startApp(framework, [{ limiter, key }]);
    expect(await statusesOf(app, {}, {})).toEqual([200, 429]);
    expect((await limiter.peek('ann')).remaining).toBe(0);
  });

  test('skips a request without counting it, and without asking for its key', async () => {
    const limiter = limiterOf();
    const app = await startApp(framework, [
      { limiter, skip: async () => true, key: () => Promise.reject(new Error('was asked')) },
    ]);
    expect(await statusesOf(app, {}, {}, {})).toEqual([200, 200, 200]);
    expect((await limiter.peek('127.0.0.1')).remaining).toBe(2);
  });

  test('counts what a request costs, and nothing for one that costs nothing', async () => {
    const limiter = limiterOf({ limit: 10 });
    const costs = [0, 4, 5, 2, 1];
    const app = await startApp(framework, [{ limiter, cost: async () => costs.shift() as number }]);

    const free = await app.get();
    expect(free.status).toBe(200);
    expect(free.headers.has('ratelimit')).toBe(false);
    expect((await app.get()).headers.get('ratelimit')).toMatch(/;r=6;/);
    expect((await app.get()).headers.get('ratelimit')).toMatch(/;r=1;/);
    expect((await app.get()).status).toBe(429);
    expect((await app.get()).headers.get('ratelimit')).toMatch(/;r=0;/);
  });

  test('a request that can never pass is not told to come back', async () => {
    const app = await startApp(framework, [{ limiter: limiterOf({ limit: 2 }), cost: 3 }]);
    const response = await app.get();
    expect(response.status).toBe(429);
    expect(response.headers.has('retry-after')).toBe(false);
  });

  test('refuses a client whose address nobody knows, rather than not to limit it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lagoon-http-'));
    try {
      const socketPath = join(folder, 'http.sock');
      const app = await startApp(framework, [{ limiter: limiterOf() }], { socket: socketPath });
      const status = await new Promise((resolve, reject) => {
        const request = httpRequest({ socketPath, path: '/' }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.on('error', reject).end();
      });
      expect(status).toBe(500);
      expect(app.errors).toMatchObject([{ code: 'LAGOON_CLIENT_ADDRESS_UNKNOWN' }]);
      expect(app.served).toBe(0);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
