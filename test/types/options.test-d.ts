import { describe, expectTypeOf, test } from 'vitest';
import type { OptionTable } from '../../src/options.js';

interface Speed {
  ttl?: number;
  signal: AbortSignal;
}

type Way = { by: 'land'; wheels?: number } | { by: 'sea'; sails?: number };

describe('the table of an options type', () => {
  test('has each of its options, those of all members of a union too', () => {
    expectTypeOf<keyof OptionTable<Speed>>().toEqualTypeOf<'ttl' | 'signal'>();
    expectTypeOf<keyof OptionTable<Way>>().toEqualTypeOf<'by' | 'wheels' | 'sails'>();
    expectTypeOf({ ttl: ['expires'], signal: true } as const).toExtend<OptionTable<Speed>>();
  });

  test('that lacks one, or has one more, does not compile', () => {
    // @ts-expect-error `signal` is missing
    const short: OptionTable<Speed> = { ttl: true };
    // @ts-expect-error the type has no `block`
    const long: OptionTable<Speed> = { ttl: true, signal: true, block: true };
    // @ts-expect-error `sails` is missing
    const part: OptionTable<Way> = { by: true, wheels: true };
    void [short, long, part];
  });
});
