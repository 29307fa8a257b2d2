import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bindUserCallback } from '../../src/observe/user-callback.js';
import { eventually } from '../support/eventually.js';
import { currentRequest, inRequest } from '../support/requests.js';

describe('a callback of a user', () => {
  const warnings: (Error & { code?: string })[] = [];
  const unhandled: unknown[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  const onUnhandled = (reason: unknown) => unhandled.push(reason);

  beforeEach(() => {
    warnings.length = 0;
    unhandled.length = 0;
    process.on('warning', onWarning);
    process.on('unhandledRejection', onUnhandled);
  });
  afterEach(() => {
    process.off('warning', onWarning);
    process.off('unhandledRejection', onUnhandled);
  });

  test('runs in the async context in which it was registered, whoever causes the call', () => {
    const seen: (string | undefined)[] = [];
    const call = inRequest('one', () => bindUserCallback('it', (value: string) => seen.push(value, currentRequest())));
    inRequest('two', () => call('hello'));
    expect(seen).toEqual(['hello', 'one']);
  });

  test('gets no `this` of ours', () => {
    let self: unknown;
    bindUserCallback('it', function (this: unknown) {
      self = this;
    })();
    expect(self).toBeUndefined();
  });

  const failures: [how: string, callback: () => unknown][] = [
    ['throws', fail],
    ['rejects', async () => Promise.reject(new TypeError('mine'))],
    [
      'gives a thenable that rejects',
      () => thenable({ value: (_: unknown, reject: (e: Error) => void) => reject(new TypeError('mine')) }),
    ],
    ['gives a thenable that throws', () => thenable({ value: fail })],
    ['gives what throws when it is read', () => thenable({ get: fail })],
  ];
  for (const [how, callback] of failures) {
    test(`that ${how} ends nothing: one warning says which it is`, async () => {
      const call = bindUserCallback('onDown of a rate limiter', callback);
      for (let i = 0; i < 3; i++) call();
      await eventually(() => warnings.length > 0);
      await new Promise((resolve) => setImmediate(resolve));
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatchObject({ name: 'LagoonWarning', code: 'LAGOON_LISTENER' });
      expect(warnings[0]?.message).toMatch(/^onDown of a rate limiter failed: TypeError: mine\. DEBUG=lagoon:observe/);
      expect(unhandled).toEqual([]);
    });
  }

  test('may fail with anything', async () => {
    const unreadable = new Proxy(new Error('x'), {
      get() {
        throw new Error('no');
      },
    });
    for (const reason of [undefined, null, 5, Object.create(null), Symbol('s'), unreadable]) {
      bindUserCallback('it', () => {
        throw reason;
      })();
      bindUserCallback('it', () => Promise.reject(reason))();
    }
    await eventually(() => warnings.length === 12);
    expect(unhandled).toEqual([]);
  });
});

function fail(): never {
  throw new TypeError('mine');
}

function thenable(then: PropertyDescriptor): object {
  return Object.defineProperty({}, 'then', then);
}
