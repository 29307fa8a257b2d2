import { describe, expectTypeOf, test } from 'vitest';
import { type Engine, type Redlock, type RedlockLock, Registry } from '../../src/index.js';

const engine = new Registry()
  .registerRedis('h', 0, 'a')
  .registerRedis('h', 1, 'b')
  .registerRedis('h', 2, 'c')
  .validate();

describe('getRedlock', () => {
  test('takes the codes of registered pools only', () => {
    expectTypeOf(engine.getRedlock(['a', 'b', 'c'])).toEqualTypeOf<Redlock<'a' | 'b' | 'c'>>();
    expectTypeOf(engine.getRedlock(['a', 'b']).codes).toEqualTypeOf<readonly ('a' | 'b')[]>();
    // @ts-expect-error misspelt
    engine.getRedlock(['a', 'd']);
    // @ts-expect-error not an array
    engine.getRedlock('a');
  });

  test('takes any codes where the names are not known', () => {
    const codes: string[] = [];
    expectTypeOf((engine as unknown as Engine).getRedlock(codes)).toEqualTypeOf<Redlock<string>>();
    // @ts-expect-error the names are known here
    engine.getRedlock(codes);
  });

  test('takes the options of its store with its kind', () => {
    engine.getRedlock(['a'], { store: 'map' });
    engine.getRedlock(['a'], { store: { kind: 'map', gcInterval: '1m' } });
    engine.getRedlock(['a'], {
      store: { kind: 'lru', max: 10, onEvict: (lock) => expectTypeOf(lock).toEqualTypeOf<RedlockLock>() },
    });
    engine.getRedlock(['a'], { retryCount: 0, retryDelay: '1s', retryJitter: 20, driftFactor: 0, tryTimeout: '50ms' });
    // @ts-expect-error a map has no bound
    engine.getRedlock(['a'], { store: { kind: 'map', max: 10 } });
    // @ts-expect-error no such store
    engine.getRedlock(['a'], { store: 'lfu' });
    // @ts-expect-error no such unit
    engine.getRedlock(['a'], { retryDelay: '5 seconds' });
  });
});

test('a lock has a validity and no fence', () => {
  type Lock = Awaited<ReturnType<Redlock['lock']>>;
  expectTypeOf<Lock>().toEqualTypeOf<RedlockLock>();
  expectTypeOf<Lock>().toExtend<AsyncDisposable>();
  expectTypeOf<Lock['validity']>().toEqualTypeOf<number>();
  expectTypeOf<Lock['expiresAt']>().toEqualTypeOf<number>();
  expectTypeOf<ReturnType<Lock['release']>>().toEqualTypeOf<Promise<boolean>>();
  expectTypeOf<ReturnType<Redlock['unlock']>>().toEqualTypeOf<Promise<boolean>>();
  expectTypeOf<'fence' extends keyof Lock ? true : false>().toEqualTypeOf<false>();
});
