import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { publicConfig } from '../../src/config/redact.js';
import { resolvePool } from '../../src/config/resolve.js';
import { resolveConfig } from '../../src/config/validate.js';
import { ConfigError } from '../../src/errors.js';
import { configErrorOf } from './support.js';

const SECRET = 'hunter2';

/** All that a logger could make of a value. */
function printed(value: unknown): string {
  const error = value instanceof Error ? [value.message, value.stack, inspect(value.cause, { depth: 20 })] : [];
  return [
    inspect(value, { depth: 20, showHidden: true, getters: true }),
    inspect({ nested: [value] }, { depth: 20 }),
    JSON.stringify(value),
    JSON.stringify({ nested: [value] }),
    String(value),
    ...error,
  ].join('\n');
}

describe('the public configuration of a pool', () => {
  test('has the names of the configuration, defaults filled in, durations in ms', () => {
    expect(publicConfig(resolvePool('default', 'localhost:6379'))).toEqual({
      code: 'default',
      topology: 'standalone',
      address: 'localhost:6379',
      database: 0,
      tls: false,
      keyPrefix: '',
      clientName: 'lagoon:default',
      connectTimeout: 5_000,
      commandTimeout: 5_000,
      maxPending: 100_000,
      failFast: false,
      reconnect: { minDelay: 50, maxDelay: 500 },
      pool: { max: 10, min: 0, lanes: 1, acquireTimeout: 3_000, idleTimeout: 30_000, maxWaiting: 1_000 },
      commands: {},
    });
  });

  test('says that a secret is set, and not what it is', () => {
    const tls = { ca: SECRET, cert: SECRET, key: SECRET, servername: 'redis' };
    const shown = publicConfig(resolvePool('a', { address: `rediss://app:${SECRET}@[::1]:7000/2`, tls }));
    expect(shown).toMatchObject({
      address: '[::1]:7000',
      database: 2,
      username: 'app',
      password: '<redacted>',
      tls: {
        ca: '<redacted>',
        cert: '<redacted>',
        key: '<redacted>',
        servername: 'redis',
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true,
      },
    });
    expect(printed(shown)).not.toContain(SECRET);
  });

  test('says how the sentinels are spoken to, and none of their secrets', () => {
    const sentinel = { master: 'm', nodes: ['h'] };
    const tls = { cert: SECRET, key: SECRET, servername: 'sentinels' };
    const shown = publicConfig(resolvePool('a', { sentinel, tls: true, sentinelTls: tls }));
    expect(shown.sentinelTls).toEqual({
      cert: '<redacted>',
      key: '<redacted>',
      servername: 'sentinels',
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
    });
    expect(printed(shown)).not.toContain(SECRET);
    expect(publicConfig(resolvePool('a', { sentinel, tls: true, sentinelTls: false })).sentinelTls).toBe(false);
    const same = publicConfig(resolvePool('a', { sentinel, tls }));
    expect(same.sentinelTls).toEqual(same.tls);
    expect(publicConfig(resolvePool('a', { cluster: ['h'], tls }))).not.toHaveProperty('sentinelTls');
  });

  test.each([
    ['/run/redis.sock:3', { topology: 'standalone', address: '/run/redis.sock', database: 3 }],
    [
      { sentinel: { master: 'mymaster', nodes: ['a', 'b:2'] } },
      { topology: 'sentinel', master: 'mymaster', address: 'a:26379,b:2', replicas: 'never' },
    ],
    [
      { cluster: ['a', '[::1]:2'], replicas: 'prefer' as const },
      { topology: 'cluster', address: 'a:6379,[::1]:2', replicas: 'prefer' },
    ],
  ])('of %j says where it leads', (config, expected) => {
    expect(publicConfig(resolvePool('a', config))).toMatchObject(expected);
  });
});

describe('a resolved pool', () => {
  const tls = { ca: [SECRET], cert: SECRET, key: SECRET };
  const pool = resolvePool('a', { address: 'h', password: SECRET, tls });

  test('prints without its secrets, and has them', () => {
    expect(pool).toMatchObject({ password: SECRET, tls: { key: SECRET } });
    // showHidden makes inspect bypass nothing here: it honours the custom function.
    expect(printed(pool)).not.toContain(SECRET);
    expect(printed(pool.tls)).not.toContain(SECRET);
    expect(printed(pool)).toContain('<redacted>');
  });

  test.each([{ tls }, { sentinelTls: tls }, { tls, sentinelTls: tls, sentinelPassword: SECRET }])(
    'prints without the secrets of its sentinels (%#)',
    (options) => {
      const { topology } = resolvePool('a', { sentinel: { master: 'm', nodes: ['h'] }, ...options });
      expect(topology).toMatchObject({ tls: { key: SECRET } });
      expect(printed(topology)).not.toContain(SECRET);
      expect(printed(topology)).toContain('<redacted>');
    },
  );
});

describe('a ConfigError', () => {
  const url = `redis://app:${SECRET}@localhost`;
  test.each<[string, unknown]>([
    ['a password of the wrong type', { pools: { a: { address: 'h', password: [SECRET] } } }],
    ['a bad port after a password', { pools: { a: `${url}:port` } }],
    ['a bad database after a password', { pools: { a: { address: `${url}/x` } } }],
    ['an unescaped # in a password', { pools: { a: `redis://app:x#${SECRET}@localhost` } }],
    ['an unescaped / in a password', { pools: { a: `redis://app:x/${SECRET}@localhost` } }],
    ['an unescaped % in a password', { pools: { a: `redis://app:%${SECRET}@localhost` } }],
    ['credentials without a scheme', { pools: { a: `app:${SECRET}@localhost:6379` } }],
    ['a password in a query', { pools: { a: `redis://localhost?password=${SECRET}` } }],
    ['a password for a port', { pools: { a: `localhost:${SECRET}` } }],
    ['a password for a database', { pools: { a: `localhost:6379:${SECRET}` } }],
    ['two passwords', { pools: { a: { address: url, password: `${SECRET}!` } } }],
    ['a URL as a code', { pools: { [url]: { address: '' } } }],
    ['a URL as an unknown name', { pools: { a: { address: 'h', [url]: 1 } } }],
    ['a URL as a node', { pools: { a: { cluster: [url] } } }],
    ['a URL as a sentinel', { pools: { a: { sentinel: { master: 'm', nodes: [url] } } } }],
    ['a password under a misspelt name', { pools: { a: { address: 'h', pasword: SECRET } } }],
    ['a password as a duration', { pools: { a: { address: 'h', commandTimeout: SECRET } } }],
    ['a password as a number of lanes', { pools: { a: { address: 'h', pool: { lanes: SECRET } } } }],
    ['a password as options', { pools: { a: { address: 'h', pool: SECRET, reconnect: SECRET, tls: SECRET } } }],
    ['a password as a client name', { pools: { a: { address: 'h', clientName: `${SECRET} \n` } } }],
    ['a key without its certificate', { pools: { a: { address: 'h', tls: { key: SECRET } } } }],
    [
      "a key of the sentinels' without its certificate",
      { pools: { a: { sentinel: { master: 'm', nodes: ['h'] }, sentinelTls: { key: SECRET } } } },
    ],
    ['a password as pools', { pools: SECRET }],
    ['a password as a configuration', SECRET],
  ])('never shows a secret: %s', (_, config) => {
    const error = configErrorOf(() => resolveConfig(config));
    expect(error).toBeInstanceOf(ConfigError);
    expect(printed(error)).not.toContain(SECRET);
  });

  test('a password of digits is not shown where its type is wrong', () => {
    expect(
      printed(configErrorOf(() => resolveConfig({ pools: { a: { address: 'h', password: 998877 } } }))),
    ).not.toContain('998877');
  });
});
