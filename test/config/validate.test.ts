import { describe, expect, test } from 'vitest';
import { resolveConfig } from '../../src/config/validate.js';
import { issuesOf as issuesFrom } from './support.js';

const issuesOf = (config: unknown) => issuesFrom(() => resolveConfig(config));

const pool = (options: object) => ({ pools: { a: { address: 'localhost:6379', ...options } } });

describe('a valid configuration', () => {
  test('gives its pools, in order, with what each form says', () => {
    const pools = resolveConfig({
      $schema: './registry.schema.json',
      pools: {
        default: 'localhost:6379:0',
        test: { address: 'localhost:6379', database: 3, pool: { max: 20, lanes: 2 } },
        orders: {
          sentinel: { master: 'mymaster', nodes: ['10.0.0.1:26379', '10.0.0.2'] },
          username: 'app',
          database: 1,
        },
        events: { cluster: ['10.0.0.1:7000', '10.0.0.2'], tls: true },
        url: 'rediss://app:s3cret@redis.internal:6380/2',
        socket: '/run/redis.sock:4',
      },
    });
    expect(
      pools.map(({ code, topology, database, username, tls }) => [code, topology, database, username, tls]),
    ).toEqual([
      ['default', { kind: 'standalone', endpoint: { host: 'localhost', port: 6379 } }, 0, undefined, false],
      ['test', { kind: 'standalone', endpoint: { host: 'localhost', port: 6379 } }, 3, undefined, false],
      [
        'orders',
        {
          kind: 'sentinel',
          master: 'mymaster',
          nodes: [
            { host: '10.0.0.1', port: 26379 },
            { host: '10.0.0.2', port: 26379 },
          ],
          tls: false,
        },
        1,
        'app',
        false,
      ],
      [
        'events',
        {
          kind: 'cluster',
          nodes: [
            { host: '10.0.0.1', port: 7000 },
            { host: '10.0.0.2', port: 6379 },
          ],
        },
        0,
        undefined,
        { minVersion: 'TLSv1.2', rejectUnauthorized: true },
      ],
      [
        'url',
        { kind: 'standalone', endpoint: { host: 'redis.internal', port: 6380 } },
        2,
        'app',
        { minVersion: 'TLSv1.2', rejectUnauthorized: true },
      ],
      ['socket', { kind: 'standalone', endpoint: { path: '/run/redis.sock' } }, 4, undefined, false],
    ]);
    expect(pools[1]?.pool).toMatchObject({ max: 20, lanes: 2 });
    expect(pools[4]?.password).toBe('s3cret');
  });

  test.each([
    [
      'an address and properties that agree',
      pool({ address: 'redis://u:p@h/2', database: 2, username: 'u', password: 'p' }),
    ],
    ['a rediss:// address and TLS options', pool({ address: 'rediss://h', tls: { servername: 'redis' } })],
    ['options that are undefined', pool({ password: undefined, tls: undefined, pool: { max: undefined } })],
    ['a cluster with database 0', { pools: { a: { cluster: ['h'], database: 0 } } }],
    ['a cluster with braces around the prefix', { pools: { a: { cluster: ['h'], keyPrefix: 'x{app}:{}' } } }],
    ['a cluster with a closing brace', { pools: { a: { cluster: ['h'], keyPrefix: 'app}:' } } }],
    ['one server, and any prefix', pool({ keyPrefix: 'a{}b{' })],
    ['one connection to spare', pool({ pool: { max: 2, lanes: 1 } })],
    ['min equal to max', pool({ pool: { max: 2, min: 2 } })],
    ['equal delays', pool({ reconnect: { minDelay: '1s', maxDelay: 1000 } })],
    [
      'commands of a module, in any letter case, and where their keys are',
      pool({
        commands: {
          'my.get': 'shared',
          'MY.STATS': { keys: 'none' },
          'MY.MGET': { keys: { first: 1, last: -1, step: 2 } },
          'MY.MERGE': { keys: { count: 2 } },
        },
      }),
    ],
    ['nobody waiting', pool({ pool: { maxWaiting: 0 } })],
    ['names that objects have of themselves', { pools: { constructor: 'h', toString: 'h', hasOwnProperty: 'h' } }],
    ['a code with a space in it', { pools: { 'order events': 'h' } }],
  ])('may have %s', (_, config) => {
    expect(issuesOf(config)).toEqual([]);
  });
});

describe('a problem is found and explained:', () => {
  test.each<[string, unknown, string, RegExp]>([
    ['not an object', 42, '', /must be an object, got 42/],
    ['null', null, '', /must be an object, got null/],
    ['an array', [], '', /must be an object, got an array/],
    ['no pools', {}, '/pools', /is missing/],
    ['empty pools', { pools: {} }, '/pools', /at least one pool/],
    ['pools as an array', { pools: [] }, '/pools', /must be an object, got an array/],
    ['an unknown name at the top', { pool: {}, pools: { a: 'h' } }, '/pool', /did you mean "pools"\?/],
    ['an empty code', { pools: { '': 'h' } }, '/pools/', /must not be empty/],
    [
      'a code like an address',
      { pools: { 'redis://u:pw@h': 'h' } },
      '/pools/redis:~1~1<redacted>@h',
      /address with a password/,
    ],
    ['a pool of the wrong kind', { pools: { a: 5 } }, '/pools/a', /must be a string or an object, got 5/],
    ['an empty short form', { pools: { a: '' } }, '/pools/a', /must not be empty/],
    ['a short form that is no address', { pools: { a: 'h:x' } }, '/pools/a', /port must be/],
    ['no place to go', { pools: { a: {} } }, '/pools/a', /exactly one of "address", "sentinel" and "cluster"/],
    ['two places to go', pool({ cluster: ['h'] }), '/pools/a/address', /one too many/],
    [
      'a sentinel and a cluster',
      { pools: { a: { cluster: ['h'], sentinel: { master: 'm', nodes: ['h'] } } } },
      '/pools/a/cluster',
      /one too many/,
    ],
    [
      'a misspelt property',
      pool({ databse: 1 }),
      '/pools/a/databse',
      /did you mean "database"\? \(allowed: address, database, username/,
    ],
    ['a swapped letter', pool({ pasword: 'x' }), '/pools/a/pasword', /did you mean "password"\?/],
    ['another case', pool({ KEYPREFIX: 'x' }), '/pools/a/KEYPREFIX', /did you mean "keyPrefix"\?/],
    ['a topology misspelt', pool({ sentinal: {} }), '/pools/a/sentinal', /did you mean "sentinel"\?/],
    [
      'a name like no other',
      pool({ zzzzzzzz: 1 }),
      '/pools/a/zzzzzzzz',
      /^"zzzzzzzz" is not a property here \(allowed/,
    ],
    [
      'replicas of one server',
      pool({ replicas: 'prefer' }),
      '/pools/a/replicas',
      /^is for pools on Sentinel or a cluster: only they tell which servers are replicas$/,
    ],
    [
      'replicas that are always read from',
      { pools: { a: { cluster: ['h'], replicas: 'always' } } },
      '/pools/a/replicas',
      /^must be "never" or "prefer", got a string$/,
    ],
    [
      'replicas by a wrong type',
      { pools: { a: { sentinel: { master: 'm', nodes: ['h'] }, replicas: true } } },
      '/pools/a/replicas',
      /^must be a string, got true$/,
    ],
    ['a misspelt pool option', pool({ pool: { maxs: 1 } }), '/pools/a/pool/maxs', /did you mean "max"\?/],
    [
      'a misspelt TLS option',
      pool({ tls: { serverName: 'x' } }),
      '/pools/a/tls/serverName',
      /did you mean "servername"\?/,
    ],
    [
      'a version of TLS that is not safe',
      pool({ tls: { minVersion: 'TLSv1.1' } }),
      '/pools/a/tls/minVersion',
      /must be "TLSv1\.2" or "TLSv1\.3", got a string/,
    ],
    ['a bad address', pool({ address: 'h:0' }), '/pools/a/address', /"h:0" is not an address: the port/],
    ['an address of the wrong type', pool({ address: 6379 }), '/pools/a/address', /must be a string, got 6379/],
    ['a negative database', pool({ database: -1 }), '/pools/a/database', /must be 0 or more, got -1/],
    ['a fraction of a database', pool({ database: 1.5 }), '/pools/a/database', /a whole number, got 1.5/],
    ['a database in a string', pool({ database: '3' }), '/pools/a/database', /a whole number, got "3"/],
    ['a database that is NaN', pool({ database: Number.NaN }), '/pools/a/database', /a whole number, got NaN/],
    ['a database too large', pool({ database: 1e300 }), '/pools/a/database', /must be 2147483647 or less/],
    [
      'two databases',
      pool({ address: 'h:1:2', database: 3 }),
      '/pools/a/database',
      /contradicts the address.*: 3 here, 2 there/,
    ],
    ['two users', pool({ address: 'redis://u@h', username: 'v' }), '/pools/a/username', /contradicts the address/],
    ['two passwords', pool({ address: 'redis://:p@h', password: 'q' }), '/pools/a/password', /contradicts the address/],
    ['TLS on redis://', pool({ address: 'redis://h', tls: true }), '/pools/a/tls', /write rediss:\/\//],
    ['no TLS on rediss://', pool({ address: 'rediss://h', tls: false }), '/pools/a/tls', /write redis:\/\//],
    ['TLS on a socket', pool({ address: '/run/redis.sock', tls: true }), '/pools/a/tls', /unix socket/],
    ['a certificate without its key', pool({ tls: { cert: 'c' } }), '/pools/a/tls/key', /is missing/],
    ['a key without its certificate', pool({ tls: { key: 'k' } }), '/pools/a/tls/cert', /is missing/],
    [
      'a misspelt TLS option of the sentinels',
      { pools: { a: { sentinel: { master: 'm', nodes: ['h'] }, sentinelTls: { CA: 'x' } } } },
      '/pools/a/sentinelTls/CA',
      /did you mean "ca"\?/,
    ],
    [
      'a certificate for the sentinels without its key',
      { pools: { a: { sentinel: { master: 'm', nodes: ['h'] }, tls: true, sentinelTls: { cert: 'c' } } } },
      '/pools/a/sentinelTls/key',
      /is missing/,
    ],
    [
      'TLS of sentinels on a cluster',
      { pools: { a: { cluster: ['h'], sentinelTls: true } } },
      '/pools/a/sentinelTls',
      /is not a property here/,
    ],
    ['TLS of the wrong type', pool({ tls: 'yes' }), '/pools/a/tls', /must be true or false or an object, got a string/],
    [
      'a numeric password',
      pool({ password: 12345 }),
      '/pools/a/password',
      /must be a string \(quote it.*got a number$/,
    ],
    [
      'a client name with a space',
      pool({ clientName: 'a b' }),
      '/pools/a/clientName',
      /printable ASCII without spaces/,
    ],
    [
      'a duration without a unit',
      pool({ connectTimeout: '5' }),
      '/pools/a/connectTimeout',
      /must be a duration.*got "5"/,
    ],
    ['a duration of zero', pool({ commandTimeout: 0 }), '/pools/a/commandTimeout', /greater than 0.*got 0/],
    ['a zero in words', pool({ commandTimeout: '0ms' }), '/pools/a/commandTimeout', /greater than 0.*got "0ms"/],
    ['half a millisecond', pool({ pool: { idleTimeout: '0.5ms' } }), '/pools/a/pool/idleTimeout', /whole milliseconds/],
    ['a negative duration', pool({ pool: { acquireTimeout: -1 } }), '/pools/a/pool/acquireTimeout', /got -1/],
    ['longer than a timer', pool({ commandTimeout: '25d' }), '/pools/a/commandTimeout', /less than 25 days.*got "25d"/],
    ['a duration in prose', pool({ commandTimeout: 'soon' }), '/pools/a/commandTimeout', /got a string/],
    [
      'delays the wrong way',
      pool({ reconnect: { minDelay: '2s', maxDelay: '1s' } }),
      '/pools/a/reconnect/minDelay',
      /2000 ms.*1000 ms/,
    ],
    [
      'a maxDelay under the default',
      pool({ reconnect: { maxDelay: 10 } }),
      '/pools/a/reconnect/maxDelay',
      /50 ms.*10 ms/,
    ],
    ['a bad delay', pool({ reconnect: { minDelay: 0 } }), '/pools/a/reconnect/minDelay', /duration/],
    [
      'lanes that take all',
      pool({ pool: { max: 4, lanes: 4 } }),
      '/pools/a/pool/lanes',
      /less than max \(4\): a blocking command/,
    ],
    ['a pool of one', pool({ pool: { max: 1, lanes: 1 } }), '/pools/a/pool/lanes', /could never get one/],
    [
      'a pool of one, by default',
      pool({ pool: { max: 1 } }),
      '/pools/a/pool/max',
      /lanes \(1\) must be less than max \(1\)/,
    ],
    ['more lanes than the default', pool({ pool: { lanes: 10 } }), '/pools/a/pool/lanes', /less than max \(10\)/],
    ['no lane', pool({ pool: { lanes: 0 } }), '/pools/a/pool/lanes', /1 or more, got 0/],
    [
      'min above max',
      pool({ pool: { max: 5, min: 6 } }),
      '/pools/a/pool/min',
      /min \(6\) must not be more than max \(5\)/,
    ],
    ['negative min', pool({ pool: { min: -1 } }), '/pools/a/pool/min', /0 or more/],
    ['negative maxWaiting', pool({ pool: { maxWaiting: -1 } }), '/pools/a/pool/maxWaiting', /0 or more/],
    ...[
      ['SELECT', 'shared', /knows already/],
      ['get', 'shared', /knows already/],
      ['replconf', 'shared', /knows already/],
      ['DEBUG', { keys: 'none' }, /knows already/],
      ['MY GET', 'shared', /one word/],
      ['MY\0GET', 'shared', /one word/],
      ['', 'shared', /one word/],
    ].map(([name, told, message]): [string, unknown, string, RegExp] => [
      `a declared command called ${JSON.stringify(name)}`,
      pool({ commands: { [name as string]: told } }),
      `/pools/a/commands/${name}`,
      message as RegExp,
    ]),
    [
      'a command declared twice',
      pool({ commands: { 'my.get': 'shared', 'MY.GET': 'shared' } }),
      '/pools/a/commands/MY.GET',
      /twice/,
    ],
    ['a command declared in a word', pool({ commands: { MY: 'share' } }), '/pools/a/commands/MY', /"shared"/],
    [
      'a command declared by true',
      pool({ commands: { MY: true } }),
      '/pools/a/commands/MY',
      /string or an object|a string/,
    ],
    ['keys in a word', pool({ commands: { MY: { keys: 'all' } } }), '/pools/a/commands/MY/keys', /"none"/],
    [
      'a first key at the name',
      pool({ commands: { MY: { keys: { first: 0 } } } }),
      '/pools/a/commands/MY/keys/first',
      /1 or more/,
    ],
    [
      'a misspelt place of keys',
      pool({ commands: { MY: { keys: { first: 1, lats: 2 } } } }),
      '/pools/a/commands/MY/keys/lats',
      /last/,
    ],
    ['maxPending 0', pool({ maxPending: 0 }), '/pools/a/maxPending', /1 or more, got 0/],
    ['endless maxPending', pool({ maxPending: Infinity }), '/pools/a/maxPending', /a whole number, got Infinity/],
    [
      'a database in a cluster',
      { pools: { a: { cluster: ['h'], database: 3 } } },
      '/pools/a/database',
      /must be 0: a cluster has no other database, got 3/,
    ],
    ...['a{}', 'a{', '{}{app}'].map((keyPrefix): [string, unknown, string, RegExp] => [
      `a prefix in a cluster after which no braces count: ${keyPrefix}`,
      { pools: { a: { cluster: ['h'], keyPrefix } } },
      '/pools/a/keyPrefix',
      /something in its first braces, as in \{app\}:, or no opening brace/,
    ]),
    ['a cluster of nothing', { pools: { a: { cluster: [] } } }, '/pools/a/cluster', /at least one node/],
    [
      'a cluster in one string',
      { pools: { a: { cluster: 'h:1' } } },
      '/pools/a/cluster',
      /must be an array, got a string/,
    ],
    [
      'a node that is a URL',
      { pools: { a: { cluster: ['h', 'redis://h'] } } },
      '/pools/a/cluster/1',
      /a node is host:port/,
    ],
    [
      'a sentinel without nodes',
      { pools: { a: { sentinel: { master: 'm' } } } },
      '/pools/a/sentinel/nodes',
      /is missing/,
    ],
    [
      'a sentinel without a master',
      { pools: { a: { sentinel: { nodes: ['h'] } } } },
      '/pools/a/sentinel/master',
      /is missing/,
    ],
    [
      'a sentinel with a database',
      { pools: { a: { sentinel: { master: 'm', nodes: ['h:1:2'] } } } },
      '/pools/a/sentinel/nodes/0',
      /the database is an option/,
    ],
  ])('%s', (_, config, path, message) => {
    expect(issuesOf(config)).toEqual([{ path, message: expect.stringMatching(message) }]);
  });

  test('every problem is in the one error, and its message lists them', () => {
    const config = {
      pools: {
        a: { address: 'localhost:0', databse: 1, commandTimeout: 'x' },
        b: { cluster: ['h'], database: 1, pool: { max: 1, min: 2, idleTimeout: 0 } },
        'c/d~e': { maxPending: 0 },
      },
    };
    const issues = issuesOf(config);
    expect(issues.map(({ path }) => path).sort()).toEqual([
      '/pools/a/address',
      '/pools/a/commandTimeout',
      '/pools/a/databse',
      '/pools/b/database',
      '/pools/b/pool/idleTimeout',
      '/pools/b/pool/max',
      '/pools/b/pool/min',
      '/pools/c~1d~0e',
      '/pools/c~1d~0e/maxPending',
    ]);
    expect(() => resolveConfig(config)).toThrow(/9 problem\(s\)/);
    for (const { path, message } of issues) expect(() => resolveConfig(config)).toThrow(`${path}: ${message}`);
  });
});

describe('a value that is not data', () => {
  const cycle: Record<string, unknown> = { address: 'h' };
  cycle.pool = cycle;
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const throwing = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('hunter2');
      },
    },
  );
  let deep: unknown = {};
  for (let level = 0; level < 100_000; level++) deep = { deep };
  const endless = (): unknown =>
    new Proxy(
      {},
      {
        ownKeys: () => ['a', 'b', 'c'],
        getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
        get: (_, name) => (typeof name === 'symbol' ? undefined : endless()),
      },
    );

  test.each<[string, unknown, string, RegExp]>([
    ['undefined', undefined, '', /plain data, got undefined/],
    ['a function', () => {}, '', /plain data, got a function/],
    ['a symbol', Symbol('x'), '', /plain data, got a symbol/],
    ['a bigint', 1n, '', /plain data, got a bigint/],
    ['a function as a pool', { pools: { a: () => 'h' } }, '/pools/a', /plain data/],
    ['a bigint as a database', pool({ database: 1n }), '/pools/a/database', /plain data, got a bigint/],
    ['a Map of pools', { pools: new Map([['a', 'h']]) }, '/pools', /plain object/],
    ['a boxed string', { pools: { a: new String('h') } }, '/pools/a', /plain object/],
    ['a cycle', { pools: { a: cycle } }, '/pools/a/pool', /refers back/],
    [
      'a throwing getter',
      {
        get pools() {
          throw new Error('hunter2');
        },
      },
      '',
      /cannot be read/,
    ],
    ['a throwing proxy', { pools: throwing }, '/pools', /cannot be read/],
    ['a revoked proxy', { pools: { a: revoked.proxy } }, '/pools/a', /cannot be read/],
    ['great depth', { pools: { a: deep } }, `/pools/a${'/deep'.repeat(30)}`, /nested more than 32/],
    [
      'an own __proto__',
      JSON.parse('{"pools":{"a":"h","__proto__":"h"}}'),
      '/pools/__proto__',
      /cannot be used as a name/,
    ],
    [
      'an own __proto__ in a pool',
      JSON.parse('{"pools":{"a":{"address":"h","__proto__":{}}}}'),
      '/pools/a/__proto__',
      /cannot be used/,
    ],
    ['a huge array', { pools: { a: { cluster: new Array(2 ** 32 - 1) } } }, '/pools/a/cluster/0', /undefined/],
    [
      'a throwing toStringTag',
      {
        get [Symbol.toStringTag]() {
          throw new Error('hunter2');
        },
      },
      '',
      /cannot be read/,
    ],
  ])('is a ConfigError: %s', (_, config, path, message) => {
    expect(issuesOf(config)).toContainEqual({ path, message: expect.stringMatching(message) });
    expect(JSON.stringify(issuesOf(config))).not.toContain('hunter2');
  });

  test('an endless one ends', () => {
    expect(issuesOf(endless())).toContainEqual({ path: '/pools', message: 'is missing' });
  });

  test('an object that is in two places is no cycle', () => {
    const budget = { max: 5 };
    expect(issuesOf({ pools: { a: { address: 'h', pool: budget }, b: { address: 'h', pool: budget } } })).toEqual([]);
  });

  test('__proto__ set by a configuration changes no prototype', () => {
    issuesOf(JSON.parse('{"pools":{"a":{"address":"h","__proto__":{"polluted":true}}},"__proto__":{"polluted":true}}'));
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test('each property is read once, so what was checked is what is used', () => {
    let reads = 0;
    const options = {
      get address() {
        reads++;
        return reads === 1 ? 'first:1' : 'second:2';
      },
    };
    expect(resolveConfig({ pools: { a: options } })[0]?.topology).toMatchObject({ endpoint: { host: 'first' } });
  });
});
