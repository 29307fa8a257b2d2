import { describe, expect, test } from 'vitest';
import { AbortError, ClosedError, defineScript, InvalidArgumentError, Registry, ReplyError } from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { commandCalls, failure, usePools } from './support.js';

/** Per call: one counter and two arguments, a step and a most; an error if the counter would pass it. */
const LIMITED = defineScript({
  lua: `
    local replies = {}
    for i, key in ipairs(KEYS) do
      local step, most = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
      local count = tonumber(redis.call('GET', key) or '0') + step
      if count > most then
        replies[i] = redis.error_reply('TOOMUCH ' .. key)
      else
        redis.call('SET', key, count)
        replies[i] = count
      end
    end
    return replies`,
  keys: 1,
  args: 2,
  batch: 8,
  transform: Number,
});

describe('a batched script', () => {
  const redis = useRedis();
  const open = usePools(redis);

  /** A pool that is connected and whose server knows the script, with the count of calls at zero. */
  async function ready(keyPrefix = '') {
    const pool = open({ keyPrefix });
    await pool.flushDb();
    await pool.scriptLoad(LIMITED.lua);
    await redis().cli('CONFIG', 'RESETSTAT');
    return pool;
  }
  const scriptCalls = async () => {
    const { evalsha = 0, eval: evals = 0 } = await commandCalls(redis());
    return { evalsha, eval: evals };
  };

  test('serves the calls of one turn with one EVALSHA, each with its own reply', async () => {
    const pool = await ready();
    const replies = await Promise.all(
      ['a', 'b', 'a', 'c'].map((key, i) => pool.runScript(LIMITED, [key], [i + 1, 100])),
    );
    expect(replies).toEqual([1, 2, 4, 4]);
    expect(await scriptCalls()).toEqual({ evalsha: 1, eval: 0 });
  });

  test('sends the first of a turn ahead after a series that came one at a time, and the others together', async () => {
    const pool = await ready();
    const add = (key: string) => pool.runScript(LIMITED, [key], [1, 100]);
    for (let i = 0; i < 8; i++) await add('a');
    expect(await Promise.all(['a', 'b', 'a'].map(add))).toEqual([9, 1, 10]);
    expect(await scriptCalls()).toEqual({ evalsha: 8 + 2, eval: 0 });
    expect(await Promise.all(['a', 'b', 'a'].map(add))).toEqual([11, 2, 12]);
    expect(await scriptCalls()).toEqual({ evalsha: 8 + 3, eval: 0 });
  });

  test('refuses a call that cannot be encoded in the middle of such a series, and goes on', async () => {
    const pool = await ready();
    const add = (key: unknown, step: unknown = 1) => pool.runScript(LIMITED, [key as string], [step as number, 100]);
    for (let i = 0; i < 8; i++) await add('a');
    await expect(add(7)).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(add('a', {})).rejects.toBeInstanceOf(InvalidArgumentError);
    expect(await add('a')).toBe(9);
  });

  test('in such a series does without what the server has forgotten, tells of errors, and can be aborted', async () => {
    const pool = await ready();
    const add = (step: number, by = pool) => by.runScript(LIMITED, ['a'], [step, 100]);
    for (let i = 0; i < 8; i++) await add(1);
    await redis().cli('SCRIPT', 'FLUSH');
    expect(await add(1)).toBe(9);
    expect(await scriptCalls()).toEqual({ evalsha: 9, eval: 1 });
    const error = await failure(add(1000));
    expect(error).toBeInstanceOf(ReplyError);
    expect(error).toMatchObject({ replyCode: 'TOOMUCH' });
    const abort = new AbortController();
    const aborted = failure(add(1, pool.withAbortSignal(abort.signal)));
    abort.abort();
    expect(await aborted).toBeInstanceOf(AbortError);
    // It was on its way already, and its reply is nobody else's.
    expect(await add(1)).toBe(11);
  });

  test('a call that cannot be encoded is refused alone, and shifts nothing for the others', async () => {
    const pool = await ready();
    const bad = [undefined as never, 100];
    const replies = await Promise.allSettled([
      pool.runScript(LIMITED, ['a'], [1, 100]),
      pool.runScript(LIMITED, ['b'], bad),
      pool.runScript(LIMITED, [7 as never], [1, 100]),
      pool.runScript(LIMITED, ['c'], [3, 100]),
    ]);
    expect(replies.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(await pool.mGet(['a', 'b', 'c'])).toEqual(['1', null, '3']);
  });

  test('what calls share is sent once, in front; calls with another share are not mixed with them', async () => {
    const pool = await ready('p:');
    const both = defineScript<string>({
      lua: `local replies = {}
        for i = 1, #KEYS - 1 do replies[i] = KEYS[1] .. ' ' .. ARGV[1] .. ' ' .. KEYS[i + 1] .. ' ' .. ARGV[i + 1] end
        return replies`,
      keys: 1,
      args: 1,
      batch: 2,
    });
    const one = { keys: ['one'], args: [1] };
    const two = { keys: ['two'], args: [2] };
    const calls = [one, one, one, two, two].map((shared, i) => pool.runScript(both, [`k${i}`], [`a${i}`], shared));
    const alone = pool.withTimeout('5s').runScript(both, ['k5'], ['a5'], two);
    expect(await Promise.all([...calls, alone])).toEqual([
      'p:one 1 p:k0 a0',
      'p:one 1 p:k1 a1',
      'p:one 1 p:k2 a2',
      'p:two 2 p:k3 a3',
      'p:two 2 p:k4 a4',
      'p:two 2 p:k5 a5',
    ]);
    const wrong = { keys: ['wrong'], args: [Number.NaN] };
    expect(await failure(pool.runScript(both, ['k6'], ['a6'], wrong))).toBeInstanceOf(InvalidArgumentError);
    expect(await pool.runScript(both, ['k7'], ['a7'], two)).toBe('p:two 2 p:k7 a7');
  });

  test('an aborted call takes its part of the batch with it, wherever it stands', async () => {
    const pool = await ready();
    const abort = new AbortController();
    const calls = ['a', 'b', 'c'].map((key, i) =>
      (key === 'b' ? pool.withAbortSignal(abort.signal) : pool).runScript(LIMITED, [key], [i + 1, 100]),
    );
    abort.abort();
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await pool.mGet(['a', 'b', 'c'])).toEqual(['1', null, '3']);
  });

  test('leaves out the usual arguments if all calls have them, and only then', async () => {
    const usual = [1];
    const script = defineScript<string>({
      lua: `
        local replies = {}
        for i, key in ipairs(KEYS) do replies[i] = key .. ' ' .. (ARGV[i + 1] or '-') .. ' of ' .. #ARGV end
        return replies`,
      keys: 1,
      args: 1,
      batch: 8,
      usual,
    });
    const pool = await ready();
    const shared = { keys: [], args: ['shared'] };
    const run = (key: string, args: number[], signal?: AbortSignal) =>
      (signal ? pool.withAbortSignal(signal) : pool).runScript(script, [key], args, shared);
    expect(await Promise.all([run('a', usual), run('b', usual)])).toEqual(['a - of 1', 'b - of 1']);
    expect(await Promise.all([run('a', usual), run('b', usual), run('c', [3]), run('d', usual)])).toEqual(
      ['a 1', 'b 1', 'c 3', 'd 1'].map((each) => `${each} of 5`),
    );
    const refused = failure(run('b', [undefined as never]));
    expect(await Promise.all([run('a', usual), run('c', usual)])).toEqual(['a 1 of 3', 'c 1 of 3']);
    expect(await refused).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    // A call that is aborted takes with it what it has.
    for (const [args, told] of [
      [usual, ['a - of 1', 'c - of 1']],
      [[2], ['a 1 of 3', 'c 1 of 3']],
    ] as const) {
      const abort = new AbortController();
      const calls = [run('a', usual), run('b', args as number[], abort.signal), run('c', usual)];
      abort.abort();
      await expect(calls[1]).rejects.toBeInstanceOf(AbortError);
      expect(await Promise.all([calls[0], calls[2]])).toEqual(told);
    }
  });

  test('gathers what is asked for behind promises of the same turn, from any view', async () => {
    const pool = await ready();
    const later = async (key: string, hops: number) => {
      for (let i = 0; i < hops; i++) await undefined;
      return pool.withAbortSignal(new AbortController().signal).runScript(LIMITED, [key], [1, 100]);
    };
    expect(await Promise.all([0, 1, 2, 3].map((hops) => later(`k${hops}`, hops)))).toEqual([1, 1, 1, 1]);
    expect(await scriptCalls()).toEqual({ evalsha: 1, eval: 0 });
  });

  test('sends calls of different turns apart', async () => {
    const pool = await ready();
    await pool.runScript(LIMITED, ['a'], [1, 100]);
    await pool.runScript(LIMITED, ['a'], [1, 100]);
    expect(await scriptCalls()).toEqual({ evalsha: 2, eval: 0 });
  });

  test('puts no more calls into one than its limit, and keeps their order', async () => {
    const pool = await ready();
    const replies = await Promise.all(Array.from({ length: 20 }, () => pool.runScript(LIMITED, ['a'], [1, 100])));
    expect(replies).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(await scriptCalls()).toEqual({ evalsha: 3, eval: 0 });
  });

  test('lets Redis have what the callers of one batch ask next before those of the last are answered', async () => {
    const pool = await ready();
    const call = (key: string) => pool.runScript(LIMITED, [key], [1, 100]);
    const asking = Array.from({ length: 12 }, async (_, i) => {
      await call('a');
      // Four of the eight in the first batch, and the four in the second: together they would be one batch.
      if (i >= 4) await call('b');
    });
    await Promise.all(asking);
    expect(await scriptCalls()).toEqual({ evalsha: 4, eval: 0 });
  });

  test('a script may give a call that is alone its reply without an array around it', async () => {
    const pool = await ready();
    for (const [lua, reply] of [
      ['return #KEYS == 1 and ARGV[1] or ARGV', 'x'],
      ['return #KEYS == 1 and 7 or { 7, 7 }', 7],
      ['return nil', null],
    ] as const) {
      const script = defineScript({ lua, keys: 1, args: 1, batch: 8 });
      expect(await pool.runScript(script, ['a'], ['x'])).toBe(reply);
      expect(await pool.withTimeout('5s').runScript(script, ['a'], ['x'])).toBe(reply);
    }
    const failing = defineScript({ lua: `return redis.error_reply('NO way')`, keys: 1, args: 1, batch: 8 });
    expect(await failure(pool.runScript(failing, ['a'], ['x']))).toMatchObject({ replyCode: 'NO' });
  });

  test('fails the one call whose reply is an error', async () => {
    const pool = await ready();
    const [first, second, third] = await Promise.allSettled([
      pool.runScript(LIMITED, ['a'], [1, 100]),
      pool.runScript(LIMITED, ['b'], [5, 3]),
      pool.runScript(LIMITED, ['c'], [1, 100]),
    ]);
    expect([first.status, second.status, third.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const { reason } = second as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(ReplyError);
    expect(reason).toMatchObject({ replyCode: 'TOOMUCH', message: 'TOOMUCH b' });
  });

  test('fails all calls of a batch with the error of the whole', async () => {
    const pool = await ready();
    const broken = defineScript({ lua: 'return redis.call("NONSENSE")', keys: 1, args: 0, batch: 8 });
    const outcomes = await Promise.allSettled(['a', 'b'].map((key) => pool.runScript(broken, [key])));
    for (const outcome of outcomes) expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(ReplyError);
  });

  test('says what is wrong when the script does not give one reply per call', async () => {
    const pool = await ready();
    for (const lua of ['return {1}', 'return 1']) {
      const wrong = defineScript({ lua, keys: 1, args: 0, batch: 8 });
      const [error] = await Promise.all(['a', 'b'].map((key) => failure(pool.runScript(wrong, [key]))));
      expect((error as Error).message).toContain('one reply per call: 2');
    }
    // Alone, too.
    const none = defineScript({ lua: 'return {}', keys: 1, args: 0, batch: 8 });
    expect(((await failure(pool.runScript(none, ['a']))) as Error).message).toContain('one reply per call: 1');
    expect(((await failure(pool.withTimeout('1s').runScript(none, ['a']))) as Error).message).toContain(
      'one reply per call: 1',
    );
  });

  test('is sent as source when the server does not know it, once for the batch', async () => {
    const pool = await ready();
    await pool.scriptFlush();
    expect(await Promise.all(['a', 'b'].map((key) => pool.runScript(LIMITED, [key], [1, 100])))).toEqual([1, 1]);
    expect(await scriptCalls()).toEqual({ evalsha: 1, eval: 1 });
  });

  test('leaves out a call that is aborted before it is sent, and only that', async () => {
    const pool = await ready();
    const controller = new AbortController();
    const first = pool.runScript(LIMITED, ['a'], [1, 100]);
    const second = pool.withAbortSignal(controller.signal).runScript(LIMITED, ['b'], [1, 100]);
    controller.abort();
    expect(await failure(second)).toBeInstanceOf(AbortError);
    expect(await first).toBe(1);
    expect(await pool.exists('b')).toBe(0);
  });

  test('ends a call that is aborted in flight for its caller, and only that', async () => {
    const pool = await ready();
    const controller = new AbortController();
    await redis().freeze();
    const first = pool.runScript(LIMITED, ['a'], [1, 100]);
    const second = pool.withAbortSignal(controller.signal).runScript(LIMITED, ['b'], [1, 100]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    controller.abort();
    expect(await failure(second)).toBeInstanceOf(AbortError);
    await redis().thaw();
    expect(await first).toBe(1);
    expect(await pool.get('b')).toBe('1');
  });

  test('sends nothing if every call of the turn was aborted', async () => {
    const pool = await ready();
    const controller = new AbortController();
    const view = pool.withAbortSignal(controller.signal);
    const all = ['a', 'b'].map((key) => failure(view.runScript(LIMITED, [key], [1, 100])));
    controller.abort();
    for (const error of await Promise.all(all)) expect(error).toBeInstanceOf(AbortError);
    expect(await failure(view.runScript(LIMITED, ['a'], [1, 100]))).toBeInstanceOf(AbortError);
    await pool.ping();
    expect(await scriptCalls()).toEqual({ evalsha: 0, eval: 0 });
  });

  test('goes by itself with a timeout of its own, with the same replies and errors', async () => {
    const pool = await ready();
    const view = pool.withTimeout('1s');
    const [reply, error] = await Promise.all([
      view.runScript(LIMITED, ['a'], [1, 100]),
      failure(view.runScript(LIMITED, ['b'], [5, 3])),
    ]);
    expect(reply).toBe(1);
    expect(error).toBeInstanceOf(ReplyError);
    expect(error).toMatchObject({ replyCode: 'TOOMUCH', message: 'TOOMUCH b' });
    expect(await scriptCalls()).toEqual({ evalsha: 2, eval: 0 });
  });

  test('puts the prefix before every key', async () => {
    const pool = await ready('p:');
    await Promise.all(['a', 'b'].map((key) => pool.runScript(LIMITED, [key], [1, 100])));
    expect(await redis().cli('MGET', 'p:a', 'p:b')).toEqual(['1', '1']);
  });

  test('is refused after close, also what was gathered before it', async () => {
    const engine = new Registry().registerRedis(redis().address).validate();
    const pool = engine.getRedis();
    await pool.ping();
    const gathered = pool.runScript(LIMITED, ['a'], [1, 100]);
    const closed = engine.close();
    const outcome = await gathered.then(
      () => 'finished',
      (error) => error,
    );
    if (outcome !== 'finished') expect(outcome).toBeInstanceOf(ClosedError);
    await closed;
    expect(await failure(pool.runScript(LIMITED, ['a'], [1, 100]))).toBeInstanceOf(ClosedError);
  });
});
