import { describe, expect, test } from 'vitest';
import { InvalidArgumentError, TransactionConflictError, TransactionError } from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { failure, usePools } from './support.js';

describe('transaction()', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test('executes what was decided on what was read', async () => {
    const pool = open();
    await pool.set('t:balance', '10');
    const [left] = await pool.transaction(async (own) => {
      await own.watch('t:balance');
      const balance = Number(await own.get('t:balance'));
      return own
        .multi()
        .set('t:balance', String(balance - 3), { GET: false })
        .execTyped();
    });
    expect(left).toBe('OK');
    expect(await pool.get('t:balance')).toBe('7');
  });

  test('calls fn again after a conflict', async () => {
    const pool = open();
    await pool.set('t:conflict', '1');
    let calls = 0;
    const reply = await pool.transaction(
      async (own) => {
        const value = Number(await own.get('t:conflict'));
        if (++calls <= 2) await pool.set('t:conflict', String(value * 10));
        return own.multi().set('t:conflict', `from ${value}`).execTyped();
      },
      { watch: 't:conflict' },
    );
    expect(reply).toEqual(['OK']);
    expect(calls).toBe(3);
    expect(await pool.get('t:conflict')).toBe('from 100');
  });

  test('gives up after the retries, and says so', async () => {
    const pool = open();
    let calls = 0;
    const attempt = pool.transaction(
      async (own) => {
        calls++;
        await pool.incr('t:always');
        return own.multi().set('t:loser', '1').exec();
      },
      { watch: ['t:other', 't:always'], retries: 2 },
    );
    const error = await failure(attempt);
    expect(error).toBeInstanceOf(TransactionConflictError);
    expect((error as Error).message).toContain('each of 3 attempt(s)');
    expect(calls).toBe(3);
    expect(await pool.get('t:loser')).toBeNull();
  });

  test('retries three times by default, and not at all with 0', async () => {
    const pool = open();
    let calls = 0;
    const losing = (retries?: number) =>
      pool.transaction(
        async (own) => {
          calls++;
          await pool.incr('t:always');
          return own.multi().ping().exec();
        },
        { watch: 't:always', ...(retries !== undefined && { retries }) },
      );
    await failure(losing());
    expect(calls).toBe(4);
    await failure(losing(0));
    expect(calls).toBe(5);
  });

  test('loses no update: 20 callers add at once', async () => {
    const pool = open({ pool: { max: 6 } });
    await pool.set('t:sum', '0');
    const add = () =>
      pool.transaction(
        async (own) => {
          const sum = Number(await own.get('t:sum'));
          return own
            .multi()
            .set('t:sum', String(sum + 1))
            .exec();
        },
        { watch: 't:sum', retries: 100 },
      );
    await Promise.all(Array.from({ length: 20 }, add));
    expect(await pool.get('t:sum')).toBe('20');
    expect(pool.stats()).toMatchObject({ leases: { inUse: 0, waiting: 0 }, pending: 0 });
  });

  test('hands on the error of fn, watches nothing any more and frees the lease', async () => {
    const pool = open({ pool: { max: 2 } });
    const own = new Error('own');
    let calls = 0;
    const attempt = pool.transaction(
      async () => {
        calls++;
        throw own;
      },
      { watch: 't:watched' },
    );
    expect(await failure(attempt)).toBe(own);
    expect(calls).toBe(1);
    await pool.set('t:watched', 'changed');
    // The only lease there is: a WATCH left on it would make this EXEC fail.
    expect(await pool.isolated((connection) => connection.multi().get('t:watched').exec())).toEqual(['changed']);
    expect(pool.stats().leases).toEqual({ inUse: 0, idle: 1, waiting: 0 });
  });

  test('does not retry an error of a command', async () => {
    let calls = 0;
    const attempt = open().transaction((own) => {
      calls++;
      return own.multi().set('t:text', 'text').incr('t:text').exec();
    });
    expect(await failure(attempt)).toBeInstanceOf(TransactionError);
    expect(calls).toBe(1);
  });

  test('puts the prefix before the keys it watches', async () => {
    const pool = open({ keyPrefix: 'p:' });
    let calls = 0;
    await pool.transaction(
      async (own) => {
        if (++calls === 1) await redis().cli('SET', 'p:t:prefixed', 'changed');
        await own.watch(Buffer.from('t:more'));
        if (calls === 2) await redis().cli('SET', 'p:t:more', 'changed');
        return own.multi().ping().exec();
      },
      { watch: 't:prefixed' },
    );
    expect(calls).toBe(3);
  });

  test.each([-1, 1.5, Number.NaN, '3' as never])('refuses %s retries', async (retries) => {
    const error = await failure(open().transaction(async () => 1, { retries }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).message).toContain(String(retries));
  });
});
