import { expect, test } from 'vitest';
import { CommandRefusedError, TransactionConflictError, TransactionError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import type { Site } from './site.js';

/** multi(), transaction() and isolated(). What they need to know in a cluster is given to all. */
export function transactions(site: Site): void {
  test('multi() executes all at once', async () => {
    const { redis } = site;
    const key = site.key('multi');
    const replies = await redis.multi().set(key, '1').incr(key).incrBy(key, 5).get(key).exec();
    expect(replies).toEqual(['OK', 2, 7, '7']);
    expect(await redis.multi().exec()).toEqual([]);
  });

  test('multi() tells which commands failed, and that the others did not', async () => {
    const { redis } = site;
    const key = site.key('multi');
    const error = await failure(redis.multi().set(key, 'text').incr(key).append(key, '!').exec());
    expect(error).toBeInstanceOf(TransactionError);
    expect((error as unknown as TransactionError).errorIndexes).toEqual([1]);
    expect(await redis.get(key)).toBe('text!');
  });

  test('execAsPipeline() sends commands on any keys', async () => {
    const { redis } = site;
    const keys = site.keys(50, 'pipeline');
    const pipeline = redis.multi();
    for (const key of keys) pipeline.set(key, key);
    for (const key of keys) pipeline.get(key);
    expect(await pipeline.execAsPipeline()).toEqual([...keys.map(() => 'OK'), ...keys]);
  });

  test('transaction() decides on what it reads, again if that has changed', async () => {
    const { redis, elsewhere } = site;
    const key = site.key('transaction');
    await redis.set(key, '1');
    let calls = 0;
    const replies = await redis.transaction(
      async (own) => {
        const value = Number(await own.get(key));
        if (++calls <= 2) await elsewhere.incrBy(key, 10);
        return own.multi().set(key, `from ${value}`).get(key).exec();
      },
      { watch: key },
    );
    expect(replies).toEqual(['OK', 'from 21']);
    expect(calls).toBe(3);
  });

  test('transaction() gives up after its retries', async () => {
    const { redis, elsewhere } = site;
    const key = site.key('transaction');
    const losing = redis.transaction(
      async (own) => {
        await elsewhere.incr(key);
        return own.multi().set(`${key}:lost`, '1').exec();
      },
      { watch: key, retries: 1 },
    );
    expect(await failure(losing)).toBeInstanceOf(TransactionConflictError);
    expect(await redis.get(key)).toBe('2');
    expect(await redis.exists(`${key}:lost`)).toBe(0);
  });

  test('transaction() watches what it comes across later', async () => {
    const { redis } = site;
    const key = site.key('transaction');
    await redis.set(`${key}:name`, `${key}:value`);
    let calls = 0;
    await redis.transaction(
      async (own) => {
        const name = String(await own.get(`${key}:name`));
        await own.watch(name);
        if (++calls === 1) await redis.set(name, 'changed');
        return own.multi().append(name, '!').exec();
      },
      { key },
    );
    expect(await redis.get(`${key}:value`)).toBe('changed!');
  });

  test('no update is lost among callers of two processes', async () => {
    const key = site.key('sum');
    const add = (redis = site.redis) =>
      redis.transaction(
        async (own) => {
          const sum = Number(await own.get(key));
          return own
            .multi()
            .set(key, String(sum + 1))
            .exec();
        },
        { watch: key, retries: 100 },
      );
    await Promise.all(Array.from({ length: 10 }, (_, i) => add(i % 2 ? site.redis : site.elsewhere)));
    expect(await site.redis.get(key)).toBe('10');
  });

  test('isolated() has a connection to itself, and gives it back clean', async () => {
    const { redis } = site;
    const key = site.key('isolated');
    const replies = await redis.isolated(
      async (own) => {
        await own.watch(key);
        await redis.set(key, 'changed by another');
        const outcome = await own
          .multi()
          .set(key, 'mine')
          .exec()
          .catch((error: Error) => error);
        await own.watch(key);
        return [outcome, await own.get(key), await own.wait(0, 10)];
      },
      { key },
    );
    expect(replies[0]).toBeInstanceOf(TransactionConflictError);
    expect(replies[1]).toBe('changed by another');
    expect(replies[2]).toBeTypeOf('number');
    // Whoever gets that connection next does not watch what was watched there.
    await redis.set(key, 'once more');
    expect(await redis.isolated((own) => own.multi().get(key).exec(), { key })).toEqual(['once more']);
  });

  test('what would harm others is refused everywhere', async () => {
    const { redis } = site;
    const key = site.key('refused');
    const attempts = [
      redis.sendCommand(['select', '1']),
      redis.sendCommand(['CLIENT', 'REPLY', 'OFF']),
      redis.sendCommand(['WATCH', site.inRedis(key)]),
      (async () => redis.multi().addCommand(['RESET']).exec())(),
      redis.isolated((own) => own.sendCommand([Buffer.from('Auth'), 'x']), { key }),
      redis.transaction((own) => own.sendCommand(['HELLO', '2']), { key }),
    ];
    for (const error of await Promise.all(attempts.map(failure))) expect(error).toBeInstanceOf(CommandRefusedError);
  });
}
