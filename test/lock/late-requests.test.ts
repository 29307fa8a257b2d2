import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Lock, RedisPool } from '../../src/index.js';
import { Locker } from '../../src/lock/locker.js';
import type { Connections } from '../../src/lock/replicated.js';
import { leave, obtainAny, obtainExclusiveWaiting } from '../../src/lock/scripts.js';
import type { LockStore } from '../../src/lock/store.js';
import { failure } from '../support/engine.js';
import { eventually, startProxy, useRedis } from '../support/redis.js';
import { channels, lockerOn, newKey, poolOn, scriptCalls, waitersOf } from './support.js';

const server = useRedis();

/** What holds something back until it is let go. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** The pool as the locks see it, with something to do before a script is sent and after its reply. */
function storeOf(
  pool: RedisPool,
  on: { before?(script: unknown): unknown; after?(script: unknown): void; message?(deliver: () => void): void },
) {
  return {
    async runScript(script, keys, args, shared) {
      await on.before?.(script);
      const reply = await pool.runScript(script, keys, args, shared);
      on.after?.(script);
      return reply;
    },
    callScript: (...call) => pool.callScript(...call),
    slotTag: (key) => pool.slotTag(key),
    sSubscribe: (channel, listener, options) => pool.sSubscribe(channel, listener, options),
    subscribe(channel, listener, options) {
      const { message = (deliver) => deliver() } = on;
      return pool.subscribe(channel, (text) => message(() => listener(text)), options);
    },
    getPoolConfig: () => pool.getPoolConfig(),
    inBackground: (work) => pool.inBackground(work),
    closing: pool.closing,
    holdOpen: (work) => pool.holdOpen(work),
    isolated: (fn, options) => pool.isolated(fn, options),
  } satisfies LockStore & Connections as LockStore & Connections;
}

describe('a request that comes late leaves nothing behind', () => {
  test('it is executed after its waiter got the lock: its place in the queue is given up', async () => {
    const key = newKey();
    const left = gate();
    const late = gate();
    const asked = gate();
    const { locker, lock } = await obtainedInTheEnd(key, {
      before: async (script) => script === obtainExclusiveWaiting && (await late.opened),
      after(script) {
        if (script === leave) left.open();
        else if (script === obtainExclusiveWaiting) asked.open();
      },
    });
    await left.opened;
    late.open();
    await asked.opened;
    await eventually(async () => expect(await locker.inspect(key)).toMatchObject({ held: true, waiting: 0 }));
    expect(await lock?.release()).toBe(true);
    expect(await locker.inspect(key)).toMatchObject({ held: false, waiting: 0 });
  });

  test('it is executed after its waiter released the lock: what it took is given back', async () => {
    const key = newKey();
    const late = gate();
    const asked = gate();
    const { locker, lock } = await obtainedInTheEnd(key, {
      before: async (script) => script === obtainExclusiveWaiting && (await late.opened),
      after: (script) => script === obtainExclusiveWaiting && asked.open(),
    });
    expect(await lock?.release()).toBe(true);
    late.open();
    await asked.opened;
    await eventually(async () => expect(await locker.inspect(key)).toMatchObject({ held: false, waiting: 0 }));
  });

  test.each(['readers', 'permits'])(
    'it takes a second place among %s after its waiter got one: that is given back',
    async (what) => {
      const key = newKey();
      const near = lockerOn(server());
      const obtain = (locker: Locker, waitTimeout: number) =>
        what === 'permits'
          ? locker.semaphore(key, 2).obtain('1m', waitTimeout)
          : locker.readWriteLock(key).obtainRead('1m', waitTimeout);
      const holders =
        what === 'permits'
          ? [await obtain(near, 0), await obtain(near, 0)]
          : [await near.readWriteLock(key).obtainWrite('1m')];
      const pool = poolOn(server());
      await pool.subscribe('connected', () => {});
      const late = gate();
      const left = [gate(), gate()];
      let leaves = 0;
      const locker = new Locker(
        storeOf(pool, {
          async before(script) {
            if (script === leave) for (const holder of holders.splice(0)) await holder?.release();
            if (script === obtainAny) await late.opened;
          },
          after: (script) => script === leave && left[leaves++]?.open(),
        }),
      );
      const lock = (await obtain(locker, 200)) as Lock;
      expect(lock.held).toBe(true);
      late.open();
      await left[1]?.opened;
      await eventually(async () =>
        expect((await near.inspect(key)).holders.map(({ fence }) => fence)).toEqual([lock.fence]),
      );
      expect(await lock.release()).toBe(true);
      expect(await near.inspect(key)).toMatchObject({ held: false, waiting: 0 });
    },
  );

  test.each(['aborted', 'over'])(
    'to leave, of a wait that was %s: what its own token holds by then is kept',
    async (how) => {
      const proxy = await startProxy(server().address);
      try {
        const [locker, near] = [lockerOn(proxy, { commandTimeout: 1_000 }), lockerOn(server())];
        const key = newKey();
        const holder = await near.obtain(key, '1m');
        const abort = new AbortController();
        const options = { token: 'mine', signal: abort.signal };
        const waiter = failure(locker.obtain(key, '1m', how === 'over' ? 300 : '1m', options));
        await waitersOf(near, key, 1);
        proxy.blackhole(true);
        if (how === 'aborted') abort.abort();
        expect((await waiter)?.code).toBe(how === 'aborted' ? 'ABORT_ERR' : 'LAGOON_COMMAND_TIMEOUT');
        // What leaves the queue is lost, and sent again.
        proxy.cutAll();
        // The server has read of it, and passes the waiter over.
        await eventually(async () => (await channels(server())).length === 0);
        await holder?.release();
        expect(await near.obtain(key, '1m', 0, { token: 'mine' })).not.toBeNull();
        proxy.blackhole(false);
        await server().cli('CONFIG', 'RESETSTAT');
        await eventually(async () => (await scriptCalls(server())) > 0);
        expect(await locker.inspect(key)).toMatchObject({ held: true, waiting: 0 });
      } finally {
        await proxy.stop();
      }
    },
  );

  test.each(['asks', 'leaves'])(
    'it %s for a wait whose lock was over when it came: the next one is kept',
    async (what) => {
      const key = newKey();
      const near = lockerOn(server());
      const holder = await near.obtain(key, '1m');
      const late = gate();
      const counts = { asked: 0, answered: 0, left: 0 };
      let slow = false;
      const locker = new Locker(
        storeOf(poolOn(server()), {
          async before(script) {
            if (script === obtainExclusiveWaiting && ++counts.asked === 2)
              await (what === 'asks' ? late.opened : sleep(500));
            if (script === leave && ++counts.left === 1) await late.opened;
          },
          after: (script) => script === obtainExclusiveWaiting && counts.answered++,
          message: (deliver) => (slow ? setTimeout(deliver, 800) : deliver()),
        }),
      );
      const waiter = locker.obtain(key, 300, '20s');
      await eventually(() => counts.answered === 1);
      // It asks again, as the holder's time is over sooner.
      await holder?.refresh(5_000);
      await eventually(() => counts.asked === 2);
      slow = true;
      expect(await holder?.release()).toBe(true);
      const lock = (await waiter) as Lock;
      slow = false;
      expect(await lock.refresh('1m')).toBe(true);
      late.open();
      await eventually(() => counts.left > 0 && counts.answered >= 2);
      for (let i = 0; i < 5; i++) {
        await sleep(50);
        expect(await near.inspect(key)).toMatchObject({ held: true, fence: lock.fence });
      }
      expect(await lock.release()).toBe(true);
    },
  );

  test('it asks for a wait that was aborted: what its own token holds by then is kept', async () => {
    const key = newKey();
    const near = lockerOn(server());
    const holder = await near.obtain(key, '1m');
    const late = gate();
    let asked = 0;
    let answered = 0;
    const locker = new Locker(
      storeOf(poolOn(server()), {
        before: (script) => script === obtainExclusiveWaiting && ++asked === 2 && late.opened,
        after: (script) => script === obtainExclusiveWaiting && answered++,
      }),
    );
    const abort = new AbortController();
    const waiter = failure(locker.obtain(key, '1m', '20s', { token: 'mine', signal: abort.signal }));
    await eventually(() => answered === 1);
    await holder?.refresh(50_000);
    await eventually(() => asked === 2);
    abort.abort();
    expect((await waiter)?.code).toBe('ABORT_ERR');
    await waitersOf(near, key, 0);
    await holder?.release();
    const lock = await near.obtain(key, '1m', 0, { token: 'mine' });
    late.open();
    await eventually(() => answered === 2);
    // Sent behind what it would be given back by.
    await locker.inspect(key);
    expect(await near.inspect(key)).toMatchObject({ held: true, waiting: 0, fence: lock?.fence });
  });

  test('to leave, while Redis answers others: its caller does not wait for it', async () => {
    const key = newKey();
    const near = lockerOn(server());
    const holder = await near.obtain(key, '1m');
    const late = gate();
    const locker = new Locker(storeOf(poolOn(server()), { before: (script) => script === leave && late.opened }));
    const waiter = locker.obtain(key, '1m', 100);
    await waitersOf(near, key, 1);
    // Who asks later is answered; a lock is asked for and not waited for until there is an answer.
    let done = false;
    const others = (async () => {
      while (!done) await (await locker.obtain(newKey(), '1m', 1_000))?.release();
    })();
    expect(await waiter).toBeNull();
    done = true;
    await others;
    // It is granted the lock, for which nobody waits any more.
    await holder?.release();
    late.open();
    await eventually(async () => expect(await near.inspect(key)).toMatchObject({ held: false, waiting: 0 }));
  });

  test('a wait that ends takes nothing from what its own token holds, and does not get it twice', async () => {
    const [x, y] = [newKey(), newKey()];
    const [near, other] = [lockerOn(server()), lockerOn(server())];
    const first = await near.obtain(x, '1m', 0, { token: 'mine' });
    await other.obtain(y, '1m');
    for (const keys of [[x, y], [x]]) {
      for (const locker of [near, other]) expect(await locker.obtain(keys, '1m', 50, { token: 'mine' })).toBeNull();
      expect(await other.inspect(x)).toMatchObject({ held: true, waiting: 0, fence: first?.fence });
    }
    // Nor when it asks again, as the holder's time is over sooner.
    const waiter = near.obtain(x, '1m', 500, { token: 'mine' });
    await waitersOf(other, x, 1);
    expect(await first?.refresh('50s')).toBe(true);
    expect(await waiter).toBeNull();
    expect(await other.inspect(x)).toMatchObject({ held: true, waiting: 0, fence: first?.fence });
    // But what is free.
    expect(await other.obtain(newKey(), '1m', 50, { token: 'mine' })).not.toBeNull();
  });

  test('a message comes when its waiter was aborted with hundreds of others: nobody holds the lock', async () => {
    const key = newKey();
    const near = lockerOn(server());
    const holder = await near.obtain(key, '1m');
    const late = gate();
    let hold = false;
    const locker = new Locker(
      storeOf(poolOn(server()), { message: (deliver) => (hold ? void late.opened.then(deliver) : deliver()) }),
    );
    const abort = new AbortController();
    const { signal } = abort;
    const waiters = Array.from({ length: 400 }, (_, i) =>
      failure(locker.obtain(key, '1m', '50s', { token: `mine ${i}`, signal })),
    );
    await waitersOf(near, key, 400);
    hold = true;
    expect(await holder?.release()).toBe(true);
    abort.abort();
    for (const error of await Promise.all(waiters)) expect(error?.code).toBe('ABORT_ERR');
    await waitersOf(near, key, 0);
    late.open();
    await eventually(async () => expect(await near.inspect(key)).toMatchObject({ held: false, waiting: 0 }));
  });

  test('it is executed after one that was sent later: its waiter is queued once', async () => {
    const key = newKey();
    const pool = poolOn(server());
    const late = gate();
    let requests = 0;
    let resubscribed = false;
    const locker = new Locker({
      ...storeOf(pool, { before: (script) => script === obtainExclusiveWaiting && ++requests === 1 && late.opened }),
      subscribe: (channel, listener, { onResubscribe }) =>
        pool.subscribe(channel, listener, {
          onResubscribe() {
            onResubscribe();
            resubscribed = true;
          },
        }),
    });
    const holder = await lockerOn(server()).obtain(key, '1m');
    const waiter = locker.obtain(key, '1m', '10s');
    await eventually(() => requests === 1);
    // Who waits asks again when its subscription is back.
    await server().cli('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually(() => resubscribed);
    await locker.inspect(key);
    late.open();
    await eventually(async () => requests === 2 && (await locker.inspect(key)).waiting > 0);
    expect((await locker.inspect(key)).waiting).toBe(1);
    await holder?.release();
    expect(await (await waiter)?.release()).toBe(true);
    expect(await locker.inspect(key)).toMatchObject({ held: false, waiting: 0 });
  });

  test('its waiter stands in the queue twice: it is granted the lock once', async () => {
    const key = newKey();
    const [a, b, c] = [lockerOn(server()), lockerOn(server()), lockerOn(server())];
    const holder = await a.obtain(key, '1m');
    const waiting: Promise<Lock | null>[] = [];
    for (const [i, locker] of [b, c].entries()) {
      waiting.push(locker.obtain(key, '1m', '10s'));
      await waitersOf(a, key, i + 1);
    }
    const [twice, other] = waiting as [Promise<Lock | null>, Promise<Lock | null>];
    // As a replica that takes over before it has heard that the first is not queued any more; behind the others, and once more.
    const queue = `lagoon:locks:${key}`;
    const again = `redis.call('RPUSH', KEYS[1], redis.call('LINDEX', KEYS[1], 0))`;
    await server().cli('EVAL', `${again} ${again}`, '1', queue);
    const last = a.obtain(key, '1m', '10s');
    await waitersOf(a, key, 3);
    expect(await holder?.release()).toBe(true);
    expect(await (await twice)?.release()).toBe(true);
    expect(await (await other)?.release()).toBe(true);
    expect(await (await last)?.release()).toBe(true);
    await eventually(async () => expect(await a.inspect(key)).toMatchObject({ held: false, waiting: 0 }));
  });

  /** Obtained on giving up, because the holder released while the request to wait was on its way. */
  async function obtainedInTheEnd(key: string, on: Parameters<typeof storeOf>[1]) {
    const holder = await lockerOn(server()).obtain(key, '1m');
    const pool = poolOn(server());
    // Connected before, or the time to wait is over before there is a request to wait.
    await pool.subscribe('connected', () => {});
    const locker = new Locker(
      storeOf(pool, {
        ...on,
        async before(script) {
          if (script === leave) await holder?.release();
          await on.before?.(script);
        },
      }),
    );
    const lock = await locker.obtain(key, '1m', 200);
    expect(lock?.held).toBe(true);
    return { locker, lock };
  }
});
