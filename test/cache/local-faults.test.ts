import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { RedisPool } from '../../src/index.js';
import { connectionsOf } from '../pool/support.js';
import { failure } from '../support/engine.js';
import { eventually, startProxy, useRedis } from '../support/redis.js';
import { startGate } from './gate.js';
import { isUp, localCacheOn, type Probe, poolOn, servedLocally, turns, warm } from './support.js';

const server = useRedis();
const HEARTBEAT_MS = 200;
/** What the local tier promises: the heartbeat, and as long again for its answer. */
const BOUND_MS = 2 * HEARTBEAT_MS;
const LOCAL = { local: { heartbeat: HEARTBEAT_MS } };

/** For `ms`, writes numbers directly and reads them from the cache; gives how long a value was read after it was replaced. */
async function staleness({ cache, name }: Probe<unknown>, direct: RedisPool, ms: number): Promise<number> {
  const replacedAt: number[] = [];
  let worst = 0;
  const end = performance.now() + ms;
  const writing = (async () => {
    for (let i = 1; performance.now() < end; i++) {
      await direct.set(name('k'), String(i));
      replacedAt[i - 1] = performance.now();
      await sleep(2);
    }
  })();
  while (performance.now() < end) {
    const askedAt = performance.now();
    const value = await cache.get('k').catch(() => undefined);
    const replaced = replacedAt[Number(value)];
    if (value !== undefined && replaced !== undefined) worst = Math.max(worst, askedAt - replaced);
    await turns(1);
  }
  await writing;
  return worst;
}

/** How long the cache still serves a key by itself. */
async function servesFor({ cache }: Probe<unknown>): Promise<number> {
  const from = performance.now();
  let last = from;
  while (performance.now() - from < 2.5 * BOUND_MS) {
    const { localHits } = cache.stats();
    void cache.get('k').catch(() => undefined);
    if (cache.stats().localHits > localHits) last = performance.now();
    await sleep(1);
  }
  return last - from;
}

async function trackingIds(name: string): Promise<string[]> {
  return (await connectionsOf(server(), name))
    .filter(({ flags }) => flags?.includes('t'))
    .map(({ id }) => id as string);
}

function report(what: string, ms: number): void {
  console.log(`stale for at most ${ms.toFixed(0)} ms after ${what}; promised: ${BOUND_MS} ms`);
}

describe('a tracking connection that', () => {
  test('was killed is replaced, and what was missed is not served', async () => {
    const probe = await localCacheOn(server(), LOCAL, { clientName: 'killed' });
    const { cache, name, events } = probe;
    const direct = poolOn(server());
    for (let round = 1; round <= 5; round++) {
      await cache.put('k', 'old', { ttl: '1m', grace: round % 2 ? '1m' : 0 });
      await warm(cache, 'k');
      const [id = ''] = await trackingIds('killed');
      // Killed and written in one go: nobody can tell of the write.
      await Promise.all([direct.sendCommand(['CLIENT', 'KILL', 'ID', id]), direct.set(name('k'), '"new"')]);
      await isUp(probe, round + 1);
      expect(await cache.get('k')).toBe('new');
      await warm(cache, 'k');
    }
    const types = events.map(({ type }) => type);
    const ups = Array.from({ length: 5 }, () => ['local-down', 'local-up']);
    expect(types).toEqual(['local-up', ...ups.flat()]);
    expect(await trackingIds('killed')).toHaveLength(1);
  });

  test('was killed again and again serves nothing stale for longer than promised', async () => {
    const probe = await localCacheOn(server(), LOCAL, { clientName: 'flaky' });
    const killing = setInterval(async () => {
      for (const id of await trackingIds('flaky')) await server().cli('CLIENT', 'KILL', 'ID', id);
    }, 70);
    const worst = await staleness(probe, poolOn(server()), 1_000);
    clearInterval(killing);
    report('CLIENT KILL', worst);
    expect(probe.count('local-down')).toBeGreaterThan(3);
    expect(worst).toBeLessThan(BOUND_MS);
  });

  test('is cut while it is being set up is replaced by one, and none is left behind', async () => {
    const proxy = await startProxy(server().address);
    const probe = await localCacheOn(proxy, LOCAL, { reconnect: { minDelay: 1, maxDelay: 1 } });
    // Wherever it stands: at the handshake, on loan, waiting for its first reply.
    for (let i = 0; i < 30; i++) {
      const { accepted } = proxy;
      await eventually(() => proxy.accepted > accepted + (i % 2) || proxy.open === 2, { interval: 1 });
      await turns(i % 7);
      proxy.cutAll();
    }
    // The last cut may still have to be noticed.
    await eventually(() => probe.cache.put('k', 0));
    await warm(probe.cache, 'k');
    expect(probe.pool.stats().leases).toMatchObject({ inUse: 1, waiting: 0 });
    await eventually(() => proxy.open === 2);
    await proxy.stop();
  });

  test('is half-open is found out by the heartbeat', async () => {
    const gate = await startGate(server());
    const probe = await localCacheOn(gate, LOCAL);
    await probe.cache.put('k', 0);
    await warm(probe.cache, 'k');
    gate.swallowTracking();
    const worst = await staleness(probe, poolOn(server()), 1_000);
    report('its connection went silent', worst);
    expect(worst).toBeGreaterThan(HEARTBEAT_MS / 4);
    expect(worst).toBeLessThan(BOUND_MS + 300);
    expect(probe.count('local-down')).toBe(1);
    await isUp(probe, 2);
    await warm(probe.cache, 'k');
  });

  test('is half-open together with all others serves nothing for longer than promised', async () => {
    const proxy = await startProxy(server().address);
    const probe = await localCacheOn(proxy, LOCAL, { commandTimeout: 300 });
    await probe.cache.put('k', 0);
    await warm(probe.cache, 'k');
    proxy.blackhole(true);
    const ms = await servesFor(probe);
    report('the network went silent', ms);
    expect(ms).toBeLessThan(BOUND_MS + 300);
    const asked = performance.now();
    // Or the connection is taken for dead meanwhile.
    expect((await failure(probe.cache.get('k')))?.code).toMatch(/LAGOON_(COMMAND_TIMEOUT|CONNECTION)/);
    expect(performance.now() - asked).toBeLessThan(2_000);
    await poolOn(server()).set(probe.name('k'), '1');
    proxy.blackhole(false);
    await isUp(probe, 2);
    expect(await probe.cache.get('k')).toBe(1);
    await proxy.stop();
  });

  test('leads to a frozen server is trusted for as long as promised', async () => {
    const probe = await localCacheOn(server(), LOCAL, { commandTimeout: 300 });
    await probe.cache.put('k', 0);
    await warm(probe.cache, 'k');
    await server().freeze();
    try {
      const ms = await servesFor(probe);
      report('SIGSTOP of the server', ms);
      expect(ms).toBeLessThan(BOUND_MS + 300);
      expect(probe.count('local-down')).toBe(1);
    } finally {
      await server().thaw();
    }
    await isUp(probe, 2);
    await warm(probe.cache, 'k');
  });

  test('leads to a server that is killed is replaced when that is back', async () => {
    const probe = await localCacheOn(server(), LOCAL, { reconnect: { maxDelay: 50 } });
    await probe.cache.put('k', 0);
    await warm(probe.cache, 'k');
    await server().kill();
    await eventually(() => probe.count('local-down') === 1);
    const { localHits } = probe.cache.stats();
    const reading = failure(probe.cache.get('k'));
    await server().restart();
    await reading;
    expect(probe.cache.stats().localHits).toBe(localHits);
    await isUp(probe, 2);
    expect(await probe.cache.get('k')).toBeUndefined();
    await probe.cache.put('k', 1);
    await warm(probe.cache, 'k');
  });
});

describe('a process whose event loop was blocked', () => {
  test('for longer than the bound serves nothing from before', async () => {
    const { cache, name } = await localCacheOn(server(), LOCAL);
    const direct = poolOn(server());
    await direct.ping();
    for (let round = 0; round < 3; round++) {
      await cache.put('k', 'old');
      await warm(cache, 'k');
      const written = direct.set(name('k'), '"new"');
      // The write goes out at the end of this turn, and nothing is read any more.
      setImmediate(() => setImmediate(() => block(BOUND_MS + 50)));
      await turns(2);
      const { localHits } = cache.stats();
      const value = await cache.get('k');
      expect(cache.stats().localHits).toBe(localHits);
      expect(value).toBe('new');
      await written;
      await eventually(() => servedLocally(cache, 'k'));
    }
  });

  test('does not lose its local tier for good', async () => {
    const { cache } = await localCacheOn(server(), LOCAL);
    await cache.put('k', 'v');
    await warm(cache, 'k');
    block(2 * BOUND_MS);
    await warm(cache, 'k');
    expect(await cache.get('k')).toBe('v');
  });
});

describe('nothing keeps a process alive', () => {
  const SOURCE = fileURLToPath(new URL('../../src/index.ts', import.meta.url));

  test.each([
    ['after close() of the engine', ''],
    ['after close() of the cache and of the engine', 'cache.close();'],
  ])('%s', async (_, close) => {
    const code = `
      const { Registry } = await import(${JSON.stringify(SOURCE)});
      const engine = new Registry().registerRedis(${JSON.stringify(server().address)}).validate();
      let up;
      const isUp = new Promise((resolve) => { up = resolve; });
      const cache = engine.getRedis().getCache({ prefix: 'exit', local: true, onEvent: ({ type }) => type === 'local-up' && up() });
      await isUp;
      await cache.put('k', 1, { ttl: '1m', tags: ['t'] });
      await cache.getOrSet('k', () => 2, { lock: true, grace: '1m', earlyRefresh: true });
      await cache.getOrSet('other', () => 2, { lock: true, grace: '1m', earlyRefresh: true });
      ${close}
      await engine.close();
      console.log('closed');
    `;
    const args = ['--import', 'tsx', '--input-type=module', '--trace-warnings', '--eval', code];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 10_000 });
    expect(stdout + stderr).toBe('closed\n');
  });
});

function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
