import { expect, test } from 'vitest';
import { Solitude } from '../../src/pool/solitude.js';

/** Behind a series of so many pieces that were alone. */
function after(alone: number): Solitude {
  const solitude = new Solitude();
  for (let i = 0; i < alone; i++) solitude.sent(1, 0);
  return solitude;
}

test('work is likely to be alone after a series of pieces that were', () => {
  expect(after(0).isLikely).toBe(false);
  expect(after(3).isLikely).toBe(false);
  expect(after(4).isLikely).toBe(true);
  expect(after(1_000).isLikely).toBe(true);
});

test.each([
  ['two pieces are sent together', (solitude: Solitude) => solitude.sent(2, 0)],
  ['a piece is sent while another is under way', (solitude: Solitude) => solitude.sent(1, 1)],
  ['company is announced', (solitude: Solitude) => solitude.end()],
])('it is no more when %s, until the next such series', (_, happen) => {
  const solitude = after(20);
  happen(solitude);
  expect(solitude.isLikely).toBe(false);
  for (let i = 0; i < 3; i++) solitude.sent(1, 0);
  expect(solitude.isLikely).toBe(false);
  solitude.sent(1, 0);
  expect(solitude.isLikely).toBe(true);
});
