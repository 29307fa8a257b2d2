import { describe, expect, test } from 'vitest';
import { checkOptions, type OptionTable } from '../src/options.js';

interface Speed {
  ttl?: number;
  maxItems?: number;
  signal?: AbortSignal;
}

const SPEED: OptionTable<Speed> = { ttl: ['expires', 'ex'], maxItems: ['max'], signal: true };

function messageOf(options: unknown): string | undefined {
  try {
    checkOptions('go', options, SPEED);
    return undefined;
  } catch (error) {
    expect(error).toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    return (error as Error).message;
  }
}

class Settings {
  ttl = 5;
  describe(): string {
    return `${this.ttl} ms`;
  }
}

describe('the options of a call', () => {
  test.each<[string, unknown]>([
    ['none', {}],
    ['some', { ttl: 1, signal: undefined }],
    ['without a prototype', Object.assign(Object.create(null), { ttl: 1 })],
    ['inherited', Object.create({ ttl: 1 })],
    ['of a class with methods', new Settings()],
    ['frozen', Object.freeze({ maxItems: 1 })],
  ])('are taken: %s', (_, options) => expect(messageOf(options)).toBeUndefined());

  test.each<[string, string, unknown]>([
    ['a misspelt name', '"maxItem" is not an option of go; did you mean "maxItems"?', { maxItem: 5 }],
    ['another case', '"TTL" is not an option of go; did you mean "ttl"?', { TTL: 5 }],
    ["another library's name", '"expires" is not an option of go; did you mean "ttl"?', { expires: 5 }],
    ["another library's name in another case", '"EX" is not an option of go; did you mean "ttl"?', { EX: 5 }],
    ['a name like no other', '"colour" is not an option of go (allowed: ttl, maxItems, signal)', { colour: 5 }],
    ['a name without a value', '"maxItem" is not an option', { maxItem: undefined }],
    ['an inherited name', '"maxItem" is not an option', Object.create({ maxItem: 5 })],
    ['a name that every object has', '"toString" is not an option', { toString: 5 }],
    ['a name of the prototype of prototypes', '"constructor" is not an option', JSON.parse('{"constructor":1}')],
    ['__proto__ as JSON has it', '"__proto__" is not an option', JSON.parse('{"__proto__":1}')],
    ['a name of thousands of letters', `"${'x'.repeat(40)}…" is not an option`, { ['x'.repeat(9_000)]: 1 }],
  ])('are refused with the nearest name: %s', (_, message, options) => expect(messageOf(options)).toContain(message));

  test.each<[string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['a string', 'hunter2'],
    ['a number', 30],
    ['a boolean', true],
    ['a value of type Array', []],
    ['a value of type Function', () => ({ ttl: 1 })],
    ['a value of type Date', new Date()],
    ['a value of type AbortSignal', AbortSignal.abort()],
    ['a value of type Map', new Map([['ttl', 1]])],
    ['a value of type Promise', Promise.resolve({ ttl: 1 })],
  ])('are no %s', (kind, options) => {
    expect(messageOf(options)).toBe(`go takes an object with options (ttl, maxItems, signal), got ${kind}`);
  });

  test('show neither values nor passwords in the error', () => {
    expect(messageOf({ password: 'hunter2' })).not.toContain('hunter2');
    expect(messageOf({ 'redis://app:hunter2@host': 1 })).not.toContain('hunter2');
    expect(messageOf(Buffer.from('hunter2'))).not.toContain('hunter2');
  });

  test('may be polluted by what a polyfill puts on every object', () => {
    Object.defineProperty(Object.prototype, 'polyfilled', {
      value: 1,
      enumerable: true,
      configurable: true,
      writable: true,
    });
    let message: string | undefined;
    try {
      message = messageOf({ ttl: 1 });
    } finally {
      Reflect.deleteProperty(Object.prototype, 'polyfilled');
    }
    expect(message).toBeUndefined();
  });
});
