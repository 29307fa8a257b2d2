import { expect, test } from 'vitest';
import { TransactionConflictError } from '../../src/index.js';
import { engineOn } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';

const CALLERS = 100;
const ROUNDS = 20;
const server = useRedis();

test('100 concurrent callers mix everything: nobody sees the state of another, and no lease leaks', async () => {
  const redis = engineOn(server().address, {
    commandTimeout: '20s',
    pool: { max: 12, acquireTimeout: '20s' },
  }).getRedis();
  const received = new Map<number, string[]>();

  // Each kind of caller checks its own results; what it shares with the others is the pool alone.
  const kinds: ((caller: number, round: number) => Promise<void>)[] = [
    async (caller, round) => {
      await redis.set(`plain:${caller}`, String(round));
      expect(await redis.get(`plain:${caller}`)).toBe(String(round));
    },
    async (caller, round) => {
      const popped = redis.blPop(`list:${caller}`, 10);
      await redis.rPush(`list:${caller}`, String(round));
      expect(await popped).toEqual({ key: `list:${caller}`, element: String(round) });
    },
    async () => {
      await redis.transaction(
        async (own) => {
          const before = Number(await own.get('counter'));
          return own
            .multi()
            .set('counter', String(before + 1))
            .exec();
        },
        { watch: 'counter', retries: 1_000 },
      );
    },
    async (caller, round) => {
      const [first, second] = await redis.multi().set(`multi:${caller}`, String(round)).get(`multi:${caller}`).exec();
      expect([first, second]).toEqual(['OK', String(round)]);
    },
    async (caller, round) => {
      // Left behind on purpose: watched keys, an open MULTI, a subscription, commands that nobody awaits.
      await redis.isolated(async (own) => {
        await own.watch(`left:${caller}`);
        if (round % 2 === 0) await own.sendCommand(['MULTI']);
        if (round % 5 === 0) await own.subscribe('left', () => undefined);
        void own.sendCommand(['SET', `left:${caller}`, 'x']).catch(() => undefined);
      });
    },
    async (caller, round) => {
      const messages: string[] = [];
      const subscription = await redis.subscribe(`channel:${caller}`, (message) => messages.push(message));
      await redis.publish(`channel:${caller}`, String(round));
      await eventually(() => messages.length > 0);
      expect(messages).toEqual([String(round)]);
      await subscription.unsubscribe();
    },
    async (caller) => {
      const abort = new AbortController();
      const blocked = redis.withAbortSignal(abort.signal).blPop(`never:${caller}`, 0);
      abort.abort();
      await expect(blocked).rejects.toMatchObject({ code: 'ABORT_ERR' });
    },
  ];

  const transactions = Array.from({ length: CALLERS }, (_, caller) => caller).filter((c) => c % kinds.length === 2);
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      received.set(caller, []);
      const kind = kinds[caller % kinds.length] as (typeof kinds)[number];
      for (let round = 0; round < ROUNDS; round++) await kind(caller, round);
    }),
  );

  expect(await redis.get('counter')).toBe(String(transactions.length * ROUNDS));
  await eventually(() => redis.stats().leases.inUse <= 1);
  expect(redis.stats()).toMatchObject({ pending: 0, leases: { waiting: 0 } });
  const clients = (await redis.clientList()).filter(({ name }) => name === 'lagoon:default');
  expect(clients.length).toBeLessThanOrEqual(12);
  // No connection that goes on being used is left inside a MULTI (-1 is none), or subscribed beside the subscriber.
  expect(clients.every(({ multi }) => multi === -1)).toBe(true);
  expect(clients.reduce((sum, { sub }) => sum + sub, 0)).toBe(0);
});

test('WATCH of one caller does not make the transaction of another fail', async () => {
  const redis = engineOn(server().address, { pool: { max: 2 } }).getRedis();
  await redis.isolated((own) => own.watch('watched'));
  await redis.set('watched', 'changed');
  const result = await redis.isolated((own) => own.multi().incr('other').exec());
  expect(result).toEqual([1]);
});

test('a conflict is the error of the transaction that lost, and of no other', async () => {
  const redis = engineOn(server().address).getRedis();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 5 }, (_, i) =>
      redis.transaction(
        async (own) => {
          await own.get('contended');
          return own.multi().set('contended', String(i)).exec();
        },
        { watch: 'contended', retries: 0 },
      ),
    ),
  );
  const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(outcomes.length - lost.length).toBeGreaterThan(0);
  for (const { reason } of lost) expect(reason).toBeInstanceOf(TransactionConflictError);
});
