import { describe, expect, test } from 'vitest';
import {
  type Cache,
  type CacheOptions,
  compressed,
  type GetOrSetOptions,
  jsonCodec,
  type PutOptions,
} from '../../src/index.js';
import { failure } from '../support/engine.js';
import { useRedis } from '../support/redis.js';
import { cacheOn, poolOn } from './support.js';

const server = useRedis();

/** Each with what the error must say: the option, and what it was. */
type Bad = [options: unknown, ...words: RegExp[]];

const DURATIONS: unknown[] = [
  0,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '',
  'soon',
  '5',
  '1 minute',
  '0s',
  null,
  {},
  true,
];
const named = (option: string, path = option): Bad[] =>
  DURATIONS.map((value) => [
    option.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value),
    new RegExp(path.replace('.', '\\.')),
    shown(value),
  ]);

function shown(value: unknown): RegExp {
  const text =
    typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' && value ? '\\{' : String(value);
  return new RegExp(text);
}

async function refused(call: () => unknown, [, ...words]: Bad): Promise<void> {
  const error = await failure(Promise.resolve().then(call));
  expect(error).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
  for (const word of words) expect(error?.message).toMatch(word);
}

describe('getCache refuses', () => {
  test.each<Bad>([
    ...named('ttl'),
    ...named('timeout'),
    ...named('local.ttl'),
    ...named('local.heartbeat'),
    [{ local: { maxItems: 0 } }, /local\.maxItems/, /0/],
    [{ local: { maxItems: 1.5 } }, /local\.maxItems/, /1\.5/],
    [{ local: { maxBytes: -1 } }, /local\.maxBytes/, /-1/],
    [{ local: { maxBytes: '1kb' } }, /local\.maxBytes/, /1kb/],
    [{ local: null }, /local/, /null/],
    [{ local: 'yes' }, /local/, /yes/],
    [{ local: 1 }, /local/, /1/],
    [{ prefix: 5 }, /prefix/, /5/],
    [{ prefix: null }, /prefix/, /null/],
    [{ whenDown: 'serve' }, /whenDown/, /serve/],
    [{ whenDown: true }, /whenDown/, /true/],
    [{ codec: {} }, /codec/],
    [{ codec: 'json' }, /codec/, /json/],
    [{ codec: { encode: jsonCodec.encode } }, /codec/, /decode/],
    [{ onEvent: 'log' }, /onEvent/, /log/],
    [null, /options|object/],
    ['users', /options|object/, /a string/],
    [new Map(), /getCache/, /Map/],
    [{ namespace: 'users' }, /namespace/, /"prefix"/],
    [{ prefx: 'users' }, /prefx/, /"prefix"/],
    [{ prefix: 'p', toString: 1 }, /toString/],
    [{ local: { max: 5 } }, /local of getCache/, /"maxItems"/],
    [{ local: [] }, /local of getCache/, /Array/],
    [{ prefix: 'a\ud800' }, /prefix/, /lone surrogate/],
    ...named('loadTimeout'),
  ])('%j', async (...bad) => {
    const pool = poolOn(server());
    await refused(() => pool.getCache(bad[0] as CacheOptions), bad);
  });
});

const PUT: Bad[] = [
  ...named('ttl'),
  [{ tags: 't' }, /tags/, /t/],
  [{ tags: [''] }, /tags/],
  [{ tags: [5] }, /tags/, /5/],
  [{ tags: null }, /tags/, /null/],
  [{ tags: ['a\udc00'] }, /tag must/, /lone surrogate/],
  [{ tag: 'x' }, /"tag"/, /"tags"/],
  [{ expires: 5 }, /expires/, /"ttl"/],
  [{ TTL: 5 }, /TTL/, /"ttl"/],
  [[5], /object/, /Array/],
  [new Date(), /object/, /Date/],
  ...named('grace').filter(
    ([options]) => (options as PutOptions).grace !== 0 && (options as PutOptions).grace !== '0s',
  ),
  [{ jitter: -0.1 }, /jitter/, /-0\.1/],
  [{ jitter: 1.1 }, /jitter/, /1\.1/],
  [{ jitter: Number.NaN }, /jitter/, /NaN/],
  [{ jitter: '10%' }, /jitter/, /10%/],
];

describe('put refuses, and sends nothing', () => {
  test.each<Bad>([
    ...PUT,
    ...DURATIONS.filter((value) => typeof value !== 'object').map<Bad>((value) => [value, /ttl/, shown(value)]),
  ])('%j', async (...bad) => {
    const { cache } = cacheOn(server());
    await refused(() => cache.put('k', 1, bad[0] as PutOptions), bad);
    await refused(() => cache.putMany([['k', 1]], bad[0] as PutOptions), bad);
    expect(await cache.has('k')).toBe(false);
  });
});

describe('getOrSet refuses, and loads nothing', () => {
  test.each<Bad>([
    ...PUT,
    ...named('negativeTtl'),
    ...named('backoff'),
    ...named('loadTimeout'),
    [{ gracePeriod: '1h' }, /gracePeriod/, /"grace"/],
    [{ autoRenew: true }, /autoRenew/, /allowed/],
    ['1m', /object/, /a string/],
    [AbortSignal.abort(), /object/, /AbortSignal/],
    ...named('timeout'),
    [{ earlyRefresh: -1 }, /earlyRefresh/, /-1/],
    [{ earlyRefresh: Number.NaN }, /earlyRefresh/, /NaN/],
    [{ earlyRefresh: Number.POSITIVE_INFINITY }, /earlyRefresh/, /Infinity/],
    [{ earlyRefresh: 'soon' }, /earlyRefresh/, /soon/],
    [{ lock: 1 }, /lock/, /1/],
    [{ lock: 'yes' }, /lock/, /yes/],
    [{ signal: {} }, /signal/],
    [{ signal: 'x' }, /signal/, /x/],
    [null, /options|object/],
  ])('%j', async (...bad) => {
    const { cache } = cacheOn(server());
    await refused(() => cache.getOrSet('k', () => 1, bad[0] as GetOrSetOptions), bad);
    expect(cache.stats().loads).toBe(0);
    expect(await cache.has('k')).toBe(false);
  });

  test.each([undefined, null, 'value', 5, {}])('%j as a loader', async (loader) => {
    const { cache } = cacheOn(server());
    expect(await failure(cache.getOrSet('k', loader as never))).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
  });
});

test.each<Bad>([
  [{ algorithm: 'lz4' }, /algorithm/, /lz4/],
  [{ algorithm: 'toString' }, /algorithm/, /toString/],
  [{ threshold: -1 }, /threshold/, /-1/],
  [{ threshold: 1.5 }, /threshold/, /1\.5/],
  [{ threshold: '1kb' }, /threshold/, /1kb/],
  [{ maxBytes: 0 }, /maxBytes/, /0/],
  [{ maxBytes: '64mb' }, /maxBytes/, /64mb/],
  [{ maxSize: 5 }, /maxSize/, /"maxBytes"/],
  [null, /object/, /null/],
  ['gzip', /object/, /a string/],
])('compressed refuses %j', async (...bad) => {
  await refused(() => compressed(jsonCodec, bad[0] as never), bad);
});

describe('keys that cannot be right are refused', () => {
  const CALLS: [string, (cache: Cache, key: string) => Promise<unknown>][] = [
    ['get', (cache, key) => cache.get(key)],
    ['has', (cache, key) => cache.has(key)],
    ['put', (cache, key) => cache.put(key, 1)],
    ['getMany', (cache, key) => cache.getMany(['fine', key])],
    ['putMany', (cache, key) => cache.putMany([[key, 1]])],
    ['getDel', (cache, key) => cache.getDel(key)],
    ['remove', (cache, key) => cache.remove(key)],
    ['remove of several', (cache, key) => cache.remove(['fine', key])],
    ['removeByPattern', (cache, key) => cache.removeByPattern(key)],
    ['removeByTag', (cache, key) => cache.removeByTag(key)],
    ['keys', (cache, key) => cache.keys(key)],
    ['getOrSet', (cache, key) => cache.getOrSet(key, () => 1)],
    ['put with the tag', (cache, key) => cache.put('k', 1, { tags: [key] })],
  ];

  test.each(CALLS)('by %s', async (_, call) => {
    const { cache } = cacheOn(server());
    for (const key of ['', 5, null, {}, ['a', 5]] as string[]) {
      expect(await failure(call(cache, key)), String(key)).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    }
  });

  test.each(CALLS)('by %s: a lone surrogate, as two such keys would be one in Redis', async (_, call) => {
    const { cache } = cacheOn(server());
    for (const key of ['user:\ud800', 'user:\udc00', '\ud83d', 'a\ude00b']) {
      const error = await failure(call(cache, key));
      expect(error).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
      expect(error?.message).toMatch(/lone surrogate.*JSON\.stringify/);
    }
    expect(await failure(call(cache, 'well-formed 😀'))).toBeUndefined();
  });

  test('whole arguments of another shape', async () => {
    const { cache } = cacheOn(server());
    const calls = [
      () => cache.getMany('abc' as never),
      () => cache.getMany(undefined as never),
      () => cache.remove(undefined as never),
      () => cache.remove(new Set(['k']) as never),
      () => cache.putMany({ k: 1 } as never),
      () => cache.putMany(['kv'] as never),
      () => cache.putMany(null as never),
    ];
    for (const call of calls) {
      expect(await failure(call()), String(call)).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    }
  });
});
