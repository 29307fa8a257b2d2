import { describe, expectTypeOf, test } from 'vitest';
import type { PoolOptions, RegistryConfig } from '../../src/config/types.js';
import type { Duration } from '../../src/duration.js';
import type { Engine } from '../../src/engine.js';
import { Registry } from '../../src/registry.js';

declare const dynamic: string;

describe('the names of the pools are known to the compiler', () => {
  test('from chained calls', () => {
    const registry = new Registry()
      .registerRedis('h')
      .registerRedis('h', 3, 'test')
      .registerRedisSentinel('m', ['h'], 0, 'orders')
      .registerRedisCluster(['h'], 'events', { tls: true });
    expectTypeOf(registry).toEqualTypeOf<Registry<'default' | 'test' | 'orders' | 'events'>>();
    const engine = registry.validate();
    expectTypeOf(engine).toEqualTypeOf<Engine<'default' | 'test' | 'orders' | 'events'>>();
    engine.getRedis();
    engine.getRedis('test');
    // @ts-expect-error misspelt
    engine.getRedis('tset');
    // @ts-expect-error any string
    engine.getRedis(dynamic);
  });

  test('so that getRedis() needs a name where no pool is called default', () => {
    const engine = new Registry().registerRedis('h', 0, 'a').validate();
    engine.getRedis('a');
    // @ts-expect-error there is no default
    engine.getRedis();
  });

  test('are any string if the calls are not chained', () => {
    const registry = new Registry();
    registry.registerRedis('h', 0, 'a');
    expectTypeOf(registry.validate()).toEqualTypeOf<Engine<string>>();
    registry.validate().getRedis(dynamic);
  });

  test('are any string if one name is', () => {
    const registry = new Registry().registerRedis('h').registerRedis('h', 0, dynamic);
    expectTypeOf(registry).toEqualTypeOf<Registry<string>>();
    registry.validate().getRedis('a');
  });

  test('are the union of names that are only known as a union', () => {
    const code = dynamic as 'a' | 'b';
    expectTypeOf(new Registry().registerRedis('h', 0, code)).toEqualTypeOf<Registry<'a' | 'b'>>();
  });

  test('from a configuration', () => {
    const registry = Registry.fromConfig({
      pools: {
        default: 'h:6379:0',
        test: { address: 'h', database: 3, commandTimeout: '10s' },
        orders: { sentinel: { master: 'm', nodes: ['h'] } },
        events: { cluster: ['h'], tls: { rejectUnauthorized: false } },
      },
    });
    expectTypeOf(registry).toEqualTypeOf<Registry<'default' | 'test' | 'orders' | 'events'>>();
    expectTypeOf(registry.registerRedis('h', 0, 'more').validate()).toEqualTypeOf<
      Engine<'default' | 'test' | 'orders' | 'events' | 'more'>
    >();
  });

  test('from a configuration that is a constant of its own', () => {
    const config = { pools: { a: 'h', b: { address: 'h', pool: { max: 20 } } } } satisfies RegistryConfig;
    expectTypeOf(Registry.fromConfig(config)).toEqualTypeOf<Registry<'a' | 'b'>>();
  });

  test('are any string for a configuration of unknown names, and for a file', () => {
    const config = {} as RegistryConfig;
    expectTypeOf(Registry.fromConfig(config)).toEqualTypeOf<Registry<string>>();
    expectTypeOf(Registry.fromFile('redis.json')).toEqualTypeOf<Registry<string>>();
    expectTypeOf(new Registry().registerRedis('h').toConfig()).toEqualTypeOf<RegistryConfig>();
  });
});

describe('an engine', () => {
  const engine = new Registry().registerRedis('h').registerRedis('h', 0, 'sessions').validate();

  test('with more pools is accepted where some of them are needed', () => {
    expectTypeOf(engine).toExtend<Engine<'sessions'>>();
    expectTypeOf(engine).toExtend<Engine<'default'>>();
    expectTypeOf<Engine<string>>().toExtend<Engine<'sessions'>>();
    expectTypeOf(engine.codes).toEqualTypeOf<readonly string[]>();
  });

  test('that lacks one of them is refused there', () => {
    expectTypeOf<Engine<'sessions'>>().not.toExtend<Engine<'default' | 'sessions'>>();
    expectTypeOf<Engine<'default'>>().not.toExtend<Engine<'sessions'>>();
  });
});

describe('the compiler refuses', () => {
  test('a misspelt option', () => {
    // @ts-expect-error
    new Registry().registerRedis('h', 0, 'a', { pasword: 'x' });
    // @ts-expect-error
    Registry.fromConfig({ pools: { a: { address: 'h', databse: 3 } } });
    // @ts-expect-error
    Registry.fromConfig({ pools: { a: { address: 'h', pool: { maxs: 3 } } } });
    // @ts-expect-error
    Registry.fromConfig({ pool: {}, pools: { a: 'h' } });
  });

  test('a pool that leads nowhere', () => {
    // @ts-expect-error
    Registry.fromConfig({ pools: { a: { database: 3 } } });
    // @ts-expect-error
    Registry.fromConfig({ pools: { a: 6379 } });
  });

  test('a database in a cluster', () => {
    // @ts-expect-error
    Registry.fromConfig({ pools: { a: { cluster: ['h'], database: 3 } } });
  });

  test('the arguments of another kind of call', () => {
    // @ts-expect-error
    new Registry().registerRedis(6379);
    // @ts-expect-error
    new Registry().registerRedis('h', '3');
    // @ts-expect-error a cluster has no database
    new Registry().registerRedisCluster(['h'], 0, 'a');
    // @ts-expect-error
    new Registry().registerRedisSentinel('m', 'h:26379');
  });

  test('replicas of a single server, or any other word for them', () => {
    new Registry()
      .registerRedisSentinel('m', ['h'], 0, 'a', { replicas: 'prefer' })
      .registerRedisCluster(['h'], 'b', { replicas: 'never' });
    Registry.fromConfig({ pools: { a: { cluster: ['h'], replicas: 'prefer' } } });
    // @ts-expect-error nobody would tell which servers these are
    new Registry().registerRedis('h', 0, 'a', { replicas: 'prefer' });
    // @ts-expect-error
    new Registry().registerRedisCluster(['h'], 'a', { replicas: 'always' });
    // @ts-expect-error
    new Registry().registerRedisSentinel('m', ['h'], 0, 'a', { replicas: true });
  });

  test('TLS of sentinels where there are none', () => {
    new Registry().registerRedisSentinel('m', ['h'], 0, 'a', { tls: true, sentinelTls: false });
    Registry.fromConfig({ pools: { a: { sentinel: { master: 'm', nodes: ['h'] }, sentinelTls: { ca: 'x' } } } });
    // @ts-expect-error
    new Registry().registerRedis('h', 0, 'a', { sentinelTls: true });
    // @ts-expect-error
    new Registry().registerRedisSentinel('m', ['h'], 0, 'a', { sentinelTls: { CA: 'x' } });
  });

  test('a duration without a unit', () => {
    expectTypeOf<'5s'>().toExtend<Duration>();
    expectTypeOf<'1.5h'>().toExtend<Duration>();
    expectTypeOf<'5'>().not.toExtend<Duration>();
    expectTypeOf<'s'>().not.toExtend<Duration>();
    // @ts-expect-error
    const options: PoolOptions = { commandTimeout: '5 seconds' };
    expectTypeOf(options).toEqualTypeOf<PoolOptions>();
  });
});
