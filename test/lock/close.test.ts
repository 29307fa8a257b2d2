import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Deferred } from '../../src/deferred.js';
import { ClosedError, type Lock } from '../../src/index.js';
import { engineOn, failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { lockerOn, newKey, waitersOf } from './support.js';

const server = useRedis();
const SOURCE = fileURLToPath(new URL('../../src/index.ts', import.meta.url));

/** Runs a program of its own that has `engine` and `locker`; resolves with its output once it has exited by itself. */
async function program(body: string): Promise<string> {
  const code = `
    const { Registry } = await import(${JSON.stringify(SOURCE)});
    const engine = new Registry().registerRedis(${JSON.stringify(server().address)}).validate();
    const locker = engine.getRedis().getLocker();
    process.on('unhandledRejection', (error) => console.log('unhandled', error));
    ${body}`;
  const args = ['--import', 'tsx', '--input-type=module', '--trace-warnings', '--eval', code];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 15_000 });
  return stdout + stderr;
}

describe('engine.close()', () => {
  test('ends every wait with ClosedError, also one without end', async () => {
    const key = newKey();
    const holder = await lockerOn(server()).obtain(key, '1m');
    const engine = engineOn(server().address);
    const locker = engine.getRedis().getLocker();
    const waits = [
      failure(locker.obtain(key, '1m', '10s')),
      failure(locker.obtain(key, '1m', Number.POSITIVE_INFINITY)),
      failure(locker.obtain([newKey(), key], '1m', '10s')),
      failure(locker.run(key, { ttl: '1m', waitTimeout: '10s' }, () => 'never')),
      failure(locker.semaphore(key, 1).obtain('1m', '10s')),
    ];
    await waitersOf(lockerOn(server()), key, 4);
    const startedAt = performance.now();
    await engine.close();
    const errors = await Promise.all(waits);
    for (const error of errors.slice(0, 4)) expect(error).toBeInstanceOf(ClosedError);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    // And nobody who comes after them waits for them.
    await holder?.release();
    expect(await lockerOn(server()).obtain(key, '1m', '1s')).not.toBeNull();
  });

  test('ends a wait that is still opening the queue', async () => {
    const key = newKey();
    await lockerOn(server()).obtain(key, '1m');
    for (let turns = 0; turns < 8; turns++) {
      const engine = engineOn(server().address);
      await engine.connect();
      const wait = failure(engine.getRedis().getLocker().obtain(key, '1m', '10s'));
      for (let i = 0; i < turns; i++) await new Promise(setImmediate);
      await engine.close();
      expect(await wait).toBeInstanceOf(ClosedError);
    }
  });

  test('lets a run come to its end, renews its lock meanwhile, and gives it back', async () => {
    const near = lockerOn(server());
    for (const lanes of [1, 3]) {
      const key = newKey();
      const engine = engineOn(server().address, { pool: { lanes } });
      const begun = new Deferred<Lock>();
      const end = new Deferred<string>();
      const run = engine
        .getRedis()
        .getLocker()
        .run(key, { ttl: 900 }, async (lock) => {
          begun.resolve(lock);
          return end.promise;
        });
      const lock = await begun.promise;
      let closed = false;
      const closing = engine.close().then(() => {
        closed = true;
      });
      const { expiresAt } = lock;
      await eventually(() => lock.expiresAt > expiresAt + 1_000);
      expect([lock.held, closed]).toEqual([true, false]);
      // What begins now is not let in.
      expect(await failure(engine.getRedis().ping())).toBeInstanceOf(ClosedError);
      expect(await failure(engine.getRedis().getLocker().obtain(newKey(), '1m'))).toBeInstanceOf(ClosedError);
      end.resolve('done');
      expect(await run).toBe('done');
      await closing;
      expect(await near.inspect(key)).toMatchObject({ held: false });
    }
  });

  test('waits no longer for a run than its timeout, and lets no more through then', async () => {
    const key = newKey();
    const engine = engineOn(server().address);
    const begun = new Deferred<Lock>();
    const end = new Deferred<string>();
    const run = engine
      .getRedis()
      .getLocker()
      .run(key, { ttl: '1m' }, async (lock) => {
        begun.resolve(lock);
        return end.promise;
      });
    const lock = await begun.promise;
    await engine.close({ timeout: 50 });
    expect(await failure(lock.refresh('1m'))).toBeInstanceOf(ClosedError);
    end.resolve('done');
    expect(await run).toBe('done');
    expect(await lockerOn(server()).inspect(key)).toMatchObject({ held: true });
  });

  test('lets a lock be released while it waits for something', async () => {
    const key = newKey();
    const engine = engineOn(server().address);
    const lock = await engine.getRedis().getLocker().obtain(key, '1m');
    const begun = new Deferred<void>();
    const isolated = engine.getRedis().isolated(async (own) => {
      begun.resolve();
      await eventually(() => engine.getRedis().closing.aborted);
      expect(await lock?.release()).toBe(true);
      return own.ping();
    });
    await begun.promise;
    await engine.close();
    expect(await isolated).toBe('PONG');
    expect(await lockerOn(server()).inspect(key)).toMatchObject({ held: false });
  });

  test('leaves nothing that keeps the process alive', async () => {
    const output = await program(`
      const [held, renewed] = [await locker.obtain('held', '1m'), await locker.obtain('renewed', '1m', 0, { autoRenew: true })];
      held.signal.addEventListener('abort', () => console.log('aborted'));
      renewed.signal;
      const waits = ['held', 'renewed'].map((key) => locker.obtain(key, '1m', Infinity).catch((error) => error.code));
      const brief = await locker.obtain('held', '1m', 50);
      const permit = await locker.semaphore('semaphore', 2).obtain('1m');
      await locker.run('run', { ttl: '1m' }, () => undefined);
      await engine.close();
      console.log(brief, (await Promise.all(waits)).join(' '));
    `);
    expect(output).toBe('null LAGOON_CLOSED LAGOON_CLOSED\n');
  });
});

test('a lock that is held, with its signal and its renewal, is no reason for the process to stay', async () => {
  const output = await program(`
    const lock = await locker.obtain('stays', '1m', 0, { autoRenew: true });
    lock.signal.addEventListener('abort', () => undefined);
    await engine.close();
    console.log('end');
  `);
  expect(output).toBe('end\n');
});

test('a thousand waits under one signal are no reason for a warning', async () => {
  const output = await program(`
    const { signal } = new AbortController();
    await locker.obtain('crowd', '1m');
    const waits = Array.from({ length: 1000 }, () => locker.obtain('crowd', '1m', 200, { signal }));
    console.log(new Set(await Promise.all(waits)));
    await engine.close();
  `);
  expect(output).toBe('Set(1) { null }\n');
});
