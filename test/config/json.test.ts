import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonProblems } from '../../src/config/json.js';

describe('the JSON check', () => {
  const mutated = fc
    .tuple(
      fc.json({ maxDepth: 4 }),
      fc.nat(),
      fc.nat({ max: 3 }),
      fc.constantFrom('', ',', '"', '{', ']', '1', ' ', 'x', '\\', '\u0001'),
    )
    .map(([text, at, drop, put]) => {
      const start = at % (text.length + 1);
      return text.slice(0, start) + put + text.slice(start + drop);
    });

  test('accepts what JSON.parse accepts and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json({ maxDepth: 4 }), mutated, fc.string({ unit: 'binary' })), (text) => {
        const accepted = jsonProblems(text).every(({ message }) => message === 'is there twice');
        expect([text, accepted]).toEqual([text, parses(text)]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('survives any depth', () => {
    expect(jsonProblems('['.repeat(1_000_000))).toEqual([expect.objectContaining({ message: 'is nested too deeply' })]);
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
