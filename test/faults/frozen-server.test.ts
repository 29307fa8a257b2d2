import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { CommandTimeoutError, ConnectError } from '../../src/index.js';
import { engineOn, failure, timed } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';

const TIMEOUT = 500;
/** The promise of the design: the timeout plus 10 %; the rest is what a busy test machine may add. */
const AT_MOST = TIMEOUT * 1.1 + 250;

describe('a frozen server', () => {
  const server = useRedis();
  afterEach(() => server().thaw());

  test('1,000 pending commands all reject with CommandTimeoutError in time, and after the thaw the next command works', async () => {
    const redis = engineOn(server().address, { commandTimeout: TIMEOUT }).getRedis();
    await redis.set('key', 'value');
    await server().freeze();
    const startedAt = performance.now();
    const errors = await Promise.all(Array.from({ length: 1000 }, () => failure(redis.get('key'))));
    expect(performance.now() - startedAt).toBeLessThan(AT_MOST);
    expect(errors.every((error) => error instanceof CommandTimeoutError && error.mayHaveBeenExecuted)).toBe(true);
    await server().thaw();
    await eventually(async () => (await redis.get('key')) === 'value');
  });

  test('no caller gets the reply of another after the thaw', async () => {
    const redis = engineOn(server().address, { commandTimeout: TIMEOUT }).getRedis();
    await redis.mSet({ a: 'of a', b: 'of b' });
    await server().freeze();
    expect(await failure(redis.get('a'))).toBeInstanceOf(CommandTimeoutError);
    const late = redis.get('b');
    await server().thaw();
    expect(await late).toBe('of b');
  });

  test('a command with a timeout of its own ends by it, the others by theirs', async () => {
    const redis = engineOn(server().address, { commandTimeout: 2_000 }).getRedis();
    await redis.ping();
    await server().freeze();
    const other = redis.ping();
    expect(await timed(redis.withTimeout('100ms').ping())).toBeLessThan(600);
    await server().thaw();
    expect(await other).toBe('PONG');
  });

  test('a connection that stays silent is replaced, and what it still owed is rejected', async () => {
    const engine = engineOn(server().address, { commandTimeout: 200, connectTimeout: 1_000 });
    const redis = engine.getRedis();
    await engine.connect({ timeout: '10s' });
    await server().freeze();
    await eventually(async () => {
      await failure(redis.ping());
      return redis.stats().reconnects > 0;
    });
    await server().thaw();
    await eventually(() => redis.ping());
  });

  test('connect() and close() settle in time', async () => {
    await server().freeze();
    const engine = engineOn(server().address, { connectTimeout: TIMEOUT, commandTimeout: TIMEOUT });
    const startedAt = performance.now();
    expect(await failure(engine.connect())).toBeInstanceOf(ConnectError);
    expect(performance.now() - startedAt).toBeLessThan(AT_MOST);
    const pending = failure(engine.getRedis().ping());
    expect(await timed(engine.close({ timeout: TIMEOUT }))).toBeLessThan(AT_MOST);
    expect(await pending).toBeInstanceOf(Error);
  });

  test('close() does not wait longer than it was told for commands in flight', async () => {
    const engine = engineOn(server().address);
    const redis = engine.getRedis();
    await redis.ping();
    await server().freeze();
    const pending = failure(redis.ping());
    expect(await timed(engine.close({ timeout: 100 }))).toBeLessThan(500);
    expect(await pending).toMatchObject({ code: 'LAGOON_CONNECTION', mayHaveBeenExecuted: true });
  });

  test('what runs on a lease settles too: transaction, isolated, subscribe', async () => {
    const options = { commandTimeout: TIMEOUT, connectTimeout: TIMEOUT, pool: { acquireTimeout: TIMEOUT } };
    const redis = engineOn(server().address, options).getRedis();
    await redis.isolated((own) => own.ping());
    await server().freeze();
    const calls = [
      redis.transaction((own) => own.multi().incr('n').exec(), { watch: 'n' }),
      redis.isolated((own) => own.get('n')),
      redis.subscribe('channel', () => undefined),
      redis.multi().incr('n').exec(),
      redis.blPop('list', 0.1),
    ];
    const startedAt = performance.now();
    const errors = await Promise.all(calls.map(failure));
    // A lease may first have to be waited for, and is then cleaned: three timeouts at most, one after the other.
    expect(performance.now() - startedAt).toBeLessThan(3 * TIMEOUT * 1.1 + 250);
    expect(errors.every((error) => error instanceof Error)).toBe(true);
  });
});

describe('a port that accepts and never answers', () => {
  let sockets: Socket[] = [];
  let listener: ReturnType<typeof createServer> | undefined;
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets = [];
    listener?.close();
  });

  test('commands and connect() settle in time, and nothing is left open', async () => {
    listener = createServer((socket) => sockets.push(socket.on('error', () => undefined).resume()));
    await new Promise<void>((resolve) => listener?.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
    const engine = engineOn(address, { commandTimeout: TIMEOUT, connectTimeout: TIMEOUT });
    const command = failure(engine.getRedis().get('key'));
    expect(await timed(engine.connect())).toBeLessThan(AT_MOST);
    expect(await command).toMatchObject({ code: 'LAGOON_COMMAND_TIMEOUT', mayHaveBeenExecuted: false });
    await engine.close();
    await eventually(() => sockets.every((socket) => socket.destroyed || socket.readableEnded));
  });
});
