import fc from 'fast-check';
import { expect, test } from 'vitest';
import { publicConfig } from '../../src/config/redact.js';
import { resolveConfig } from '../../src/config/validate.js';
import { ConfigError } from '../../src/errors.js';

/** The outcome of a configuration: the codes of its pools, or the number of its issues. Any other exception is a failure. */
function outcome(config: unknown): 'valid' | 'ConfigError' {
  try {
    for (const pool of resolveConfig(config)) publicConfig(pool);
    return 'valid';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.issues.length).toBeGreaterThan(0);
    for (const { path, message } of error.issues) {
      expect(path).toMatch(/^(\/([^~/]|~[01])*)*$/s);
      expect(message).not.toBe('');
    }
    return 'ConfigError';
  }
}

const duration = fc.oneof(
  fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  fc
    .tuple(fc.integer({ min: 1, max: 20 }), fc.constantFrom('ms', 's', 'm', 'h', 'd'))
    .map(([n, unit]) => `${n}${unit}`),
);
const host = fc.constantFrom('localhost', '10.0.0.1', '[::1]', 'redis-1.internal');
const node = fc.oneof(
  host,
  fc.tuple(host, fc.integer({ min: 1, max: 65_535 })).map(([name, port]) => `${name}:${port}`),
);
const text = fc.string({ unit: 'grapheme', minLength: 1 });
const tls = fc.oneof(
  fc.boolean(),
  fc.record(
    {
      ca: text,
      servername: text,
      minVersion: fc.constantFrom('TLSv1.2', 'TLSv1.3'),
      rejectUnauthorized: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
);

const options = fc.record(
  {
    username: text,
    password: text,
    tls,
    // In a cluster not every brace can be.
    keyPrefix: text.filter((prefix) => !prefix.includes('{')),
    clientName: fc.stringMatching(/^[!-~]+$/),
    connectTimeout: duration,
    commandTimeout: duration,
    maxPending: fc.integer({ min: 1 }),
    failFast: fc.boolean(),
    reconnect: fc.record(
      { minDelay: fc.integer({ min: 1, max: 50 }), maxDelay: fc.constant('1h') },
      { requiredKeys: [] },
    ),
    pool: fc.record(
      {
        max: fc.integer({ min: 10, max: 1000 }),
        min: fc.nat({ max: 10 }),
        lanes: fc.integer({ min: 1, max: 9 }),
        acquireTimeout: duration,
        idleTimeout: duration,
        maxWaiting: fc.nat(),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
const database = fc.option(fc.nat(), { nil: undefined });
const pool = fc.oneof(
  node,
  fc.tuple(node, database, options).map(([address, number, rest]) => ({ address, database: number, ...rest })),
  fc
    .tuple(text, fc.array(node, { minLength: 1 }), database, options, fc.option(tls, { nil: undefined }))
    .map(([master, nodes, number, rest, sentinelTls]) => ({
      sentinel: { master, nodes },
      database: number,
      sentinelTls,
      ...rest,
    })),
  fc.tuple(fc.array(node, { minLength: 1 }), options).map(([cluster, rest]) => ({ cluster, ...rest })),
);
const code = fc.string({ minLength: 1 }).filter((name) => name !== '__proto__' && !/:.*@/.test(name));
const valid = fc.dictionary(code, pool, { minKeys: 1, maxKeys: 4 }).map((pools) => ({ pools }));

test('any valid configuration validates', () => {
  fc.assert(
    fc.property(valid, (config) => {
      expect(resolveConfig(config).map((resolved) => resolved.code)).toEqual(Object.keys(config.pools));
    }),
    { numRuns: 500 },
  );
});

test('any JSON value either validates or gives a ConfigError', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (config) => void outcome(config)),
    { numRuns: 2_000 },
  );
});

test('so does any JSON value in the place of the pools, a pool, or a part of a pool', () => {
  const where = fc.constantFrom<(value: unknown) => unknown>(
    (pools) => ({ pools }),
    (a) => ({ pools: { a } }),
    (part) => ({ pools: { a: { address: 'h', pool: part, reconnect: part, tls: part } } }),
    (part) => ({ pools: { a: { address: part, sentinel: part, cluster: part } } }),
    (part) => ({ pools: { a: { sentinel: { master: part, nodes: [part] } } } }),
    (part) => ({ pools: { a: { cluster: part } } }),
  );
  fc.assert(
    fc.property(where, fc.jsonValue(), (put, value) => void outcome(put(value))),
    { numRuns: 2_000 },
  );
});

test('so does any JavaScript value', () => {
  const anything = fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true,
  });
  fc.assert(
    fc.property(anything, anything, (value, other) => {
      outcome(value);
      outcome({ pools: value });
      outcome({ pools: { a: value, b: { address: value, database: other, pool: other, tls: value } } });
    }),
    { numRuns: 1_000 },
  );
});

test('so does any valid configuration with one value in it replaced, renamed or removed', () => {
  const odd = fc.oneof(
    fc.constantFrom<unknown>(
      '',
      'h:0',
      'redis://',
      -1,
      0,
      1.5,
      1e300,
      Number.NaN,
      null,
      true,
      [],
      {},
      '0ms',
      '1.1m',
      '99d',
    ),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const change = fc.constantFrom('replace', 'rename', 'remove', 'add');
  let refused = 0;
  fc.assert(
    fc.property(valid, fc.nat(), change, fc.string(), odd, (config, at, how, name, value) => {
      const copy = structuredClone(config) as object;
      const places = placesIn(copy);
      const [owner, key] = places[at % places.length] as [Record<string, unknown>, string];
      const old = owner[key];
      if (how !== 'add') delete owner[key];
      if (how !== 'remove') {
        const target = how === 'replace' ? key : name;
        // No JSON document can set the length of an array.
        fc.pre(!(Array.isArray(owner) && target === 'length'));
        // Defined and not assigned, so that `__proto__` is a property as it would be after JSON.parse.
        Object.defineProperty(owner, target, {
          value: how === 'rename' ? old : value,
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
      if (outcome(copy) === 'ConfigError') refused++;
    }),
    { numRuns: 3_000 },
  );
  // Otherwise the changes were too tame to test anything.
  expect(refused).toBeGreaterThan(1_000);
});

function placesIn(value: object): [object, string][] {
  return Object.entries(value).flatMap(([key, part]) => [
    [value, key] as [object, string],
    ...(typeof part === 'object' && part !== null ? placesIn(part) : []),
  ]);
}
