import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Duration, nonNegativeMs, positiveMs, timerMs } from '../src/duration.js';
import { InvalidArgumentError } from '../src/errors.js';

const untyped = (value: unknown) => value as Duration;

describe('a duration', () => {
  test.each([
    [1, 1],
    [250, 250],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['1ms', 1],
    ['250ms', 250],
    ['10s', 10_000],
    ['1m', 60_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['1.5s', 1_500],
    ['1.1m', 66_000],
    ['0.001s', 1],
    ['2.0ms', 2],
    ['007s', 7_000],
  ] satisfies [Duration, number][])('%j is %i ms', (duration, ms) => {
    expect(positiveMs(duration, 'ttl')).toBe(ms);
    expect(nonNegativeMs(duration, 'ttl')).toBe(ms);
  });

  test.each([0, -0, '0ms', '0s', '0.0d'] satisfies Duration[])('%j is allowed only where zero is', (zero) => {
    expect(nonNegativeMs(zero, 'waitTimeout')).toBeCloseTo(0, 10);
    expect(() => positiveMs(zero, 'ttl')).toThrow(InvalidArgumentError);
  });

  test.each([
    [-1],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [1.5],
    [2 ** 53],
    ['-1s'],
    ['1.5ms'],
    ['0.0001s'],
    [''],
    ['s'],
    ['10'],
    ['10 s'],
    [' 10s'],
    ['10s\n'],
    ['10S'],
    ['1e3ms'],
    ['.5s'],
    ['1w'],
    ['1s2ms'],
    ['9007199254740992ms'],
    [`${'9'.repeat(400)}d`],
    [null],
    [undefined],
    [{}],
    [[10]],
    [true],
    [10n],
  ])('%o is refused', (duration) => {
    expect(() => positiveMs(untyped(duration), 'ttl')).toThrow(InvalidArgumentError);
    expect(() => nonNegativeMs(untyped(duration), 'ttl')).toThrow(InvalidArgumentError);
  });

  test('the error names the argument, the value and the forms there are', () => {
    expect(() => positiveMs('10 sec' as Duration, 'ttl')).toThrow(/^ttl must be .*'10s'.*got "10 sec"$/);
    expect(() => positiveMs(Number.NaN, 'ttl')).toThrow(/got NaN$/);
  });

  test('a whole number of any unit is exact', () => {
    const units = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 } as const;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e8 }), fc.constantFrom('ms', 's', 'm', 'h', 'd'), (count, unit) => {
        expect(positiveMs(`${count}${unit}`, 'ttl')).toBe(count * units[unit]);
      }),
    );
  });

  test('thousandths of a second are exact', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), (ms) => {
        expect(positiveMs(`${(ms / 1000).toFixed(3)}s` as Duration, 'ttl')).toBe(ms);
      }),
    );
  });
});

describe('a timer that is to end at some time', () => {
  test.each([0, 0.4, 1, 999.5, 86_400_000])('is set for all of the %f ms until then, in whole ms', (ms) => {
    const at = performance.now() + ms;
    const set = timerMs(at);
    expect(Number.isInteger(set)).toBe(true);
    expect(set).toBeLessThanOrEqual(Math.ceil(ms) + 1);
    expect(set).toBeGreaterThanOrEqual(at - performance.now());
  });

  test('is not set for the past, and for as long as it takes', () => {
    expect(timerMs(performance.now() - 5)).toBe(0);
    expect(timerMs(performance.now() + 2 ** 40)).toBeGreaterThan(2 ** 40 - 1_000);
    expect(timerMs(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });
});
