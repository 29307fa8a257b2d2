import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type Lock, LockLostError } from '../../src/index.js';
import { type Renewable, Renewals } from '../../src/lock/renewal.js';
import { eventually, startProxy, useRedis } from '../support/redis.js';
import { lockerOn, newKey, scriptCalls, watchCommands } from './support.js';

const server = useRedis();
afterEach(() => server().thaw());

describe('autoRenew', () => {
  test('keeps the lock past its ttl, at a third of it', async () => {
    const locker = lockerOn(server());
    const lock = (await locker.obtain(newKey(), 1_500, 0, { autoRenew: true })) as Lock;
    const commands = await watchCommands(server());
    await sleep(2_300);
    expect(lock.held).toBe(true);
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.ttl()).toBeGreaterThan(100);
    const renewals = commands.filter((line) => line.includes('"1500"')).length;
    expect(renewals).toBeGreaterThanOrEqual(3);
    expect(renewals).toBeLessThanOrEqual(5);
    await lock.release();
  });

  test('keeps locks on several keys, permits, readers and writers too', async () => {
    const locker = lockerOn(server());
    const options = { autoRenew: true };
    const locks = await Promise.all([
      locker.obtain([newKey(), newKey()], 900, 0, options),
      locker.semaphore(newKey(), 2).obtain(900, 0, options),
      locker.readWriteLock(newKey()).obtainRead(900, 0, options),
      locker.readWriteLock(newKey()).obtainWrite(900, 0, options),
    ]);
    await sleep(1_500);
    for (const lock of locks) {
      expect(lock?.held).toBe(true);
      expect(await lock?.ttl()).toBeGreaterThan(0);
      expect(await lock?.release()).toBe(true);
    }
  });

  test('goes by the new time after a refresh', async () => {
    const locker = lockerOn(server());
    const lock = (await locker.obtain(newKey(), '30s', 0, { autoRenew: true })) as Lock;
    expect(await lock.refresh(900)).toBe(true);
    await sleep(1_500);
    expect(lock.held).toBe(true);
    expect(await lock.ttl()).toBeGreaterThan(0);
    await lock.release();
  });

  test('without it a lock just expires', async () => {
    const lock = (await lockerOn(server()).obtain(newKey(), 300)) as Lock;
    await eventually(() => performance.now() > lock.expiresAt);
    expect(lock.held).toBe(false);
  });

  test('tries again after a renewal that failed, and keeps the lock', async () => {
    const proxy = await startProxy(server().address);
    try {
      const locker = lockerOn(proxy, { commandTimeout: 100 });
      const lock = (await locker.obtain(newKey(), 1_200, 0, { autoRenew: true })) as Lock;
      proxy.blackhole(true);
      await sleep(700);
      proxy.cutAll();
      proxy.blackhole(false);
      await sleep(900);
      expect(lock.held).toBe(true);
      expect(lock.signal.aborted).toBe(false);
      expect(await lock.release()).toBe(true);
    } finally {
      await proxy.stop();
    }
  });

  test('tries until the local deadline, then the signal aborts exactly once', async () => {
    const locker = lockerOn(server(), { commandTimeout: 100 });
    const lock = (await locker.obtain(newKey(), 600, 0, { autoRenew: true })) as Lock;
    const events: number[] = [];
    lock.signal.addEventListener('abort', () => events.push(performance.now()));
    await server().freeze();
    const frozenAt = performance.now();
    await eventually(() => events.length > 0);
    expect(events[0]).toBeGreaterThanOrEqual(lock.expiresAt);
    expect((events[0] as number) - lock.expiresAt).toBeLessThan(200);
    // It was renewed once at most after the server froze.
    expect((events[0] as number) - frozenAt).toBeLessThan(900);
    expect(lock.signal.reason).toBeInstanceOf(LockLostError);
    await server().thaw();
    await sleep(300);
    expect(events.length).toBe(1);
    expect(lock.held).toBe(false);
  });

  test('ends when Redis says that the lock is gone; the signal aborts long before the deadline', async () => {
    const locker = lockerOn(server());
    const lock = (await locker.obtain(newKey(), 600, 0, { autoRenew: true })) as Lock;
    let events = 0;
    lock.signal.addEventListener('abort', () => events++);
    await server().cli('SET', String(lock.key), 'another', 'PX', '60000');
    await eventually(() => events === 1);
    expect(performance.now()).toBeLessThan(lock.expiresAt);
    const commands = await watchCommands(server());
    await sleep(500);
    expect(commands).toEqual([]);
    expect(await server().cli('PTTL', String(lock.key))).toBeGreaterThan(30_000);
    expect(await lock.release()).toBe(false);
    expect(events).toBe(1);
  });

  test('ends with the release: no renewal comes after the delete', async () => {
    const locker = lockerOn(server());
    const locks = (await Promise.all(
      Array.from({ length: 40 }, () => locker.obtain(newKey(), 400, 0, { autoRenew: true })),
    )) as Lock[];
    const seen = await watchCommands(server());
    // Some are released while their renewal is on its way.
    const releases = locks.map(async (lock, i) => {
      await sleep(10 + i * 6);
      return lock.release();
    });
    expect((await Promise.all(releases)).every(Boolean)).toBe(true);
    await server().cli('PING');
    await eventually(() => seen.some((line) => /"PING"/.test(line)));
    const before = seen.length;
    await sleep(300);
    expect(seen.slice(before)).toEqual([]);
    for (const lock of locks) {
      const mine = seen.filter((line) => line.includes(`"${String(lock.key)}"`));
      const last = mine.at(-1) as string;
      // A renewal carries a ttl, a release does not.
      expect(last).not.toContain('"400"');
      expect(mine.filter((line) => !line.includes('"400"')).length).toBe(1);
    }
  });

  test('a release waits for the renewal that is in flight', async () => {
    const proxy = await startProxy(server().address);
    try {
      const locker = lockerOn(proxy);
      const lock = (await locker.obtain(newKey(), 600, 0, { autoRenew: true })) as Lock;
      const commands = await watchCommands(server());
      const timeOf = (line: string | undefined) => Number(line?.slice(1, 18)) * 1_000;
      const mine = () => commands.filter((line) => line.includes(String(lock.key)));
      proxy.delay(0, 150);
      await eventually(() => mine().length === 1);
      expect(await lock.release()).toBe(true);
      await eventually(() => mine().length === 2);
      const [renewal, release] = mine();
      expect(renewal).toContain('"600"');
      expect(release).not.toContain('"600"');
      // The reply to the renewal took 150 ms.
      expect(timeOf(release) - timeOf(renewal)).toBeGreaterThan(100);
      expect((await locker.inspect(lock.key)).held).toBe(false);
    } finally {
      await proxy.stop();
    }
  });

  test('of 1,000 locks shares script calls, and all stay held', async () => {
    const locker = lockerOn(server());
    const locks = (await Promise.all(
      Array.from({ length: 1_000 }, () => locker.obtain(newKey(), 900, 0, { autoRenew: true })),
    )) as Lock[];
    await server().cli('CONFIG', 'RESETSTAT');
    const startedAt = performance.now();
    await sleep(1_300);
    const rounds = Math.ceil((performance.now() - startedAt) / 300);
    expect(await scriptCalls(server())).toBeLessThanOrEqual(rounds * 2 * Math.ceil(1_000 / 64));
    expect(locks.every((lock) => lock.held)).toBe(true);
    const released = await Promise.all(locks.map((lock) => lock.release()));
    expect(released.every(Boolean)).toBe(true);
  });
});

describe('Renewals', () => {
  /** Something that lapses, and remembers when it was renewed. */
  class Probe implements Renewable {
    readonly renewedAt: number[] = [];
    expiresAt: number;
    constructor(
      readonly renewEveryMs: number,
      readonly outcome: (attempt: number) => 'renewed' | 'failed' | 'gone' = () => 'renewed',
    ) {
      this.expiresAt = performance.now() + 3 * renewEveryMs;
    }
    async renew(): Promise<boolean> {
      const outcome = this.outcome(this.renewedAt.push(performance.now()) - 1);
      if (outcome === 'renewed') this.expiresAt = performance.now() + 3 * this.renewEveryMs;
      return outcome !== 'gone';
    }
  }

  test('renews each at its own interval', async () => {
    const renewals = new Renewals((work) => work());
    const [fast, slow] = [new Probe(40), new Probe(200)];
    renewals.add(slow);
    renewals.add(fast);
    await sleep(450);
    renewals.delete(fast);
    renewals.delete(slow);
    expect(fast.renewedAt.length).toBeGreaterThanOrEqual(7);
    expect(fast.renewedAt.length).toBeLessThanOrEqual(12);
    expect(slow.renewedAt.length).toBe(2);
  });

  test('gathers those that fall due together', async () => {
    const renewals = new Renewals((work) => work());
    const probes: Probe[] = [];
    for (let i = 0; i < 10; i++) {
      const probe = new Probe(300 + i);
      probes.push(probe);
      renewals.add(probe);
    }
    await eventually(() => probes.every((probe) => probe.renewedAt.length === 1));
    const times = probes.map((probe) => probe.renewedAt[0] as number);
    expect(Math.max(...times) - Math.min(...times)).toBeLessThan(5);
    for (const probe of probes) renewals.delete(probe);
  });

  test('tries a failed one again soon, and one that is gone never', async () => {
    const renewals = new Renewals((work) => work());
    const failing = new Probe(300, (attempt) => (attempt < 2 ? 'failed' : 'renewed'));
    const gone = new Probe(300, () => 'gone');
    renewals.add(failing);
    renewals.add(gone);
    await eventually(() => failing.renewedAt.length === 3, { timeout: 450 });
    await sleep(350);
    expect(failing.renewedAt.length).toBe(4);
    expect(gone.renewedAt.length).toBe(1);
    renewals.delete(failing);
  });

  test('forgets what is deleted, also while it is being renewed', async () => {
    const renewals = new Renewals((work) => work());
    const probe = new Probe(30);
    renewals.add(probe);
    const renew = probe.renew.bind(probe);
    probe.renew = async () => {
      const goesOn = await renew();
      await sleep(20);
      return goesOn;
    };
    await eventually(() => probe.renewedAt.length === 1);
    renewals.delete(probe);
    await sleep(150);
    expect(probe.renewedAt.length).toBe(1);
  });
});
