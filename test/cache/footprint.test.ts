import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { bufferBytes, FrozenJson, stringBytes } from '../../src/cache/footprint.js';
import { expectBetween } from './support.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

function usedBytes(): number {
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** What is kept while it is measured: what only the function had could be collected before. */
let kept: unknown[] = [];

/** How much memory values take, and how much they are estimated to. */
function measure<T>(sources: readonly T[], make: (source: T) => [value: unknown, bytes: number]) {
  kept = new Array(sources.length).fill(undefined);
  let estimated = 0;
  const before = usedBytes();
  for (let i = 0; i < sources.length; i++) {
    const [value, bytes] = make(sources[i] as T);
    kept[i] = value;
    estimated += bytes;
  }
  const taken = usedBytes() - before;
  kept = [];
  return { estimated, taken };
}

const times = <T>(length: number, make: (i: number) => T) => Array.from({ length }, (_, i) => make(i));

test.each<[string, (i: number) => unknown]>([
  ['empty objects', () => times(2_000, () => ({}))],
  ['empty arrays', () => times(2_000, () => [])],
  ['small objects of one shape', (i) => times(2_000, (j) => ({ i, j: j % 10, name: 'x' }))],
  ['small arrays', (i) => times(2_000, (j) => [i, j])],
  ['whole numbers', (i) => times(5_000, (j) => i + j)],
  ['fractions', (i) => times(5_000, (j) => i + j + 0.5)],
  ['short text', (i) => times(2_000, (j) => `text ${i} ${j} and so on`)],
  ['long text', (i) => `${i}`.repeat(50_000)],
  ['long two-byte text', (i) => 'я'.repeat(50_000) + i],
  ['two-byte text that is escaped', (i) => ({ i, text: 'я\n'.repeat(20_000) })],
  ['objects with names of their own', (i) => times(500, (j) => ({ [`k${i}x${j}`]: j, [`l${i}x${j}`]: j }))],
  ['an object with many names', (i) => Object.fromEntries(times(1_000, (j) => [`k${i}x${j}`, j]))],
  ['an object with numbers for names', (i) => Object.fromEntries(times(1_000, (j) => [`${i * 100_000 + 7 * j}`, j]))],
  ['arrays in arrays', () => JSON.parse('['.repeat(3_000) + ']'.repeat(3_000))],
])('the memory that JSON takes is estimated: %s', (_, make) => {
  const frozen = new FrozenJson();
  const sources = times(60, (i) => JSON.stringify(make(i)));
  const { estimated, taken } = measure(sources, (source) => {
    const value: unknown = JSON.parse(source);
    return [value, frozen.freeze(value, source)];
  });
  // Seldom too little, and not so much that the tier would be half empty.
  expectBetween(estimated / taken, 0.9, 2.6);
});

test('the memory that Buffers take is estimated', () => {
  const { estimated, taken } = measure(
    times(5_000, (i) => i),
    (i) => {
      const data = Buffer.allocUnsafeSlow(100).fill(i);
      return [data, bufferBytes(data)];
    },
  );
  expectBetween(estimated / taken, 0.8, 2);
});

test.each([
  ['', 0],
  ['abc', 27],
  ['日本', 28],
  ['a😀', 30],
])('%j takes %i bytes', (text, bytes) => expect(stringBytes(text)).toBe(bytes));
