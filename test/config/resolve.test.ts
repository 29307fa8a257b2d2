import { expect, test } from 'vitest';
import { resolvePool } from '../../src/config/resolve.js';
import type { SentinelPoolOptions } from '../../src/config/types.js';

test('a pool of which nothing is said has the documented defaults, in ms', () => {
  expect(resolvePool('default', 'localhost')).toEqual({
    code: 'default',
    topology: { kind: 'standalone', endpoint: { host: 'localhost', port: 6379 } },
    database: 0,
    username: undefined,
    password: undefined,
    tls: false,
    keyPrefix: '',
    clientName: 'lagoon:default',
    connectTimeoutMs: 5_000,
    commandTimeoutMs: 5_000,
    maxPending: 100_000,
    failFast: false,
    replicas: 'never',
    reconnect: { minDelayMs: 50, maxDelayMs: 500 },
    pool: { max: 10, min: 0, lanes: 1, acquireTimeoutMs: 3_000, idleTimeoutMs: 30_000, maxWaiting: 1_000 },
    commands: new Map(),
  });
});

test('every option that is given arrives', () => {
  const tls = {
    ca: ['ca'],
    cert: 'cert',
    key: 'key',
    servername: 'redis',
    minVersion: 'TLSv1.3' as const,
    rejectUnauthorized: false,
  };
  expect(
    resolvePool('a', {
      address: 'h:1',
      database: 2,
      username: 'u',
      password: 'p',
      tls,
      keyPrefix: 'k:',
      clientName: 'me',
      connectTimeout: '1s',
      commandTimeout: 2,
      maxPending: 3,
      failFast: true,
      reconnect: { minDelay: '4ms', maxDelay: '5ms' },
      pool: { max: 6, min: 5, lanes: 4, acquireTimeout: '1m', idleTimeout: '1h', maxWaiting: 0 },
      commands: { 'my.get': 'shared', 'MY.MGET': { keys: { first: 1, last: -1 } } },
    }),
  ).toEqual({
    code: 'a',
    topology: { kind: 'standalone', endpoint: { host: 'h', port: 1 } },
    database: 2,
    username: 'u',
    password: 'p',
    tls,
    keyPrefix: 'k:',
    clientName: 'me',
    connectTimeoutMs: 1_000,
    commandTimeoutMs: 2,
    maxPending: 3,
    failFast: true,
    replicas: 'never',
    reconnect: { minDelayMs: 4, maxDelayMs: 5 },
    pool: { max: 6, min: 5, lanes: 4, acquireTimeoutMs: 60_000, idleTimeoutMs: 3_600_000, maxWaiting: 0 },
    commands: new Map([
      ['MY.GET', { first: 1 }],
      ['MY.MGET', { first: 1, last: -1 }],
    ]),
  });
});

test('replicas are preferred where that was asked for', () => {
  const cluster = { cluster: ['h'] };
  expect(resolvePool('a', { ...cluster, replicas: 'prefer' }).replicas).toBe('prefer');
  expect(resolvePool('a', { ...cluster, replicas: 'never' }).replicas).toBe('never');
  expect(resolvePool('a', cluster).replicas).toBe('never');
});

test('sentinels are spoken to as the servers are, unless they have TLS options of their own', () => {
  const on = (options: SentinelPoolOptions) => {
    const { tls, topology } = resolvePool('a', { sentinel: { master: 'm', nodes: ['h'] }, ...options });
    return [tls, topology.kind === 'sentinel' && topology.tls];
  };
  const byDefault = { minVersion: 'TLSv1.2', rejectUnauthorized: true };
  const ofTheirOwn = { ca: 'ca', cert: 'cert', key: 'key', servername: 'sentinels' };
  expect(on({})).toEqual([false, false]);
  expect(on({ tls: { ca: 'x' } })).toEqual([
    { ca: 'x', ...byDefault },
    { ca: 'x', ...byDefault },
  ]);
  expect(on({ tls: true, sentinelTls: false })).toEqual([byDefault, false]);
  expect(on({ sentinelTls: true })).toEqual([false, byDefault]);
  expect(on({ tls: { ca: 'x' }, sentinelTls: ofTheirOwn })).toEqual([
    { ca: 'x', ...byDefault },
    { ...ofTheirOwn, ...byDefault },
  ]);
});

test('a URL gives user, password, TLS and database; empty options leave them as they are', () => {
  expect(resolvePool('a', { address: 'rediss://u:p@h/3', username: '', password: '' })).toMatchObject({
    username: 'u',
    password: 'p',
    database: 3,
    tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true },
  });
});

test('the default client name is one that CLIENT SETNAME takes, whatever the code is', () => {
  expect(resolvePool('order events\n☃', 'h').clientName).toBe('lagoon:order_events__');
});

test('a resolved pool cannot be changed', () => {
  const pool = resolvePool('a', { address: 'h', tls: { ca: ['x'] } });
  for (const part of [pool, pool.topology, pool.pool, pool.reconnect, pool.tls])
    expect(Object.isFrozen(part)).toBe(true);
});
