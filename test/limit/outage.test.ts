import { describe, expect, onTestFinished, test } from 'vitest';
import { ClosedError, CommandTimeoutError, ConnectionError, ReplyError } from '../../src/index.js';
import { scriptCalls } from '../lock/support.js';
import { failure, timed } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { freeze, TIMEOUT_MS, watched } from './outages.js';
import { newKey, together } from './support.js';

const server = useRedis();

/** Whether an error says that Redis did not answer: that the connection was lost, or that it took too long. */
function unreachable(error: unknown): boolean {
  return error instanceof ConnectionError || error instanceof CommandTimeoutError;
}

const SILENT = ['allow', 'deny', 'local'] as const;

describe.each([
  ['frozen', () => server().freeze(), () => server().thaw()],
  ['killed', () => server().kill(), () => server().restart()],
] as const)('while the server is %s', (_, fail, mend) => {
  test('callers have the error or an answer, at once but for the first, and Redis is found again', async () => {
    const loud = await watched(server(), { whenDown: 'throw' });
    const silent = await Promise.all(SILENT.map((whenDown) => watched(server(), { whenDown })));
    const all = [loud, ...silent];
    const key = newKey();
    await loud.limiter.consume(key, 5);
    await fail();
    onTestFinished(mend);
    const answers = silent.map(({ limiter }) => together(20, () => limiter.consume(key)));
    expect(unreachable(await failure(loud.limiter.consume(key)))).toBe(true);
    for (const results of await Promise.all(answers)) expect(results.every(({ degraded }) => degraded)).toBe(true);
    for (const { downs } of all) {
      expect(downs).toHaveLength(1);
      expect(unreachable(downs[0])).toBe(true);
    }
    for (const { limiter } of silent) {
      const calls = async () => {
        for (let i = 0; i < 10; i++) {
          expect((await limiter.consume(newKey())).degraded).toBe(true);
          expect((await limiter.peek(newKey())).degraded).toBe(true);
        }
      };
      // Had each of them asked Redis, they had taken 20 timeouts.
      expect(await timed(calls())).toBeLessThan(5 * TIMEOUT_MS);
    }
    for (const call of [() => loud.limiter.peek(key), () => loud.limiter.wait(key)]) {
      expect(unreachable(await failure(call()))).toBe(true);
    }
    for (const { downs, ups } of all) expect([downs.length, ups.length]).toEqual([1, 0]);
    await mend();
    // With nothing but calls, as they come anyway.
    for (const { limiter, downs, ups } of all) {
      await eventually(async () => !(await limiter.peek(newKey())).degraded, { timeout: 10_000, interval: 20 });
      expect([downs.length, ups.length]).toEqual([1, 1]);
      expect(await limiter.consume(newKey())).toMatchObject({ allowed: true, remaining: 4, degraded: false });
    }
  });
});

describe('an outage', () => {
  test('begins with a timeout, too', async () => {
    const { limiter, downs } = await watched(server(), { whenDown: 'allow' });
    await freeze(server());
    await limiter.consume(newKey());
    expect(downs[0]).toBeInstanceOf(CommandTimeoutError);
  });

  test('costs few commands, however many calls there are, and leaves nothing behind', async () => {
    const [yes, no] = await Promise.all([
      watched(server(), { whenDown: 'allow' }),
      watched(server(), { whenDown: 'deny', prefix: 'no:' }),
    ]);
    const all = [yes.limiter, no.limiter];
    const key = newKey();
    await server().cli('CONFIG', 'RESETSTAT');
    await freeze(server());
    // What began the outage may still be counted: nobody can tell.
    for (const limiter of all) await limiter.consume(newKey());
    for (let i = 0; i < 50; i++) await together(100, () => Promise.all(all.map((limiter) => limiter.consume(key))));
    expect(await no.limiter.consume(key)).toMatchObject({ allowed: false, degraded: true });
    await server().thaw();
    for (const limiter of all) await eventually(async () => !(await limiter.peek(newKey())).degraded);
    // The first, the probes of a second or two, and what came after, of each.
    expect(await scriptCalls(server())).toBeLessThan(20);
    // Neither what was allowed nor what was denied meanwhile is known any more.
    expect(await yes.limiter.peek(key)).toMatchObject({ remaining: 5, degraded: false });
    expect(await no.limiter.consume(key)).toMatchObject({ allowed: true, remaining: 4, degraded: false });
  });

  test('does not keep remembered denials from holding', async () => {
    const { limiter, downs } = await watched(server(), { whenDown: 'allow' });
    const key = newKey();
    await limiter.consume(key, 5);
    expect(await limiter.consume(key)).toMatchObject({ allowed: false, degraded: false });
    await freeze(server());
    expect(await limiter.consume(key)).toMatchObject({ allowed: false, degraded: false });
    expect(downs).toEqual([]);
  });

  test('ends when Redis answers with a refusal: it is asked again, and the refusal is an error', async () => {
    const { limiter, ups } = await watched(server(), { whenDown: 'allow' });
    await server().cli('HSET', 'limit:s3600000:wrong', 'field', 'value');
    await freeze(server());
    expect(await limiter.consume('wrong')).toMatchObject({ allowed: true, degraded: true });
    await server().thaw();
    const error = await eventually(async () => (await failure(limiter.consume('wrong'))) ?? false, {
      timeout: 3_000,
      interval: 20,
    });
    expect(error).toBeInstanceOf(ReplyError);
    expect(ups).toHaveLength(1);
  });

  test("ends for those who wait, too: what 'local' denied is asked again", async () => {
    const { limiter, ups } = await watched(server(), { whenDown: 'local' });
    const key = newKey();
    await freeze(server());
    // What begins the outage may still be counted.
    await limiter.consume(newKey());
    expect(await limiter.consume(key, 5)).toMatchObject({ allowed: true, degraded: true });
    const waits = [limiter.wait(key), limiter.wait(key)];
    expect((await limiter.peek(key)).retryAfter).toBeGreaterThan(600_000);
    await server().thaw();
    // Nobody else asks: they find Redis again themselves.
    for (const result of await Promise.all(waits)) expect(result).toMatchObject({ allowed: true, degraded: false });
    expect(ups).toHaveLength(1);
  });

  test('is not what a closed engine is', async () => {
    for (const whenDown of ['throw', ...SILENT] as const) {
      const { limiter, close, downs } = await watched(server(), { whenDown });
      await close();
      for (const call of [() => limiter.consume(newKey()), () => limiter.peek('k'), () => limiter.wait(newKey())]) {
        expect(await failure(call())).toBeInstanceOf(ClosedError);
      }
      expect(downs).toEqual([]);
    }
  });

  test('does not go on when the engine is closed', async () => {
    const { limiter, close } = await watched(server(), { whenDown: 'allow' });
    await freeze(server());
    expect(await limiter.consume(newKey())).toMatchObject({ degraded: true });
    await close();
    expect(await failure(limiter.consume(newKey()))).toBeInstanceOf(ClosedError);
    expect(await failure(limiter.peek(newKey()))).toBeInstanceOf(ClosedError);
  });

  test('is not lost on a listener that fails: that only warns', async () => {
    const warnings: (Error & { code?: string })[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    const fails = (): never => {
      throw new Error('listener is broken');
    };
    const broken = { onDown: fails, onUp: fails };
    const [loud, silent] = await Promise.all([
      watched(server(), { whenDown: 'throw', ...broken }),
      watched(server(), { whenDown: 'allow', ...broken }),
    ]);
    await freeze(server());
    const answer = silent.limiter.consume(newKey());
    expect(await failure(loud.limiter.consume(newKey()))).toBeInstanceOf(CommandTimeoutError);
    expect(await answer).toMatchObject({ allowed: true, degraded: true });
    await server().thaw();
    for (const { limiter } of [loud, silent]) await eventually(async () => !(await limiter.peek('k')).degraded);
    await eventually(() => warnings.length >= 4);
    expect(warnings.map(({ code }) => code)).toEqual(Array(4).fill('LAGOON_LISTENER'));
    expect(warnings[0]?.message).toContain('listener is broken');
  });
});

describe('penalties, rewards, blocks and resets', () => {
  test('are errors in an outage, whatever whenDown says, as they are not done', async () => {
    const all = await Promise.all(SILENT.map((whenDown) => watched(server(), { whenDown })));
    const key = newKey();
    await freeze(server());
    const calls = all.flatMap(({ limiter }) => [
      limiter.penalty(key),
      limiter.reward(key),
      limiter.block(key, '1h'),
      limiter.reset(key),
    ]);
    for (const error of await Promise.all(calls.map(failure))) expect(unreachable(error)).toBe(true);
  });
});
