import { afterEach, describe, expect, test } from 'vitest';
import { type LagoonError, LockNotObtainedError, RedlockError, ReplyError } from '../../src/index.js';
import { type FaultyProxy, startProxy } from '../support/proxy.js';
import { countKeys, engineOver, eventually, failure, useServers } from './support.js';

const servers = useServers(5);
const FIVE = ['p0', 'p1', 'p2', 'p3', 'p4'];
const THREE = FIVE.slice(0, 3);
const some = (count: number) => servers().slice(0, count);

const proxies: FaultyProxy[] = [];
afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
});

/** A proxy in front of the first server, and the other two as they are. */
async function behindProxy(): Promise<[FaultyProxy, readonly { address: string }[]]> {
  const proxy = await startProxy(servers()[0]?.address ?? '');
  proxies.push(proxy);
  return [proxy, [proxy, ...servers().slice(1, 3)]];
}

/** How long a call took, in ms, with its result. */
async function clocked<T>(work: () => Promise<T>): Promise<[T, number]> {
  const startedAt = performance.now();
  const result = await work();
  return [result, performance.now() - startedAt];
}

describe('a minority of the pools', () => {
  test('that is dead does not delay a lock', async () => {
    const redlock = (await engineOver(servers())).getRedlock(FIVE, { retryCount: 0, tryTimeout: '3s' });
    await Promise.all(some(2).map((server) => server.kill()));
    const [lock, ms] = await clocked(() => redlock.lock('job', '30s'));
    expect(ms).toBeLessThan(1_000);
    expect(lock.held).toBe(true);
    expect(await failure(redlock.lock('job', '30s'))).toBeInstanceOf(LockNotObtainedError);
    const [released, releaseMs] = await clocked(() => lock.release());
    expect(released).toBe(true);
    expect(releaseMs).toBeLessThan(1_000);
    expect(await countKeys(servers().slice(2), 'job')).toBe(0);
  });

  test('that is frozen does not delay a lock, and has nothing of it once it goes on', async () => {
    const redlock = (await engineOver(servers())).getRedlock(FIVE, { retryCount: 0, tryTimeout: '3s' });
    await Promise.all(some(2).map((server) => server.freeze()));
    const [lock, ms] = await clocked(() => redlock.lock('job', '1m'));
    expect(ms).toBeLessThan(1_000);
    const [released, releaseMs] = await clocked(() => lock.release());
    expect(released).toBe(true);
    expect(releaseMs).toBeLessThan(1_000);
    await Promise.all(some(2).map((server) => server.thaw()));
    await eventually(async () => (await countKeys(servers(), 'job')) === 0);
  });

  test('that answers after the timeout of a try counts for nothing, and is released too', async () => {
    const [slow, places] = await behindProxy();
    const redlock = (await engineOver(places)).getRedlock(THREE, { retryCount: 0, tryTimeout: '100ms' });
    await (await redlock.lock('warm', '1m')).release();
    slow.delay(200);
    await servers()[1]?.cli('SET', 'job', 'theirs');
    const error = await failure(redlock.lock('job', '1m'));
    expect(error).toBeInstanceOf(RedlockError);
    expect((error as unknown as RedlockError).failures.map(({ pool }) => pool)).toEqual(['p0']);
    // Its grant came when nobody waited for it any more: it must go, long before its expiry.
    const first = servers()[0];
    await eventually(async () => Number(await first?.cli('EXISTS', 'job')) === 0);
    slow.delay(0);
    await servers()[1]?.cli('DEL', 'job');
    await eventually(async () => (await countKeys(some(3), 'job')) === 0);
    expect((await redlock.lock('job', '1m')).held).toBe(true);
  });

  test('that comes back has its share released by a later attempt', async () => {
    const [proxy, places] = await behindProxy();
    const engine = await engineOver(places);
    const redlock = engine.getRedlock(THREE, { retryCount: 50, retryDelay: 20, tryTimeout: '100ms' });
    const lock = await redlock.lock('job', '10m');
    await eventually(async () => (await countKeys(some(3), 'job')) === 3);
    proxy.blackhole(true);
    expect(await lock.release()).toBe(true);
    expect(await countKeys(some(3), 'job')).toBe(1);
    // The release that was on its way is lost with the connection.
    proxy.blackhole(false);
    proxy.cutAll();
    await eventually(async () => (await countKeys(some(3), 'job')) === 0);
  });

  test('is not told to release before it is told to obtain, however long that takes', async () => {
    const [slow, places] = await behindProxy();
    const engine = await engineOver(places);
    const redlock = engine.getRedlock(THREE, { retryCount: 0, tryTimeout: '3s' });
    const warm = await redlock.lock('job', '10m');
    await eventually(async () => (await countKeys(some(3), 'job')) === 3);
    // From the release on the server knows how to release; how to obtain it must be told anew, in a second request.
    await servers()[0]?.cli('SCRIPT', 'FLUSH');
    await warm.release();
    await eventually(async () => (await countKeys(some(3), 'job')) === 0);
    const seen: string[] = [];
    engine.registerQueryLogger(({ operation }) => void seen.push(operation), { pools: ['p0'] });
    slow.delay(30);
    await (await redlock.lock('job', '10m')).release();
    await eventually(() => seen.length === 3);
    expect(seen).toEqual(['EVALSHA', 'EVAL', 'EVALSHA']);
    expect(await countKeys(some(3), 'job')).toBe(0);
  });

  test('that does not know the scripts any more is told them', async () => {
    const redlock = (await engineOver(some(3))).getRedlock(THREE, { retryCount: 0, tryTimeout: '2s' });
    await (await redlock.lock('job', '10s')).release();
    await Promise.all(some(3).map((server) => server.cli('SCRIPT', 'FLUSH')));
    const lock = await redlock.lock('job', '10s');
    await eventually(async () => (await countKeys(some(3), 'job')) === 3);
    expect(await lock.release()).toBe(true);
    expect(await countKeys(some(3), 'job')).toBe(0);
  });
});

describe('a majority of the pools', () => {
  test('that is frozen ends in time, in an error that says who could not be asked, and why', async () => {
    const redlock = (await engineOver(some(3))).getRedlock(THREE, {
      retryCount: 2,
      retryDelay: 50,
      tryTimeout: '100ms',
    });
    await Promise.all(some(2).map((server) => server.freeze()));
    const [error, ms] = await clocked(() => failure(redlock.lock('job', '1m')));
    expect(error).toBeInstanceOf(RedlockError);
    expect(error).toMatchObject({ code: 'LAGOON_REDLOCK' });
    const { failures } = error as unknown as RedlockError;
    expect(failures.map(({ pool, error }) => [pool, (error as LagoonError).code])).toEqual([
      ['p0', 'LAGOON_COMMAND_TIMEOUT'],
      ['p1', 'LAGOON_COMMAND_TIMEOUT'],
    ]);
    expect(error?.message).toContain('1 of 3 pools gave it, 0 did not, 2 could not be asked');
    // Three tries of 100 ms, as long for each to be given back, and the machine's noise.
    expect(ms).toBeGreaterThan(290);
    expect(ms).toBeLessThan(1_500);
    expect(await countKeys(servers().slice(2, 3), 'job')).toBe(0);
    await Promise.all(some(2).map((server) => server.thaw()));
    await eventually(async () => (await countKeys(some(3), 'job')) === 0);
  });

  test('that is dead ends in time, and is used again once it is back', async () => {
    const redlock = (await engineOver(some(3))).getRedlock(THREE, {
      retryCount: 1,
      retryDelay: 10,
      tryTimeout: '100ms',
    });
    await Promise.all(some(2).map((server) => server.kill()));
    const [error, ms] = await clocked(() => failure(redlock.lock('job', '1m')));
    expect(error).toBeInstanceOf(RedlockError);
    expect((error as unknown as RedlockError).failures).toHaveLength(2);
    expect(ms).toBeLessThan(1_500);
    await Promise.all(some(2).map((server) => server.restart()));
    await eventually(async () => (await redlock.lock('job', '1m')).held);
  });

  test('that refuses is not the same as one that holds the lock: the errors of the servers are told', async () => {
    const redlock = (await engineOver(some(3))).getRedlock(THREE, { retryCount: 0, tryTimeout: '2s' });
    for (const server of some(2)) await server.cli('RPUSH', 'job', 'a list');
    const error = await failure(redlock.lock('job', '10s'));
    expect(error).toBeInstanceOf(RedlockError);
    const { failures } = error as unknown as RedlockError;
    expect(failures.map(({ error }) => [error instanceof ReplyError, (error as ReplyError).replyCode])).toEqual([
      [true, 'WRONGTYPE'],
      [true, 'WRONGTYPE'],
    ]);
    expect(await countKeys(servers().slice(2, 3), 'job')).toBe(0);
  });

  test('partly held and partly down is told as down: the lock may be free', async () => {
    const redlock = (await engineOver(some(3))).getRedlock(THREE, { retryCount: 0, tryTimeout: '200ms' });
    await servers()[0]?.freeze();
    await servers()[1]?.cli('SET', 'job', 'theirs');
    const error = await failure(redlock.lock('job', '10s'));
    expect(error).toBeInstanceOf(RedlockError);
    expect(error?.message).toContain('1 of 3 pools gave it, 1 did not, 1 could not be asked');
  });

  test('that is gone at the release or at an extension is an error: what became of the lock is not known', async () => {
    const engine = await engineOver(some(3), { commandTimeout: '300ms' });
    const redlock = engine.getRedlock(THREE, { retryCount: 0, tryTimeout: '100ms' });
    const lock = await redlock.lock('job', '1m');
    await eventually(async () => (await countKeys(some(3), 'job')) === 3);
    await Promise.all(some(2).map((server) => server.freeze()));
    const { expiresAt } = lock;
    expect(await failure(lock.extend('2m'))).toBeInstanceOf(RedlockError);
    expect(lock.held).toBe(true);
    expect(lock.expiresAt).toBe(expiresAt);
    // A shorter time may have been set where no reply came from.
    expect(await failure(lock.extend('10s'))).toBeInstanceOf(RedlockError);
    expect(lock.expiresAt).toBeLessThan(expiresAt - 40_000);
    const [error, ms] = await clocked(() => failure(redlock.unlock('job')));
    expect(error).toBeInstanceOf(RedlockError);
    expect(ms).toBeLessThan(1_500);
    await Promise.all(some(2).map((server) => server.thaw()));
    await eventually(async () => (await countKeys(some(3), 'job')) === 0);
  });
});

describe('releases that a server does not answer', () => {
  test('are one at a time for each resource, however many tries there were', async () => {
    const engine = await engineOver(some(3), { commandTimeout: '10s' });
    const redlock = engine.getRedlock(THREE, { retryCount: 20, retryDelay: 5, tryTimeout: 20 });
    await (await redlock.lock('warm', '1m')).release();
    const theirs = await redlock.lock('job', '1m');
    await servers()[0]?.freeze();
    for (let i = 0; i < 2; i++) expect(await failure(redlock.lock('job', '1m'))).toBeInstanceOf(LockNotObtainedError);
    await eventually(() => engine.getRedis('p1').stats().pending === 0);
    // A last question may not be over yet.
    expect(engine.getRedis('p0').stats().pending).toBeLessThanOrEqual(2);
    await servers()[0]?.thaw();
    expect(await theirs.release()).toBe(true);
    await eventually(async () => (await countKeys(some(3), 'job')) === 0);
  });

  test('end when the lock is over', async () => {
    const [proxy, places] = await behindProxy();
    const engine = await engineOver(places, { commandTimeout: '200ms' });
    const redlock = engine.getRedlock(THREE, { retryCount: Number.POSITIVE_INFINITY, retryDelay: 10, tryTimeout: 100 });
    const lock = await redlock.lock('job', '2s');
    proxy.blackhole(true);
    expect(await lock.release()).toBe(true);
    let sent = 0;
    engine.registerQueryLogger(() => void sent++, { pools: ['p0'] });
    await eventually(() => sent > 1);
    await eventually(() => performance.now() > lock.expiresAt + 500);
    const { pending } = engine.getRedis('p0').stats();
    const before = sent;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([pending, sent - before]).toEqual([0, 0]);
  });
});

test('a release that failed can be made again, by the lock and by the name of its resource', async () => {
  const engine = await engineOver(some(3), { commandTimeout: '300ms' });
  const redlock = engine.getRedlock(THREE, { retryCount: 0, tryTimeout: '100ms' });
  const locks = [await redlock.lock('job', '1m'), await redlock.lock('other', '1m')] as const;
  await eventually(async () => (await countKeys(some(3), 'job')) === 3);
  await Promise.all(some(2).map((server) => server.freeze()));
  const failed = [locks[0].release(), locks[0].release(), redlock.unlock('other')].map(failure);
  for (const error of await Promise.all(failed)) expect(error).toBeInstanceOf(RedlockError);
  expect(locks[0].held).toBe(false);
  // What they have not executed by now they never will.
  await Promise.all(some(2).map((server) => server.kill()));
  await Promise.all(some(2).map((server) => server.restart()));
  for (const server of some(2)) {
    for (const lock of locks) await server.cli('SET', lock.resource as string, `${lock.token}#1`, 'PX', '60000');
  }
  await eventually(async () => (await Promise.all(THREE.map((code) => engine.getRedis(code).ping()))).length === 3);
  const again = [locks[0].release(), locks[0].release()];
  expect(await Promise.all(again)).toEqual([true, false]);
  expect(await redlock.unlock('other')).toBe(true);
  expect(await redlock.unlock('other')).toBe(false);
  expect(await locks[0].release()).toBe(false);
  expect(await countKeys(some(3), 'job')).toBe(0);
  expect(await countKeys(some(3), 'other')).toBe(0);
});
