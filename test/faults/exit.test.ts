import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { freePort, useRedis } from '../support/redis.js';

const SOURCE = fileURLToPath(new URL('../../src/index.ts', import.meta.url));
const server = useRedis();

/** Runs a program of its own that has `Registry` and `address`; resolves with its output once it has exited by itself. */
async function program(body: string, address = server().address): Promise<string> {
  const code = `const { Registry } = await import(${JSON.stringify(SOURCE)}); const address = ${JSON.stringify(address)};\n${body}`;
  const args = ['--import', 'tsx', '--input-type=module', '--trace-warnings', '--eval', code];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 10_000 });
  return stdout + stderr;
}

test('a process exits by itself after close(), whatever the pool was used for', async () => {
  const output = await program(`
    const engine = new Registry().registerRedis(address, 0, 'default', { pool: { lanes: 2 } }).validate();
    const redis = engine.getRedis();
    await Promise.all([redis.set('a', '1'), redis.incr('n'), redis.blPop('list', 0.01)]);
    await redis.transaction((own) => own.multi().incr('n').exec(), { watch: 'n' });
    await redis.isolated((own) => own.ping());
    await redis.subscribe('channel', () => undefined);
    const blocked = redis.blPop('never', 0).catch((error) => error.code);
    await redis.ping();
    await engine.close();
    console.log(await blocked);
  `);
  expect(output).toBe('LAGOON_CLOSED\n');
});

test('also when no server ever answered, and while connecting', async () => {
  const output = await program(
    `
    const engine = new Registry().registerRedis(address).validate();
    const failed = engine.getRedis().get('a').catch((error) => error.code);
    engine.getRedis().subscribe('channel', () => undefined).catch(() => undefined);
    await engine.connect().catch((error) => console.log(error.code));
    await engine.close({ timeout: 0 });
    console.log(await failed);
  `,
    `127.0.0.1:${await freePort()}`,
  );
  expect(output).toMatch(/^LAGOON_CONNECT\nLAGOON_(CLOSED|CONNECTION)\n$/);
});

test('an engine that was never used keeps nothing alive', async () => {
  expect(await program("new Registry().registerRedis(address).validate(); console.log('done');")).toBe('done\n');
});

test('a thousand commands under one signal are no reason for a warning', async () => {
  const output = await program(`
    const engine = new Registry().registerRedis(address).validate();
    const redis = engine.getRedis().withAbortSignal(new AbortController().signal);
    await Promise.all(Array.from({ length: 1000 }, () => redis.ping()));
    await engine.close();
  `);
  expect(output).toBe('');
});

test('a rejection that the caller did not ask for never becomes unhandled', async () => {
  const output = await program(`
    process.on('unhandledRejection', (error) => console.log('unhandled', error));
    const engine = new Registry().registerRedis(address, 0, 'default', { commandTimeout: 200 }).validate();
    const redis = engine.getRedis();
    await redis.multi().incr('n').sendCommand(['NO-SUCH-COMMAND']).exec().catch((error) => console.log(error.code));
    const busy = redis.eval("local t = redis.call('TIME') local e = t[1] * 1000 + t[2] / 1000 + 500 repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > e").catch(() => undefined);
    await redis.withTimeout(50).ping().catch((error) => console.log(error.code));
    await busy;
    const abort = new AbortController();
    const batch = redis.withAbortSignal(abort.signal).multi().incr('n').incr('n').exec().catch((error) => console.log(error.code));
    abort.abort();
    await batch;
    await engine.close();
  `);
  expect(output).toBe('LAGOON_REPLY\nLAGOON_COMMAND_TIMEOUT\nABORT_ERR\n');
});
