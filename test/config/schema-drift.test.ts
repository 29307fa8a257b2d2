import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { resolvePool } from '../../src/config/resolve.js';
import { registrySchema } from '../../src/config/schema.js';
import type {
  ClusterPoolConfig,
  ConnectionBudget,
  PoolConfig,
  PoolOptions,
  ReconnectOptions,
  RegistryConfig,
  SentinelPoolConfig,
  StandalonePoolConfig,
  TlsOptions,
} from '../../src/config/types.js';
import { resolveConfig } from '../../src/config/validate.js';
import type { Duration } from '../../src/duration.js';

interface Property {
  type?: string | string[];
  $ref?: string;
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
}
interface Definition extends Property {
  properties?: Record<string, Property>;
  required?: string[];
  additionalProperties?: unknown;
  unevaluatedProperties?: unknown;
}

const schema = registrySchema() as unknown as Definition & { $defs: Record<string, Definition> };

// What the schema has to say of a TypeScript type. The compiler checks each table below against the types, in both
// directions (a property added, removed, made optional or given another type does not compile), and the tests check the
// schema against the tables.
type Kind<T> = [T] extends [Duration]
  ? number extends T
    ? [Extract<T, string>] extends [never]
      ? 'integer'
      : '$duration'
    : 'integer'
  : [T] extends [boolean]
    ? 'boolean'
    : [T] extends [string]
      ? 'string'
      : [T] extends [string[]]
        ? 'array'
        : boolean extends T
          ? 'boolean|object'
          : [T] extends [string | string[]]
            ? 'string|array'
            : '$object';
type Table<T> = { [K in keyof T]-?: undefined extends T[K] ? `${Kind<Exclude<T[K], undefined>>}?` : Kind<T[K]> };
type Own<T extends PoolOptions> = Omit<T, keyof PoolOptions>;

const TABLES = {
  root: { $schema: 'string?', pools: '$object' } satisfies Table<RegistryConfig>,
  standalonePool: { address: 'string', database: 'integer?' } satisfies Table<Own<StandalonePoolConfig>>,
  sentinelPool: {
    sentinel: '$object',
    sentinelUsername: 'string?',
    sentinelPassword: 'string?',
    sentinelTls: 'boolean|object?',
    database: 'integer?',
    replicas: 'string?',
  } satisfies Table<Own<SentinelPoolConfig>>,
  sentinel: { master: 'string', nodes: 'array' } satisfies Table<SentinelPoolConfig['sentinel']>,
  clusterPool: { cluster: 'array', database: 'integer?', replicas: 'string?' } satisfies Table<Own<ClusterPoolConfig>>,
  poolOptions: {
    username: 'string?',
    password: 'string?',
    tls: 'boolean|object?',
    keyPrefix: 'string?',
    clientName: 'string?',
    connectTimeout: '$duration?',
    commandTimeout: '$duration?',
    maxPending: 'integer?',
    failFast: 'boolean?',
    reconnect: '$object?',
    pool: '$object?',
    commands: '$object?',
  } satisfies Table<PoolOptions>,
  tlsOptions: {
    ca: 'string|array?',
    cert: 'string?',
    key: 'string?',
    servername: 'string?',
    minVersion: 'string?',
    rejectUnauthorized: 'boolean?',
  } satisfies Table<TlsOptions>,
  reconnectOptions: { minDelay: '$duration?', maxDelay: '$duration?' } satisfies Table<ReconnectOptions>,
  connectionBudget: {
    max: 'integer?',
    min: 'integer?',
    lanes: 'integer?',
    acquireTimeout: '$duration?',
    idleTimeout: '$duration?',
    maxWaiting: 'integer?',
  } satisfies Table<ConnectionBudget>,
} as const;

const definitions: [string, Definition][] = Object.entries({ root: schema as Definition, ...schema.$defs });

function definition(name: string): Definition {
  const found = Object.fromEntries(definitions)[name];
  if (!found) throw new Error(`the schema has no ${name}`);
  return found;
}

function kind({ $ref, type }: Property): string {
  if ($ref === '#/$defs/duration') return '$duration';
  if ($ref) return '$object';
  return type === 'object' ? '$object' : [type].flat().join('|');
}

describe('the schema and the TypeScript types', () => {
  test.each(Object.entries(TABLES))(
    'agree on the properties of %s, their types, and which are required',
    (name, table) => {
      const { properties = {}, required = [] } = definition(name);
      const described = Object.entries(properties).map(([property, part]) => [
        property,
        kind(part) + (required.includes(property) ? '' : '?'),
      ]);
      expect(Object.fromEntries(described)).toEqual(table);
    },
  );

  test('agree on what a pool can be', () => {
    type Forms<T> = T extends string ? 'string' : 'object';
    const forms = { string: true, object: true } satisfies Record<Forms<PoolConfig>, true>;
    expect([definition('pool').type].flat()).toEqual(Object.keys(forms));
  });

  test('agree on all definitions: none has no table here', () => {
    const withProperties = definitions.filter(([, { properties }]) => properties).map(([name]) => name);
    expect(withProperties.sort()).toEqual(Object.keys(TABLES).sort());
  });
});

describe('the schema', () => {
  const properties = definitions.flatMap(([name, part]) =>
    Object.entries(part.properties ?? {}).map(([property, value]) => [`${name}.${property}`, value] as const),
  );

  test.each(properties)('describes %s and says its default', (_, property) => {
    expect(property.description).toMatch(/^[\w"].*\.( |$)|^host:port/);
    expect(property).toHaveProperty('default');
  });

  test('refuses what it does not know, everywhere', () => {
    for (const [name, part] of definitions) {
      if (!part.properties || name === 'poolOptions') continue;
      expect([name, part.additionalProperties, part.unevaluatedProperties]).toContain(false);
    }
  });

  test('is valid JSON Schema 2020-12, and strict ajv has no complaint about it', () => {
    const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
    const complaints: unknown[] = [];
    const log = (...words: unknown[]) => void complaints.push(words);
    const ajv = new Ajv2020({
      strict: true,
      strictRequired: false,
      allowUnionTypes: true,
      logger: { log, warn: log, error: log },
    });
    expect(ajv.validateSchema(schema as object)).toBe(true);
    ajv.compile(schema as object);
    expect(complaints).toEqual([]);
  });

  const defaultsOf = (name: string): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(definition(name).properties ?? {}).map(([property, part]) => {
        const nested =
          part.$ref && part.$ref !== '#/$defs/duration' ? defaultsOf(part.$ref.replace('#/$defs/', '')) : {};
        return [property, Object.keys(nested).length > 0 ? nested : part.default];
      }),
    );

  test.each([
    ['standalonePool', { address: 'localhost:6379' }],
    ['sentinelPool', { sentinel: { master: 'mymaster', nodes: ['localhost:26379'] } }],
    ['clusterPool', { cluster: ['localhost:7000'] }],
  ] as const)(
    'has defaults that are those of the code: %s with all of them written out is the same pool',
    (name, bare) => {
      const spelt = { ...defaultsOf(name), ...defaultsOf('poolOptions') } as unknown as PoolConfig;
      const [resolved] = resolveConfig({ pools: { a: spelt } });
      expect(resolved).toEqual(resolvePool('a', bare as unknown as PoolConfig));
    },
  );

  test('has the defaults of TLS options that are those of the code', () => {
    const [spelt] = resolveConfig({ pools: { a: { address: 'h', tls: defaultsOf('tlsOptions') } } });
    expect(spelt?.tls).toEqual(resolvePool('a', { address: 'h', tls: true }).tls);
  });

  test('has a default registry that is a valid one', () => {
    expect(resolveConfig(defaultsOf('root')).map(({ code }) => code)).toEqual(['default']);
  });
});

describe('docs/configuration.md', () => {
  const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  const rows = text.split('\n').flatMap((line) => {
    const [names = '', , byDefault = ''] = line
      .split('|')
      .slice(1)
      .map((cell) => cell.trim());
    return [...names.matchAll(/`([\w.]+)`/g)].map(([, name = '']) => [name, byDefault.replaceAll('`', '')] as const);
  });
  const documented = new Map(rows);
  const sections = { sentinelPool: '', standalonePool: '', clusterPool: '', poolOptions: '', sentinel: 'sentinel.' };
  const nested = { tlsOptions: 'tls.', reconnectOptions: 'reconnect.', connectionBudget: 'pool.' };
  /** What such an option is by default is said by another; the schema can only have the default of that one. */
  const following: Record<string, string> = { sentinelTls: 'as tls' };
  const options = Object.entries({ ...sections, ...nested }).flatMap(([name, prefix]) =>
    Object.entries(definition(name).properties ?? {})
      .filter(([, { $ref }]) => $ref === undefined || $ref === '#/$defs/duration')
      .map(([property, part]) => [
        prefix + property,
        following[property] ?? (part.$ref || typeof part.default !== 'string' ? part.default : undefined),
      ]),
  ) as [string, unknown][];

  test.each(options)('lists the option %s with its default', (name, byDefault) => {
    expect(documented.has(name)).toBe(true);
    const plain = typeof byDefault === 'object' ? undefined : byDefault;
    if (plain !== undefined) expect(documented.get(name)).toMatch(new RegExp(`^${String(plain)}$`));
  });
});
