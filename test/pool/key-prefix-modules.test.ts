import { describe, expect, test } from 'vitest';
import { type CommandArgs, createEncoder, type Encoder } from '../../src/pool/node-redis.js';

type Namespace = Record<string, (...args: unknown[]) => CommandArgs>;

const encoder = createEncoder('app:');

function encode(module: string, name: string, ...args: unknown[]): string {
  return ((encoder[module] as Namespace)[name] as Namespace[string])(...args).join(' ');
}

/** What a caller gets for the reply that the server gave to the call. */
function received(reply: unknown, module: string, name: string, ...args: unknown[]): unknown {
  const { preserve } = ((encoder[module] as Namespace)[name] as Namespace[string])(...args);
  return (encoder.transform as NonNullable<Encoder['transform']>)(reply, preserve, {});
}

/** No server of the tests has modules, so these see what would be sent. */
describe('keyPrefix and modules', () => {
  test.each([
    ['CMS.MERGE app:to 2 app:a app:b', 'cms', 'merge', ['to', ['a', 'b']]],
    ['CMS.MERGE app:to 1 app:a WEIGHTS 2', 'cms', 'merge', ['to', [{ name: 'a', weight: 2 }]]],
    ['TDIGEST.MERGE app:to 2 app:a app:b', 'tDigest', 'merge', ['to', ['a', 'b']]],
    ['TS.CREATERULE app:a app:b AGGREGATION AVG 5', 'ts', 'createRule', ['a', 'b', 'AVG', 5]],
    ['TS.MADD app:a 1 2', 'ts', 'mAdd', [[{ key: 'a', timestamp: 1, value: 2 }]]],
    ['JSON.MGET app:a app:b $', 'json', 'mGet', [['a', 'b'], '$']],
    ['JSON.MSET app:a $ 1', 'json', 'mSet', [[{ key: 'a', path: '$', value: 1 }]]],
    ['FT.SUGADD app:d text 1', 'ft', 'sugAdd', ['d', 'text', 1]],
    ['FT.SUGLEN app:d', 'ft', 'sugLen', ['d']],
    ['FT.DICTADD d term', 'ft', 'dictAdd', ['d', 'term']],
    ['FT.ALIASADD a i', 'ft', 'aliasAdd', ['a', 'i']],
    ['FT.CREATE i PREFIX 1 app: SCHEMA a TEXT', 'ft', 'create', ['i', { a: 'TEXT' }]],
    ['FT.CREATE i ON JSON PREFIX 1 app: SCHEMA a TEXT', 'ft', 'create', ['i', { a: 'TEXT' }, { ON: 'JSON' }]],
    [
      'FT.CREATE i ON HASH PREFIX 2 app:x: app:y: FILTER @a>1 SCHEMA a TEXT',
      'ft',
      'create',
      ['i', { a: 'TEXT' }, { ON: 'HASH', PREFIX: ['x:', 'y:'], FILTER: '@a>1' }],
    ],
    ['FT.CREATE i PREFIX 1 app: SCHEMA a TEXT', 'ft', 'create', ['i', { a: 'TEXT' }, { PREFIX: '*' }]],
    ['FT.CREATE i PREFIX 1 app: SCHEMA PREFIX TEXT', 'ft', 'create', ['i', { PREFIX: 'TEXT' }]],
    ['FT.SEARCH i INKEYS INKEYS 2 app:a app:b DIALECT 2', 'ft', 'search', ['i', 'INKEYS', { INKEYS: ['a', 'b'] }]],
    [
      'FT.SEARCH i q VERBATIM WITHSCORES FILTER INKEYS 1 2 GEOFILTER f 1 2 3 m INKEYS 1 app:a DIALECT 2 NOCONTENT',
      'ft',
      'searchNoContent',
      [
        'i',
        'q',
        {
          VERBATIM: true,
          WITHSCORES: true,
          FILTER: { field: 'INKEYS', min: 1, max: 2 },
          GEOFILTER: { field: 'f', lon: 1, lat: 2, radius: 3, unit: 'm' },
          INKEYS: 'a',
        },
      ],
    ],
    [
      'FT.PROFILE i SEARCH LIMITED QUERY q INKEYS 1 app:a DIALECT 2',
      'ft',
      'profileSearch',
      ['i', 'q', { LIMITED: true, INKEYS: 'a' }],
    ],
    ['FT.PROFILE i AGGREGATE QUERY INKEYS DIALECT 2', 'ft', 'profileAggregate', ['i', 'INKEYS']],
  ])('%s', (wire, module, name, args) => {
    expect(encode(module, name, ...args)).toBe(wire);
  });

  test('time series of others that have the labels are left out, in each form of a map', () => {
    const found = { 'app:a': [[], [1, 2]], 'other:a': [[], [3, 4]] };
    const own = { a: { sample: { timestamp: 1, value: 2 } } };
    expect(received(structuredClone(found), 'ts', 'mGet', ['l=1'])).toEqual(own);
    expect(received(new Map(Object.entries(found)), 'ts', 'mGet', ['l=1'])).toEqual(new Map(Object.entries(own)));
    expect(received(Object.entries(found).flat(), 'ts', 'mGet', ['l=1'])).toEqual(Object.entries(own).flat());
    expect(received(['app:a', 'b', 'app:c'], 'ts', 'queryIndex', ['l=1'])).toEqual(['a', 'c']);
  });

  test('groups of time series keep their names', () => {
    const groups = { 'l=1': [[], [], [], [[1, 2]]] };
    const reply = received(groups, 'ts', 'mRangeGroupBy', '-', '+', ['l=1'], { label: 'l', REDUCE: 'SUM' });
    expect(Object.keys(reply as object)).toEqual(['l=1']);
  });

  test('a search gives the ids of documents as keys of the pool', () => {
    const results = [{ id: 'app:doc:1', extra_attributes: { a: 'app:x' }, values: [] }];
    const reply = { total_results: 1, results, warning: [] };
    expect(received(reply, 'ft', 'search', 'i', '*')).toMatchObject({
      documents: [{ id: 'doc:1', value: { a: 'app:x' } }],
    });
    expect(received(reply, 'ft', 'searchNoContent', 'i', '*')).toMatchObject({ documents: ['doc:1'] });
  });
});
