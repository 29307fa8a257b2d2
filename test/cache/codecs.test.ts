import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  bufferCodec,
  type Codec,
  compressed,
  jsonCodec,
  type StandardSchema,
  stringCodec,
  validated,
} from '../../src/index.js';
import { failure } from '../support/engine.js';
import { useRedis } from '../support/redis.js';
import { cacheOn, localCacheOn, warm } from './support.js';

const server = useRedis();

/** As zod or valibot would be: a user has a name, and an age that is 0 unless given. */
interface User {
  name: string;
  age: number;
}
const userSchema: StandardSchema<User> = {
  '~standard': {
    version: 1,
    vendor: 'by hand',
    validate(value) {
      if (typeof value !== 'object' || value === null) return { issues: [{ message: 'no object' }] };
      const { name, age = 0 } = value as Partial<User>;
      if (typeof name !== 'string') return { issues: [{ message: 'name is no string' }, { message: 'and more' }] };
      return { value: { name, age } };
    },
  },
};

const BYTES = Buffer.from([0, 1, 2, 10, 13, 255, 128, 0]);

describe.each([
  ['as they are', {}, false],
  ['with a grace, tags and the time that loading took', { grace: '1m', tags: ['t'], ttl: '1m' }, false],
  ['in the local tier', { ttl: '1m' }, true],
] as const)('values %s', (_, options, local) => {
  const open = <T>(codec: Codec<T>) => (local ? localCacheOn<T>(server(), { codec }) : cacheOn<T>(server(), { codec }));

  async function roundTrip<T>(codec: Codec<T>, value: T & NonNullable<unknown>): Promise<T | undefined> {
    const { cache } = await open(codec);
    await cache.put('k', value, options);
    if (local) await warm(cache, 'k');
    const first = await cache.get('k');
    expect(await cache.getMany(['k', 'k'])).toEqual([first, first]);
    expect(await cache.getOrSet('k', () => value, { earlyRefresh: true })).toEqual(first);
    expect(await cache.getOrSet('other', () => value, { ...options, earlyRefresh: 0.01 })).toEqual(first);
    expect(await cache.get('other')).toEqual(first);
    expect(await cache.getDel('k')).toEqual(first);
    return first;
  }

  test.each(['', 'text', 'ünï 🔑', '\x01', '\x01{"g":5}\n', '\x01\n\x01', '\n', '\x00'])('%j as text', async (text) => {
    expect(await roundTrip(stringCodec, text)).toBe(text);
  });

  test.each([Buffer.alloc(0), BYTES, Buffer.from([1]), Buffer.from('\x01{"g":5}\n'), Buffer.from([1, 10])])(
    'bytes (case %#)',
    async (bytes) => {
      const back = await roundTrip(bufferCodec, bytes);
      expect(Buffer.isBuffer(back)).toBe(true);
      expect(back?.equals(bytes)).toBe(true);
    },
  );

  test.each(['gzip', 'brotli'] as const)(
    'compressed by %s, small and big, of text, JSON and bytes',
    async (algorithm) => {
      for (const threshold of [0, 10_000]) {
        const big = 'compressible '.repeat(500);
        expect(await roundTrip(compressed(stringCodec, { algorithm, threshold }), big)).toBe(big);
        expect(await roundTrip(compressed(jsonCodec, { algorithm, threshold }), { big })).toEqual({ big });
        const bytes = Buffer.concat([BYTES, Buffer.alloc(5_000, 1)]);
        expect((await roundTrip(compressed(bufferCodec, { algorithm, threshold }), bytes))?.equals(bytes)).toBe(true);
        expect(await roundTrip(compressed(stringCodec, { algorithm, threshold }), '')).toBe('');
      }
    },
  );

  test('checked by a schema, also under compression', async () => {
    expect(await roundTrip(validated(userSchema), { name: 'a', age: 1 })).toEqual({ name: 'a', age: 1 });
    const wrapped = compressed(validated(userSchema), { threshold: 0 });
    expect(await roundTrip(wrapped, { name: 'a', age: 1 })).toEqual({ name: 'a', age: 1 });
    const inside = validated(userSchema, compressed(jsonCodec, { threshold: 0 }));
    expect(await roundTrip(inside, { name: 'a', age: 1 })).toEqual({ name: 'a', age: 1 });
  });

  test('of a codec of their own', async () => {
    const dates: Codec<Date> = {
      encode: (date) => `\x01${date.toISOString()}`,
      decode: (text) => new Date(text.slice(1)),
    };
    expect(await roundTrip(dates, new Date(5))).toEqual(new Date(5));
  });
});

describe('compressed()', () => {
  test('stores what is below the threshold as it is, and the rest smaller', async () => {
    const { cache, pool, name } = cacheOn<string>(server(), { codec: compressed(stringCodec, { threshold: 100 }) });
    await cache.put('small', 'x'.repeat(99));
    await cache.put('big', 'x'.repeat(100));
    await cache.put('default', 'y'.repeat(10_000));
    expect(await pool.strLen(name('small'))).toBe(100);
    expect(await pool.strLen(name('big'))).toBeLessThan(60);
    expect(await pool.strLen(name('default'))).toBeLessThan(100);
    const usual = cacheOn<string>(server(), { codec: compressed(stringCodec) });
    await usual.cache.put('small', 'x'.repeat(1_023));
    await usual.cache.put('big', 'x'.repeat(1_024));
    expect(await usual.pool.strLen(usual.name('small'))).toBe(1_024);
    expect(await usual.pool.strLen(usual.name('big'))).toBeLessThan(100);
  });

  test('reads what the other algorithm, or another threshold, wrote', async () => {
    const one = cacheOn<unknown>(server(), { codec: compressed(jsonCodec, { algorithm: 'gzip', threshold: 0 }) });
    const two = cacheOn<unknown>(server(), {
      prefix: one.prefix,
      codec: compressed(jsonCodec, { algorithm: 'brotli' }),
    });
    for (const value of [{ a: 'x'.repeat(5_000) }, { a: 1 }]) {
      await one.cache.put('k', value);
      expect(await two.cache.get('k')).toEqual(value);
      await two.cache.put('k', value);
      expect(await one.cache.get('k')).toEqual(value);
    }
  });

  test.each([
    ['an unknown beginning', Buffer.from('\x07abc')],
    ['nothing', Buffer.alloc(0)],
    ['bytes that are no gzip', Buffer.from('\x01{}\n\x01abcdef')],
    ['bytes that are no brotli', Buffer.from('\x02abcdef')],
    ['a gzip that is cut off', Buffer.concat([Buffer.from('\x01{}\n\x01'), gzipSync('"text"').subarray(0, 12)])],
    ['JSON that is none', Buffer.concat([Buffer.of(2), brotliCompressSync('{')])],
    ['plain JSON of before', Buffer.from('{"a":1}')],
  ])('takes %s for a miss', async (_, stored) => {
    const { cache, pool, name, count } = cacheOn<unknown>(server(), { codec: compressed(jsonCodec) });
    await pool.set(name('k'), stored);
    expect(await cache.get('k')).toBeUndefined();
    expect(count('undecodable')).toBe(1);
  });
});

describe('compressed() decodes no more than its maxBytes', () => {
  const MiB = 1024 ** 2;
  // As a cache stores what begins with the byte of its own line.
  const gzipped = (...parts: Buffer[]) => Buffer.concat([Buffer.from('\x01{}\n\x01'), ...parts]);

  test.each<[string, (size: number) => Buffer]>([
    ['gzip', (size) => gzipped(gzipSync(Buffer.alloc(size)))],
    ['gzip in many parts', (size) => gzipped(...Array<Buffer>(8).fill(gzipSync(Buffer.alloc(size / 8))))],
    ['brotli', (size) => Buffer.concat([Buffer.of(2), brotliCompressSync(Buffer.alloc(size))])],
    ['not compressed', (size) => Buffer.alloc(size + 1)],
  ])('%s', async (_, poison) => {
    const codec = compressed(bufferCodec, { maxBytes: 8_000 });
    const { cache, pool, name, events } = cacheOn<Buffer>(server(), { codec });
    await pool.set(name('k'), poison(8_000));
    expect(await cache.get('k')).toHaveLength(8_000);
    await pool.set(name('k'), poison(8_008));
    expect(await cache.get('k')).toBeUndefined();
    expect(events).toMatchObject([{ type: 'undecodable', key: 'k', error: expect.any(RangeError) }]);
    expect((events[0] as { error: Error }).error.message).toMatch(/maxBytes \(8000\)/);
  });

  test('64 MiB unless told otherwise', async () => {
    const { cache, pool, name, count } = cacheOn<Buffer>(server(), { codec: compressed(bufferCodec) });
    await pool.set(name('k'), gzipped(gzipSync(Buffer.alloc(64 * MiB + 1), { level: 1 })));
    expect(await cache.get('k')).toBeUndefined();
    expect(count('undecodable')).toBe(1);
  });

  test('and put refuses what could not be read', async () => {
    const { cache, pool, name } = cacheOn<string>(server(), { codec: compressed(stringCodec, { maxBytes: 2_000 }) });
    await cache.put('k', 'x'.repeat(2_000));
    expect(await failure(cache.put('k', 'x'.repeat(2_001)))).toMatchObject({
      code: 'LAGOON_INVALID_ARGUMENT',
      message: expect.stringMatching(/maxBytes \(2000\)/),
    });
    expect(await cache.get('k')).toBe('x'.repeat(2_000));
    expect(await pool.exists(name('k'))).toBe(1);
  });
});

describe('validated()', () => {
  test('gives what the schema makes of it', async () => {
    const { cache, pool, name } = cacheOn(server(), { codec: validated(userSchema) });
    await pool.set(name('k'), '{"name":"a","more":1}');
    expect(await cache.get('k')).toEqual({ name: 'a', age: 0 });
  });

  test('makes a miss and an event of what no longer fits, and getOrSet loads it anew', async () => {
    const { cache, pool, name, events } = cacheOn(server(), { codec: validated(userSchema) });
    await pool.set(name('k'), '{"name":5}');
    expect(await cache.get('k')).toBeUndefined();
    expect(events).toMatchObject([
      { type: 'undecodable', key: 'k', error: { message: 'name is no string; and more' } },
    ]);
    expect(await cache.getOrSet('k', () => ({ name: 'b', age: 1 }))).toEqual({ name: 'b', age: 1 });
    expect(await cache.get('k')).toEqual({ name: 'b', age: 1 });
    expect(cache.stats().misses).toBe(2);
  });

  test('needs a Standard Schema that validates at once', async () => {
    for (const bad of [undefined, null, {}, { '~standard': {} }]) {
      expect(() => validated(bad as never)).toThrow(/Standard Schema/);
    }
    const later: StandardSchema<number> = {
      '~standard': { version: 1, vendor: 'v', validate: async () => ({ value: 1 }) },
    };
    const { cache, count } = cacheOn(server(), { codec: validated(later) });
    await cache.put('k', 1);
    expect((await failure(cache.get('k')))?.message ?? count('undecodable')).toBeTruthy();
  });
});

describe('what is stored', () => {
  test('by other programs as plain JSON is read', async () => {
    const { cache, pool, name } = cacheOn(server());
    for (const [text, value] of [
      ['{"a": [1, 2]}\n', { a: [1, 2] }],
      ['"x"', 'x'],
      [' 5 ', 5],
      ['null', null],
    ] as const) {
      await pool.set(name('k'), text, { PX: 60_000 });
      expect(await cache.get('k')).toEqual(value);
      expect(await cache.getOrSet('k', () => 'never', { grace: '1m', earlyRefresh: true })).toEqual(value);
    }
    await pool.set(name('n'), '5');
    await pool.incr(name('n'));
    expect(await cache.get('n')).toBe(6);
  });

  test.each([
    '{',
    '',
    'text',
    '\x01',
    '\x01\n',
    '\x01{\n1',
    '\x01{}',
    '\x01null\n1',
    '\x01[]\nx',
    '\x01{"t":null}\nx',
    '\xff\xfe',
  ])('and is %j is a miss and an event, with a local tier too, and put replaces it', async (stored) => {
    for (const local of [false, true]) {
      const { cache, pool, name, events } = local ? await localCacheOn(server()) : cacheOn(server());
      await pool.set(name('k'), stored);
      expect(await cache.get('k')).toBeUndefined();
      expect(events.filter(({ type }) => !type.startsWith('local'))).toMatchObject([{ type: 'undecodable', key: 'k' }]);
      expect(await cache.has('k')).toBe(false);
      expect(await cache.getMany(['k'])).toEqual([undefined]);
      expect(await cache.getOrSet('k', () => 'loaded', { ttl: '1m' })).toBe('loaded');
      expect(await cache.get('k')).toBe('loaded');
      await pool.set(name('k'), stored);
      expect(await cache.getDel('k')).toBeUndefined();
      expect(await pool.exists(name('k'))).toBe(0);
    }
  });

  test('of a wrong kind by a codec is refused', async () => {
    const text = cacheOn<unknown>(server(), { codec: { encode: () => 5 as never, decode: String } });
    expect(await failure(text.cache.put('k', {}))).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT', message: /text/ });
    const bytes = cacheOn<unknown>(server(), { codec: { binary: true, encode: () => 'x' as never, decode: String } });
    expect(await failure(bytes.cache.put('k', {}))).toMatchObject({
      code: 'LAGOON_INVALID_ARGUMENT',
      message: /Buffer/,
    });
  });

  test('an event names no value, and one who throws at it harms nobody', async () => {
    const { pool, prefix, name } = cacheOn(server());
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on('warning', listen);
    const cache = pool.getCache({
      prefix,
      onEvent: () => {
        throw new Error('listener');
      },
    });
    await pool.set(name('k'), '{');
    expect(await cache.get('k')).toBeUndefined();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', listen);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toMatch(/^onEvent of a cache failed: Error: listener\./);
  });
});
