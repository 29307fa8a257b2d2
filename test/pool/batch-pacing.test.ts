import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { BatchPacing } from '../../src/pool/batch-pacing.js';

/** So many batches under way, whose numbers `given` holds once their callers have their replies. */
function underWay(batches: number) {
  const pacing = new BatchPacing();
  const given: number[] = [];
  for (let i = 0; i < batches; i++) pacing.sent(1);
  const answer = (...numbers: number[]) => {
    for (const number of numbers) pacing.answered(() => given.push(number));
  };
  return { pacing, given, answer };
}

describe('batches that are answered at once', () => {
  test('give half of the callers their replies, and the others when the first have asked again', async () => {
    const { pacing, given, answer } = underWay(4);
    answer(1, 2, 3, 4);
    await Promise.resolve();
    expect(given).toEqual([1, 2]);
    const whenWritten = nextTurn().then(() => given.slice());
    pacing.sent(1);
    expect(await whenWritten).toEqual([1, 2]);
    await nextTurn();
    expect(given).toEqual([1, 2, 3, 4]);
  });

  test('are all given if Redis has as much left to do', async () => {
    const { given, answer } = underWay(4);
    answer(1, 2);
    await Promise.resolve();
    expect(given).toEqual([1, 2]);
  });

  test('are given so far that both sides have half of all', async () => {
    const { given, answer } = underWay(6);
    answer(1, 2, 3, 4);
    await Promise.resolve();
    expect(given).toEqual([1, 2, 3]);
  });
});

test('a batch that is alone is given at once', async () => {
  const { given, answer } = underWay(1);
  answer(1);
  await Promise.resolve();
  expect(given).toEqual([1]);
});
