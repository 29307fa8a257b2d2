import { afterEach, describe, expect, test } from 'vitest';
import {
  CommandTimeoutError,
  ConnectionError,
  defineScript,
  InvalidArgumentError,
  type PoolOptions,
  Registry,
} from '../../src/index.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../src/testing/index.js';
import { timed } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { engineOf } from '../topology/support.js';
import { failure } from './support.js';

const QUICK: PoolOptions = { commandTimeout: '20s', reconnect: { minDelay: 10, maxDelay: 50 } };
const ECHO = defineScript({ lua: 'return { ARGV[1] }', keys: 1, args: 1, batch: 10 });

let server: RedisServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function connected(options: PoolOptions = {}) {
  server = await startRedis();
  const engine = engineOf(new Registry().registerRedis(server.address, 0, 'default', { ...QUICK, ...options }));
  await engine.connect({ timeout: '10s' });
  return { server, redis: engine.getRedis() };
}

describe('what fails fast', () => {
  test('is refused at once while the server is known to be away, whatever it is, and goes on when it is back', async () => {
    const { server, redis } = await connected({ failFast: true });
    await server.kill();
    // Before the first attempt to connect has failed it waits for that.
    await failure(redis.get('a'));
    const calls = [
      () => redis.get('a'),
      () => redis.multi().get('a').exec(),
      () => redis.runScript(ECHO, ['a'], ['b']),
      () => redis.blPop('a', 0),
      () => redis.isolated((own) => own.get('a')),
      () => redis.transaction((own) => own.multi().get('a').exec()),
    ];
    for (const call of calls) {
      const error = await failure(call());
      expect(error).toBeInstanceOf(ConnectionError);
      expect(error).toMatchObject({ mayHaveBeenExecuted: false });
      expect((error as Error).message).toContain('cannot connect');
    }
    expect(await timed(Promise.allSettled(calls.map((call) => call())))).toBeLessThan(2_000);
    await server.restart();
    await eventually(() => redis.set('a', '1'));
    expect(redis.getPoolConfig().failFast).toBe(true);
  });

  test('is each command of a view with that, and no other', async () => {
    const { server, redis } = await connected();
    await server.kill();
    const waiting = redis.set('a', '1');
    await failure(redis.withFailFast().get('a'));
    expect(await timed(redis.withFailFast().get('a'))).toBeLessThan(2_000);
    await server.restart();
    expect(await waiting).toBe('OK');
  });

  test('is none of a view without it', async () => {
    const { server, redis } = await connected({ failFast: true });
    await server.kill();
    await failure(redis.get('a'));
    const waiting = redis.withFailFast(false).set('a', '1');
    await server.restart();
    expect(await waiting).toBe('OK');
  });

  test('is refused while a server that is connected has answered nothing for commandTimeout', async () => {
    const { server, redis } = await connected({ commandTimeout: 1_500, failFast: true });
    await server.freeze();
    expect(await failure(redis.get('a'))).toBeInstanceOf(CommandTimeoutError);
    const error = await failure(redis.get('a'));
    expect(error).toBeInstanceOf(ConnectionError);
    expect((error as Error).message).toContain('has not answered');
    await server.thaw();
    await eventually(() => redis.get('a').then(() => true));
  });

  test.each(['yes', null, 1])('is no %s', async (value) => {
    const { redis } = await connected();
    expect(() => redis.withFailFast(value as never)).toThrow(InvalidArgumentError);
    expect(() =>
      new Registry().registerRedis('localhost', 0, 'default', { failFast: value as never }).validate(),
    ).toThrow(/failFast/);
  });
});

describe('what waits for a server', () => {
  test('for which it could not have waited any longer fails with the next attempt to connect', async () => {
    const { server, redis } = await connected({ commandTimeout: 1_000 });
    await server.kill();
    await failure(redis.get('a'));
    await failure(redis.get('a'));
    const error = await failure(redis.withTimeout('1s').get('a'));
    expect(error).toBeInstanceOf(ConnectionError);
    const patient = redis.withTimeout('20s').set('a', '1');
    await server.restart();
    expect(await patient).toBe('OK');
  });
});

describe('of a cluster', () => {
  let cluster: RedisCluster | undefined;
  afterEach(() => cluster?.stop());

  test('only the commands of the server that is away are refused', async () => {
    cluster = await startCluster({ replicasPerMaster: 0, args: ['--cluster-require-full-coverage', 'no'] });
    const options = { ...QUICK, failFast: true };
    const redis = engineOf(new Registry().registerRedisCluster(cluster.addresses, 'default', options)).getRedis();
    const keys = Array.from({ length: 20 }, (_, i) => `key:${i}`);
    await Promise.all(keys.map((key) => redis.set(key, key)));
    const victim = await cluster.nodeOf('key:0');
    const owners = await Promise.all(keys.map((key) => (cluster as RedisCluster).nodeOf(key)));
    await victim.kill();
    await failure(redis.get('key:0'));
    for (const [i, key] of keys.entries()) {
      if (owners[i] === victim) expect(await failure(redis.get(key))).toBeInstanceOf(ConnectionError);
      else expect(await redis.get(key)).toBe(key);
    }
  });
});
