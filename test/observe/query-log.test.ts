import { channel } from 'node:diagnostics_channel';
import { format } from 'node:util';
import createDebug from 'debug';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvalidArgumentError, ReplyError } from '../../src/errors.js';
import { COMMAND_CHANNEL, type QueryEvent, type QueryFilter, QueryLog } from '../../src/observe/query-log.js';
import { eventually } from '../support/eventually.js';

const commands = channel(COMMAND_CHANNEL);
const writeDebug = createDebug.log;
let debugLines: string[] = [];
let queries: QueryLog;

beforeEach(() => {
  debugLines = [];
  createDebug.log = (...parts: unknown[]) => void debugLines.push(format(...parts));
  queries = new QueryLog();
});
afterEach(() => {
  createDebug.disable();
  createDebug.log = writeDebug;
});

/** What a handler with this filter is called for, out of a few commands. */
function seenBy(filter?: QueryFilter): string[] {
  const seen: string[] = [];
  queries.register(({ pool, args }) => void seen.push([pool, ...args].join(' ')), filter);
  queries.record('default', ['GET', 'a'], 100);
  queries.record('default', ['client', 'id'], 5_000);
  queries.record('test', ['client', 'info'], 200.5, new ReplyError('ERR no'));
  return seen;
}

describe('active', () => {
  it('is false until a handler is registered, and again once it is not', () => {
    expect(queries.active).toBe(false);
    const unregister = queries.register(() => {});
    const other = queries.register(() => {});
    expect(queries.active).toBe(true);
    unregister();
    unregister();
    expect(queries.active).toBe(true);
    other();
    expect(queries.active).toBe(false);
  });

  it('is true while the diagnostics channel has a subscriber', () => {
    const subscriber = () => {};
    commands.subscribe(subscriber);
    expect(queries.active).toBe(true);
    commands.unsubscribe(subscriber);
    expect(queries.active).toBe(false);
  });

  it('is true while the debug namespace is enabled, other namespaces aside', () => {
    createDebug.enable('lagoon:pool,lagoon:observe');
    expect(queries.active).toBe(false);
    createDebug.enable('lagoon:*');
    expect(queries.active).toBe(true);
    createDebug.disable();
    expect(queries.active).toBe(false);
  });
});

describe('an event', () => {
  it('tells the pool, the operation, the redacted command, the microseconds and the error', () => {
    const events: QueryEvent[] = [];
    queries.register((event) => events.push(event));
    const error = new ReplyError('OOM command not allowed');
    queries.record('default', ['set', 'key', Buffer.from('secret'), 'EX', '30'], 1_234.5);
    queries.record('test', ['CONFIG', 'SET', 'requirepass', 'secret'], 7, error);
    expect(events).toEqual([
      { pool: 'default', operation: 'SET', args: ['set', 'key', '?', 'EX', '30'], durationUs: 1_234.5 },
      { pool: 'test', operation: 'CONFIG SET', args: ['CONFIG', 'SET', 'requirepass', '?'], durationUs: 7, error },
    ]);
    expect('error' in (events[0] as QueryEvent)).toBe(false);
  });

  it('is one frozen object for all handlers and the channel', () => {
    const events: unknown[] = [];
    const subscriber = (event: unknown) => events.push(event);
    commands.subscribe(subscriber);
    queries.register((event) => events.push(event));
    queries.register((event) => events.push(event));
    queries.record('default', ['GET', 'a'], 1);
    commands.unsubscribe(subscriber);
    expect(events).toHaveLength(3);
    expect(new Set(events).size).toBe(1);
    expect(Object.isFrozen(events[0]) && Object.isFrozen((events[0] as QueryEvent).args)).toBe(true);
  });

  it('is printed for DEBUG=lagoon:command, without the value and without what the reply quotes', () => {
    createDebug.enable('lagoon:command');
    queries.record('default', ['SET', 'key', 'hunter2'], 12.7);
    queries.record(
      'default',
      ['FOO', 'hunter2'],
      3,
      new ReplyError("ERR unknown command 'FOO', with args beginning with: 'hunter2'"),
    );
    expect(debugLines).toHaveLength(2);
    expect(debugLines[0]).toContain('default: SET key ? (13 µs)');
    expect(debugLines[1]).toContain('default: FOO ? (3 µs) failed: ERR unknown command');
    expect(debugLines.join()).not.toContain('hunter2');
  });
});

describe('a filter', () => {
  it.each<[string, QueryFilter | undefined, string[]]>([
    ['none', undefined, ['default GET a', 'default client id', 'test client info']],
    ['empty', {}, ['default GET a', 'default client id', 'test client info']],
    ['pools', { pools: ['test', 'other'] }, ['test client info']],
    ['an operation in any case', { operations: ['get'] }, ['default GET a']],
    ['a command stands for its subcommands', { operations: ['Client'] }, ['default client id', 'test client info']],
    ['a subcommand', { operations: ['client id'] }, ['default client id']],
    ['a duration, bound included', { minDurationUs: 200.5 }, ['default client id', 'test client info']],
    ['errors', { errorsOnly: true }, ['test client info']],
    ['not errors only', { errorsOnly: false }, ['default GET a', 'default client id', 'test client info']],
    ['all conditions at once', { pools: ['default'], minDurationUs: 200 }, ['default client id']],
    ['a function', ({ durationUs }) => durationUs < 150, ['default GET a']],
  ])('%s', (_, filter, expected) => {
    expect(seenBy(filter)).toEqual(expected);
  });

  it.each<[string, unknown, RegExp]>([
    ['a text', 'GET', /must be an object or a function, got "GET"/],
    ['null', null, /got null/],
    ['a list', ['GET'], /got \["GET"\]/],
    [
      'a misspelt property',
      { pool: ['a'] },
      /no property "pool"; did you mean "pools"\? \(allowed: pools, operations, minDurationUs, errorsOnly\)/,
    ],
    ['a property of every object', { toString: 1 }, /no property "toString"/],
    ['no name at all', { pools: [] }, /at least one name/],
    ['a name that is none', { operations: ['GET', 5] }, /at least one name.*got \["GET",5\]/],
    ['one name alone', { operations: 'GET' }, /got "GET"/],
    ['a negative duration', { minDurationUs: -1 }, /0 or more, got -1/],
    ['no number', { minDurationUs: Number.NaN }, /0 or more/],
    ['a duration text', { minDurationUs: '1s' }, /0 or more, got "1s"/],
    ['no flag', { errorsOnly: 1 }, /true or false, got 1/],
  ])('%s is refused', (_, filter, message) => {
    expect(() => queries.register(() => {}, filter as QueryFilter)).toThrow(InvalidArgumentError);
    expect(() => queries.register(() => {}, filter as QueryFilter)).toThrow(message);
    expect(queries.active).toBe(false);
  });

  it.each([undefined, null, {}, 'log'])('a handler that is %j is refused', (handler) => {
    expect(() => queries.register(handler as never)).toThrow(/A query handler must be a function/);
  });
});

describe('a handler that fails', () => {
  const warnings: (Error & { code?: string })[] = [];
  const onWarning = (warning: Error) => {
    if (warning.name === 'LagoonWarning') warnings.push(warning);
  };
  beforeEach(() => {
    warnings.length = 0;
    process.on('warning', onWarning);
  });
  afterEach(() => void process.off('warning', onWarning));

  it('harms neither the command nor the other handlers, and warns once', async () => {
    createDebug.enable('lagoon:observe');
    let called = 0;
    queries.register(() => {
      throw new TypeError('broken');
    });
    queries.register(
      () => expect.unreachable(),
      () => {
        throw new RangeError('broken too');
      },
    );
    queries.register(() => called++);
    for (let i = 0; i < 3; i++) queries.record('default', ['GET', 'a'], 1);
    expect(called).toBe(3);
    expect(debugLines.filter((line) => line.includes('TypeError: broken'))).toHaveLength(3);
    expect(debugLines.filter((line) => line.includes('RangeError: broken too'))).toHaveLength(3);
    await eventually(() => warnings.length === 2);
    expect(warnings[0]).toMatchObject({
      code: 'LAGOON_QUERY_HANDLER',
      message: expect.stringContaining('TypeError: broken'),
    });
  });

  it('leaves no unhandled rejection if it is asynchronous', async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    queries.register(async () => {
      throw new Error('later');
    });
    queries.record('default', ['GET', 'a'], 1);
    await eventually(() => warnings.some(({ message }) => message.includes('Error: later')));
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).toEqual([]);
  });

  it('may throw what is no error', async () => {
    queries.register(() => {
      throw undefined;
    });
    queries.record('default', ['GET', 'a'], 1);
    await eventually(() => warnings.length === 1);
  });
});

describe('registration', () => {
  it('may change while an event goes round: who is new waits for the next', () => {
    const seen: string[] = [];
    const unregister = queries.register(() => {
      seen.push('first');
      unregister();
      queries.register(() => seen.push('new'));
    });
    queries.register(() => seen.push('second'));
    queries.record('default', ['GET', 'a'], 1);
    expect(seen).toEqual(['first', 'second']);
    queries.record('default', ['GET', 'a'], 1);
    expect(seen).toEqual(['first', 'second', 'second', 'new']);
  });

  it('of one function twice is two registrations', () => {
    let called = 0;
    const handler = () => called++;
    const unregister = queries.register(handler);
    queries.register(handler);
    unregister();
    queries.record('default', ['GET', 'a'], 1);
    expect(called).toBe(1);
  });
});
