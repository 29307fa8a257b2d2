import { describe, expectTypeOf, test } from 'vitest';
import type {
  Lock,
  Locker,
  LockHolder,
  LockState,
  Mutex,
  ReadWriteLock,
  RedisPool,
  Semaphore,
} from '../../src/index.js';

declare const redis: RedisPool;
declare const locker: Locker;
declare const lock: Lock;

describe('the locker of a pool', () => {
  test('gives a lock or null', () => {
    expectTypeOf(redis.getLocker()).toEqualTypeOf<Locker>();
    expectTypeOf(locker.obtain('key', '1m')).toEqualTypeOf<Promise<Lock | null>>();
    expectTypeOf(locker.obtain(Buffer.from('key'), 1_000, '5s')).toEqualTypeOf<Promise<Lock | null>>();
    expectTypeOf(locker.obtain(['a', 'b'] as const, '1m', Number.POSITIVE_INFINITY)).resolves.toExtend<Lock | null>();
    const options = { token: 't', metadata: 'm', signal: new AbortController().signal, autoRenew: true, replicas: 1 };
    expectTypeOf(locker.obtain('key', '1m', 0, options)).resolves.toExtend<Lock | null>();
  });

  test('makes one think of null', () => {
    // @ts-expect-error it may not have been obtained
    void locker.obtain('key', '1m').then((maybe) => maybe.release());
  });

  test('refuses wrong arguments at compile time', () => {
    // @ts-expect-error no ttl
    void locker.obtain('key');
    // @ts-expect-error not a unit
    void locker.obtain('key', '1 minute');
    // @ts-expect-error a key is a string or a Buffer
    void locker.obtain(5, '1m');
    // @ts-expect-error not a duration
    void locker.obtain('key', '1m', 'soon');
    // @ts-expect-error a token is a string
    void locker.obtain('key', '1m', 0, { token: 5 });
    // @ts-expect-error misspelt
    void locker.obtain('key', '1m', 0, { autorenew: true });
    // @ts-expect-error no ttl
    void locker.run('key', {}, () => 1);
    // @ts-expect-error run always renews
    void locker.run('key', { ttl: '1m', autoRenew: false }, () => 1);
    // @ts-expect-error no ttl
    locker.mutex('key', {});
    // @ts-expect-error no permits
    locker.semaphore('key');
  });

  test('has the others in the terms of the first', () => {
    expectTypeOf(locker.tryLock('key', '1m')).toEqualTypeOf<Promise<() => Promise<boolean>>>();
    expectTypeOf(locker.mutex('key', { ttl: '1m' })).toEqualTypeOf<Mutex>();
    expectTypeOf(locker.semaphore('key', 3)).toEqualTypeOf<Semaphore>();
    expectTypeOf(locker.readWriteLock('key')).toEqualTypeOf<ReadWriteLock>();
    expectTypeOf(locker.semaphore('key', 3).obtain('1m')).toEqualTypeOf<Promise<Lock | null>>();
    expectTypeOf(locker.readWriteLock('key').obtainRead('1m', '5s')).toEqualTypeOf<Promise<Lock | null>>();
    expectTypeOf(locker.readWriteLock('key').obtainWrite('1m', '5s')).toEqualTypeOf<Promise<Lock | null>>();
    expectTypeOf(locker.inspect('key')).toEqualTypeOf<Promise<LockState>>();
    expectTypeOf<LockState>().toEqualTypeOf<{
      readonly held: boolean;
      readonly ttl: number;
      readonly fence: number | undefined;
      readonly waiting: number;
      readonly holders: readonly LockHolder[];
    }>();
    expectTypeOf<LockHolder>().toEqualTypeOf<{
      readonly kind: 'exclusive' | 'reader' | 'writer' | 'permit';
      readonly value: string;
      readonly fence: number | undefined;
      readonly ttl: number;
    }>();
  });

  test('run gives what its body gives, awaited', () => {
    expectTypeOf(locker.run('key', { ttl: '1m' }, () => 5)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(locker.run('key', { ttl: '1m' }, async (own) => own.fence)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(locker.run<string>)
      .parameter(2)
      .parameter(0)
      .toEqualTypeOf<Lock>();
  });

  test('a mutex says whether', () => {
    const mutex = locker.mutex('key', { ttl: '1m' });
    expectTypeOf(mutex.acquire()).toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(mutex.release()).toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(mutex.setExpire).parameters.toEqualTypeOf<Parameters<Lock['refresh']>>();
  });
});

describe('a lock', () => {
  test('has what the design names', () => {
    expectTypeOf(lock.key).toEqualTypeOf<string | Buffer>();
    expectTypeOf(lock.keys).toEqualTypeOf<readonly (string | Buffer)[]>();
    expectTypeOf(lock.token).toBeString();
    expectTypeOf(lock.metadata).toBeString();
    expectTypeOf(lock.fence).toBeNumber();
    expectTypeOf(lock.expiresAt).toBeNumber();
    expectTypeOf(lock.signal).toEqualTypeOf<AbortSignal>();
    expectTypeOf(lock.ttl()).toEqualTypeOf<Promise<number>>();
    expectTypeOf(lock.refresh('1m')).toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(lock.release()).toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(lock).toExtend<AsyncDisposable>();
  });

  test('cannot be changed or made by hand', () => {
    // @ts-expect-error read-only
    lock.fence = 5;
    // @ts-expect-error read-only
    lock.expiresAt = 5;
  });
});
