import fc from 'fast-check';
import { RESP_TYPES } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, type RedisPool, Registry } from '../../src/index.js';
import { useRedis } from '../support/redis.js';

/** Text without halves of surrogate pairs: those have no form in UTF-8, and no client can send them. */
const text = fc.string({ unit: 'binary', maxLength: 200 });
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
/** What is long enough for the socket to take it in parts, at times. */
const long = fc
  .tuple(bytes, fc.integer({ min: 1, max: 3_000 }))
  .map(([part, times]) => Buffer.concat(Array(times).fill(part)));
const argument = fc.oneof(
  { weight: 5, arbitrary: text },
  { weight: 5, arbitrary: bytes },
  { weight: 1, arbitrary: long },
);
const key = fc.oneof(text, bytes);

const wire = (value: string | Buffer) => (typeof value === 'string' ? Buffer.from(value) : value);

describe.each(['', 'prefix:'])('commands carry any bytes (keyPrefix %j)', (keyPrefix) => {
  const redis = useRedis();
  let engine: Engine<'default'>;
  let pool: RedisPool;
  let buffers: RedisPool<{ [RESP_TYPES.BLOB_STRING]: typeof Buffer }>;

  beforeAll(() => {
    engine = new Registry().registerRedis(redis().address, 0, 'default', { keyPrefix }).validate();
    pool = engine.getRedis();
    buffers = pool.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  });
  afterAll(() => engine.close());

  test('in values, as strings and as Buffers, typed and raw', async () => {
    await fc.assert(
      fc.asyncProperty(argument, async (value) => {
        await pool.set('value', value);
        expect(await buffers.get('value')).toEqual(wire(value));
        expect(await buffers.sendCommand(['ECHO', value])).toEqual(wire(value));
        if (typeof value === 'string') expect(await pool.get('value')).toBe(value);
      }),
      { numRuns: 150 },
    );
  });

  test('in keys, fields and members, and never mixes them up', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { selector: (k) => wire(k).toString('hex'), maxLength: 8 }),
        async (keys) => {
          await pool.flushDb();
          await Promise.all(keys.map((name, i) => pool.set(name, String(i))));
          if (keys.length > 0) expect(await pool.mGet(keys)).toEqual(keys.map((_, i) => String(i)));
          await pool.hSet('hash', [['field', 'value'], ...keys.map((name): [string | Buffer, string] => [name, 'x'])]);
          const fields = await buffers.hKeys('hash');
          const expected = new Set(['field', ...keys].map((name) => wire(name).toString('hex')));
          expect(new Set(fields.map((field) => field.toString('hex')))).toEqual(expected);
          const all = await buffers.keys('*');
          expect(all.map((name) => name.toString('hex')).sort()).toEqual(
            [...new Set([...keys, 'hash'].map((name) => wire(name).toString('hex')))].sort(),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test('in scripts, messages and transactions', async () => {
    const received: Buffer[] = [];
    let arrived = () => {};
    const listener = (message: Buffer) => {
      received.push(message);
      arrived();
    };
    const subscription = await pool.subscribe('channel', listener, { buffers: true });
    await fc.assert(
      fc.asyncProperty(argument, async (value) => {
        received.length = 0;
        const message = new Promise<void>((resolve) => {
          arrived = resolve;
        });
        const [evaluated, [echoed]] = await Promise.all([
          buffers.eval('return ARGV[1]', { keys: [], arguments: [value] }),
          buffers.multi().sendCommand(['ECHO', value]).exec(),
          pool.publish('channel', value),
        ]);
        await message;
        expect([evaluated, echoed, ...received]).toEqual([wire(value), wire(value), wire(value)]);
      }),
      { numRuns: 60 },
    );
    await subscription.unsubscribe();
  });

  test('in any number of commands of one turn, each with its own reply', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(argument, { minLength: 1, maxLength: 60 }), async (values) => {
        const replies = await Promise.all(values.map((value) => buffers.sendCommand(['ECHO', value])));
        expect(replies).toEqual(values.map(wire));
      }),
      { numRuns: 60 },
    );
  });
});

describe('commands larger than the socket takes at once', () => {
  const redis = useRedis();
  const MEGABYTE = 1024 * 1024;

  test.each<[string, (i: number) => string | Buffer]>([
    ['Buffers', (i) => Buffer.alloc(2 * MEGABYTE, i)],
    ['strings', (i) => String(i).repeat(2 * MEGABYTE)],
    ['Buffers of odd sizes', (i) => Buffer.alloc(700_001 + i, i)],
  ])('arrive whole and in order, with small ones between them: %s', async (_, make) => {
    const engine = new Registry().registerRedis(redis().address).validate();
    const pool = engine.getRedis();
    const buffers = pool.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const values = Array.from({ length: 9 }, (_unused, i) => wire(make(i)));
    const written = values.flatMap((_value, i) => [
      pool.set(`big:${i}`, make(i)),
      pool.sendCommand(['ECHO', Buffer.from(`small ${i}`)]),
      pool.multi().set(`multi:${i}`, make(i)).strLen(`multi:${i}`).exec(),
      pool.echo(`typed ${i}`),
    ]);
    expect(await Promise.all(written)).toEqual(
      values.flatMap((value, i) => ['OK', `small ${i}`, ['OK', value.length], `typed ${i}`]),
    );
    for (const [i, value] of values.entries()) {
      const got = (await buffers.get(`big:${i}`)) as Buffer;
      expect(got.equals(value), `value ${i}`).toBe(true);
    }
    expect(pool.stats()).toMatchObject({ reconnects: 0, pending: 0 });
    await engine.close();
  });
});
