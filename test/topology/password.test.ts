import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ConnectError, type RegisterOptions, Registry } from '../../src/index.js';
import { startCluster } from '../../src/testing/index.js';
import { failure } from '../support/engine.js';
import { eventually, useRedis } from '../support/redis.js';
import { engineOf } from './support.js';

const redis = useRedis({ password: 'first' });

function open(options: RegisterOptions) {
  return engineOf(new Registry().registerRedis(redis().address, 0, 'default', options));
}

describe('a password that is asked of a function', () => {
  test('is asked for before each connection, so that one that was rotated is picked up', async () => {
    let password = 'first';
    const engine = open({ password: async () => password });
    await engine.connect();
    const pool = engine.getRedis();
    expect(await pool.set('k', 'v')).toBe('OK');
    await redis().cli('CONFIG', 'SET', 'requirepass', 'second');
    password = 'second';
    await pool.clientKill({ filter: 'TYPE', type: 'normal' }).catch(() => undefined);
    expect(await eventually(() => pool.get('k'))).toBe('v');
    await pool.configSet('requirepass', 'first');
  });

  test('goes with the name of a user', async () => {
    await redis().cli('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all');
    const engine = open({ username: 'app', password: () => 'secret' });
    await engine.connect();
    expect(await engine.getRedis().aclWhoAmI()).toBe('app');
  });

  test.each([
    ['that fails, with its reason', () => Promise.reject(new Error('the vault is sealed')), /the vault is sealed/],
    [
      'that throws, with its reason',
      () => {
        throw new Error('no vault');
      },
      /no vault/,
    ],
    [
      'that never answers, at connectTimeout',
      () => new Promise<string>(() => {}),
      /function that gives the password has not answered/,
    ],
    ['that gives a wrong one', () => 'wrong', /WRONGPASS/],
  ])('makes connect() fail if it is one %s', async (_, password, message) => {
    const error = await failure(open({ password, connectTimeout: 300 }).connect());
    expect(error).toBeInstanceOf(ConnectError);
    expect(error?.message).toMatch(message);
  });

  test('shows as a password that is set, and the function never shows', () => {
    const registry = new Registry().registerRedis('localhost', 0, 'default', { password: () => 'hidden' });
    const engine = registry.validate();
    expect(engine.getRedis().getPoolConfig().password).toBe('<redacted>');
    for (const shown of [inspect(registry), inspect(engine, { depth: 9 }), JSON.stringify(registry.toConfig())]) {
      expect(shown).not.toMatch(/hidden|=>/);
    }
  });

  test('is used for every node of a cluster', async () => {
    await using cluster = await startCluster({ masters: 1, replicasPerMaster: 0, password: 'nodes' });
    const engine = engineOf(
      new Registry().registerRedisCluster(cluster.addresses, 'default', { password: () => 'nodes' }),
    );
    await engine.connect();
    expect(await engine.getRedis().set('k', 'v')).toBe('OK');
    await engine.close();
  });
});
