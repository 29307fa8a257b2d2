import { dirname } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { PoolOptions } from '../src/config/types.js';
import { resolveConfig } from '../src/config/validate.js';
import { PoolNotRegisteredError } from '../src/errors.js';
import { Registry } from '../src/registry.js';
import { issuesOf as issuesFrom, temporaryFiles } from './config/support.js';

const files = temporaryFiles();
const SECRET = 'hunter2';

const issuesOf = (registry: { validate(): unknown }) => issuesFrom(() => registry.validate());

describe('a registry', () => {
  test('gives an engine with its pools, in the order of registration', () => {
    const engine = new Registry()
      .registerRedis('localhost:6379', 0)
      .registerRedis('localhost:6379', 3, 'test')
      .validate();
    expect(engine.codes).toEqual(['default', 'test']);
    expect(engine.getRedis('test').getPoolConfig()).toMatchObject({
      code: 'test',
      address: 'localhost:6379',
      database: 3,
      clientName: 'lagoon:test',
    });
  });

  test('names the pools there are when one is asked for that is not', () => {
    const engine = new Registry().registerRedis('localhost').registerRedis('localhost', 3, 'test').validate();
    // @ts-expect-error a name that was not registered does not compile
    expect(() => engine.getRedis('tset')).toThrow(PoolNotRegisteredError);
    // @ts-expect-error
    expect(() => engine.getRedis('tset')).toThrow(/"tset".*"default", "test"/);
  });

  test('builds the same configuration that fromConfig takes', () => {
    const options = { password: SECRET, pool: { max: 20 } } satisfies PoolOptions;
    const config = {
      pools: {
        default: { address: 'localhost:6379' },
        test: { address: 'localhost:6379', database: 3, ...options },
        orders: { sentinel: { master: 'mymaster', nodes: ['a'] }, database: 1 },
        events: { cluster: ['a'] },
      },
    };
    const registry = new Registry()
      .registerRedis('localhost:6379')
      .registerRedis('localhost:6379', 3, 'test', options)
      .registerRedisSentinel('mymaster', ['a'], 1, 'orders')
      .registerRedisCluster(['a'], 'events');
    expect(registry.toConfig()).toStrictEqual(config);
    expect(Registry.fromConfig(config).toConfig()).toStrictEqual(config);
    expect(resolveConfig(registry.toConfig()).map(({ code }) => code)).toEqual(['default', 'test', 'orders', 'events']);
  });

  test('takes the database from the address where the call names none', () => {
    const engine = new Registry()
      .registerRedis('redis://localhost/3')
      .registerRedis('localhost:6379:4', undefined, 'test')
      .validate();
    expect(engine.getRedis().getPoolConfig().database).toBe(3);
    expect(engine.getRedis('test').getPoolConfig().database).toBe(4);
  });

  test('of a configuration takes more pools', () => {
    const engine = Registry.fromConfig({ pools: { a: 'localhost' } })
      .registerRedis('localhost', 1, 'b')
      .validate();
    expect(engine.codes).toEqual(['a', 'b']);
  });

  test('is not changed by what happens to the objects it was given', () => {
    const options: PoolOptions = { keyPrefix: 'before:' };
    const seeds = ['before'];
    const registry = new Registry().registerRedis('localhost', 0, 'a', options).registerRedisCluster(seeds, 'b');
    options.keyPrefix = 'after:';
    seeds[0] = 'after';
    expect(registry.toConfig().pools).toMatchObject({ a: { keyPrefix: 'before:' }, b: { cluster: ['before'] } });
    Object.assign(registry.toConfig().pools, { c: 'localhost' });
    expect(Object.keys(registry.toConfig().pools)).toEqual(['a', 'b']);
  });

  test('reads a file, relative to the working directory', () => {
    const before = process.cwd();
    process.chdir(dirname(files.write('redis.json', '{ "pools": { "default": "localhost:6379:2" } }')));
    try {
      expect(Registry.fromFile('redis.json').validate().getRedis().getPoolConfig().database).toBe(2);
    } finally {
      process.chdir(before);
    }
  });
});

describe('validate() reports', () => {
  test('a registry without pools', () => {
    expect(issuesOf(new Registry())).toEqual([{ path: '/pools', message: 'must hold at least one pool' }]);
  });

  test('a code that is registered twice, together with every other problem', () => {
    const registry = new Registry()
      .registerRedis('localhost')
      .registerRedis('localhost:0')
      .registerRedis('localhost', 1, 'a')
      .registerRedisCluster(['h'], 'a', { pool: { max: 1 } })
      .registerRedis('localhost', -1, 'b');
    const twice = 'is registered twice; each pool needs a code of its own';
    expect(issuesOf(registry)).toEqual([
      { path: '/pools/default', message: twice },
      { path: '/pools/a', message: twice },
      { path: '/pools/b/database', message: expect.stringContaining('got -1') },
      { path: '/pools/default/address', message: expect.stringContaining('port') },
      { path: '/pools/a/pool/max', message: expect.stringContaining('less than max') },
    ]);
  });

  test('a code that the configuration has already', () => {
    const registry = Registry.fromConfig({ pools: { a: 'localhost' } }).registerRedis('localhost', 0, 'a');
    expect(issuesOf(registry)).toEqual([{ path: '/pools/a', message: expect.stringContaining('twice') }]);
  });

  test.each(['address', 'database', 'sentinel', 'cluster'])('the option %s, which is an argument', (name) => {
    const options = { [name]: 3 } as PoolOptions;
    expect(issuesOf(new Registry().registerRedis('localhost', 0, 'a', options))).toContainEqual({
      path: `/pools/a/${name}`,
      message: 'is an argument of the call, not an option',
    });
  });

  test.each<[string, unknown[], string]>([
    ['an address that is no string', [6379], '/pools/default/address'],
    ['no address', [], '/pools/default'],
    ['a database that is no number', ['localhost', 'test'], '/pools/default/database'],
    ['a code that is no string', ['localhost', 0, 5], '/pools/'],
    ['a code that is null', ['localhost', 0, null], '/pools/'],
    ['an empty code', ['localhost', 0, ''], '/pools/'],
    ['the code __proto__', ['localhost', 0, '__proto__'], '/pools/__proto__'],
    ['options that are no object', ['localhost', 0, 'a', 'b'], '/pools/a'],
    ['options that are null', ['localhost', 0, 'a', null], '/pools/a'],
    ['options that cannot be read', ['localhost', 0, 'a', new Proxy({}, { ownKeys: () => ['x', 'x'] })], '/pools/a'],
  ])('%s', (_, args, path) => {
    const registry = new Registry();
    Reflect.apply(registry.registerRedis, registry, args);
    expect(issuesOf(registry).map((issue) => issue.path)).toEqual([path]);
  });

  test.each([undefined, null, 42, 'localhost', [], { pools: [] }])('a configuration that is %j', (config) => {
    expect(issuesOf(Registry.fromConfig(config as never))).toHaveLength(1);
  });
});

describe('a registry never prints a secret:', () => {
  const registries = {
    'a password': new Registry().registerRedis('localhost', 0, 'a', {
      password: SECRET,
      tls: { key: SECRET, cert: SECRET },
    }),
    'a URL': new Registry().registerRedis(`redis://app:${SECRET}@localhost`, 0, 'a'),
    'a URL for a code': new Registry().registerRedis('localhost', 0, `redis://app:${SECRET}@localhost`),
    'a configuration': Registry.fromConfig({ pools: { a: `redis://app:${SECRET}@localhost` } }),
  };

  test.each(Object.entries(registries))('%s', (_, registry) => {
    const prints = [inspect(registry, { depth: 20, showHidden: true }), JSON.stringify({ registry }), String(registry)];
    for (const print of prints) expect(print).not.toContain(SECRET);
    expect(JSON.stringify(registry.toConfig())).toContain(SECRET);
  });

  test('it prints its codes', () => {
    expect(inspect(registries['a password'])).toBe("Registry { pools: [ 'a' ] }");
    expect(JSON.stringify(registries['a URL'])).toBe('{"pools":["a"]}');
  });

  test('nor does an engine, at any depth', () => {
    const engine = registries['a password'].validate();
    const prints = [
      inspect(engine, { depth: 20, showHidden: true }),
      inspect(engine.getRedis('a'), { depth: 20, showHidden: true }),
      inspect(engine.getRedis('a').getPoolConfig(), { depth: 20 }),
      JSON.stringify(engine.getRedis('a').getPoolConfig()),
      JSON.stringify(engine),
    ];
    for (const print of prints) expect(print).not.toContain(SECRET);
  });
});
