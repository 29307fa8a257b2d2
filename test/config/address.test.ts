import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatEndpoint, parseAddress, parseNode, redactAddress } from '../../src/config/address.js';

const tcp = (host: string, port: number) => ({ endpoint: { host, port } });

describe('an address', () => {
  test.each([
    ['localhost', tcp('localhost', 6379)],
    ['localhost:6380', tcp('localhost', 6380)],
    ['my_redis-1.internal:1', tcp('my_redis-1.internal', 1)],
    ['10.0.0.1:65535', tcp('10.0.0.1', 65535)],
    ['localhost:6379:3', { ...tcp('localhost', 6379), database: 3 }],
    ['localhost:6379:0', { ...tcp('localhost', 6379), database: 0 }],
    ['[::1]', tcp('::1', 6379)],
    ['[::1]:7000', tcp('::1', 7000)],
    ['[fe80::1%eth0]:7000:2', { ...tcp('fe80::1%eth0', 7000), database: 2 }],
    ['/run/redis.sock', { endpoint: { path: '/run/redis.sock' } }],
    ['/run/redis.sock:4', { endpoint: { path: '/run/redis.sock' }, database: 4 }],
    ['/run/a:b/redis.sock', { endpoint: { path: '/run/a:b/redis.sock' } }],
    ['unix:/run/redis.sock', { endpoint: { path: '/run/redis.sock' } }],
    ['unix:///run/redis.sock:1', { endpoint: { path: '/run/redis.sock' }, database: 1 }],
    ['redis://localhost', { ...tcp('localhost', 6379), tls: false }],
    ['redis://localhost/', { ...tcp('localhost', 6379), tls: false }],
    ['redis://localhost:7000/5', { ...tcp('localhost', 7000), tls: false, database: 5 }],
    ['rediss://localhost:7000', { ...tcp('localhost', 7000), tls: true }],
    ['REDISS://localhost', { ...tcp('localhost', 6379), tls: true }],
    ['redis://[::1]:7000/1', { ...tcp('::1', 7000), tls: false, database: 1 }],
    ['redis://app:s3%40cret@h/1', { ...tcp('h', 6379), tls: false, username: 'app', password: 's3@cret', database: 1 }],
    ['redis://:pw@h', { ...tcp('h', 6379), tls: false, password: 'pw' }],
    ['redis://app@h', { ...tcp('h', 6379), tls: false, username: 'app' }],
    ['redis://:@h', { ...tcp('h', 6379), tls: false }],
  ])('%s is read', (text, expected) => {
    // toEqual takes a property that is undefined for one that is not there.
    expect(parseAddress(text)).toEqual(expected);
  });

  test.each([
    ['', /must be host:port/],
    [' localhost', /must be host:port/],
    ['local host:1', /must be host:port/],
    [':6379', /must be host:port/],
    ['localhost:', /port must be/],
    ['localhost:0', /port must be a number from 1 to 65535/],
    ['localhost:65536', /port must be/],
    ['localhost:port', /port must be/],
    ['localhost:+1', /port must be/],
    ['localhost:6379:', /database must be/],
    ['localhost:6379:one', /database must be/],
    ['localhost:6379:-1', /database must be/],
    ['localhost:6379:99999999999', /database must be a number from 0 to 2147483647/],
    ['localhost:6379:1:2', /must be host:port/],
    ['::1', /in brackets: \[::1\]:6379/],
    ['[::1', /must be host:port/],
    ['[localhost]:1', /not an IPv6 address/],
    ['/', /absolute path/],
    ['unix:redis.sock', /absolute path/],
    ['unix://redis.sock', /absolute path/],
    ['./redis.sock', /must be host:port/],
    ['http://localhost', /redis:\/\/ or rediss:\/\/ URL/],
    ['app:pw@localhost:6379', /credentials belong in "username" and "password"/],
    ['redis://', /redis:\/\/user:password@host:port/],
    ['redis:///3', /redis:\/\/user:password@host:port/],
    ['redis://:6379', /redis:\/\/user:password@host:port/],
    ['redis://h:0', /port must be/],
    ['redis://h:99999', /redis:\/\/user:password@host:port/],
    ['redis://h/one', /database number/],
    ['redis://h/0/1', /database number/],
    ['redis://h/99999999999', /database must be/],
    ['redis://h?db=1', /redis:\/\/user:password@host:port/],
    ['redis://u:p#w@h', /write .*# .*as .*%23/],
    ['redis://u:p/w@h', /write \/ .*as %2F/],
    ['redis://u:p w@h', /redis:\/\/user:password@host:port/],
    ['redis://u:100%@h', /%25/],
    ['redis://a%20b', /host/],
  ])('%j is refused, and the message says what to write', (text, why) => {
    expect(parseAddress(text)).toEqual({ problem: expect.stringMatching(why) });
  });

  test('any text is either an address or a problem, never an exception', () => {
    const prefix = fc.constantFrom(
      '',
      '/',
      'unix:',
      'redis://',
      'rediss://',
      'redis://u:p@',
      '[',
      'localhost:',
      'h:1:',
    );
    fc.assert(
      fc.property(prefix, fc.string({ unit: 'binary' }), (start, rest) => {
        const parsed = parseAddress(start + rest);
        expect('problem' in parsed || 'endpoint' in parsed).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('any user name and password survive in a URL', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(text, text, (username, password) => {
        const url = `redis://${encodeURIComponent(username)}:${encodeURIComponent(password)}@h:1/2`;
        expect(parseAddress(url)).toEqual({ ...tcp('h', 1), tls: false, database: 2, username, password });
      }),
    );
  });

  test.each(['localhost:6379', '[::1]:7000', '/run/redis.sock'])('%s is written as it is read', (text) => {
    const { endpoint } = mustParse(text);
    expect(formatEndpoint(endpoint)).toBe(text);
  });
});

describe('a node of a cluster or a sentinel', () => {
  test('is host:port, with the port that is usual there', () => {
    expect(parseNode('10.0.0.1:7000', 6379)).toEqual(tcp('10.0.0.1', 7000));
    expect(parseNode('10.0.0.1', 26379)).toEqual(tcp('10.0.0.1', 26379));
    expect(parseNode('[::1]', 26379)).toEqual(tcp('::1', 26379));
  });

  test.each(['redis://h', '/run/redis.sock', 'unix:/run/redis.sock', 'h:1:0', 'u:p@h:1'])('%s is refused', (text) => {
    expect(parseNode(text, 6379)).toEqual({ problem: expect.stringContaining('a node is host:port') });
  });
});

describe('a redacted address', () => {
  test.each([
    ['localhost:6379:3', 'localhost:6379:3'],
    ['redis://localhost:6379/3', 'redis://localhost:6379/3'],
    ['redis://app:hunter2@localhost:6379/3', 'redis://<redacted>@localhost:6379/3'],
    ['redis://app:hunt@er2@localhost', 'redis://<redacted>@localhost'],
    ['app:hunter2@localhost', '<redacted>@localhost'],
    ['redis://localhost?password=hunter2', 'redis://localhost…'],
    ['localhost:hunter2', 'localhost…'],
    ['localhost:6379:hunter2', 'localhost:6379…'],
    ['localhost:6379hunter2', 'localhost…'],
    ['/run/redis.sock:3', '/run/redis.sock:3'],
    ['[::1]:6379', '[::1]:6379'],
  ])('%s is shown as %s', (text, shown) => {
    expect(redactAddress(text)).toBe(shown);
  });

  test('never holds what stands before the last @', () => {
    const secret = fc.string({ unit: 'grapheme', minLength: 6 }).map((text) => `hunter2${text}`);
    const around = fc.constantFrom('redis://u:', 'redis://', 'rediss://:', '', 'u:', 'http://', 'unix:');
    fc.assert(
      fc.property(around, secret, (start, password) => {
        expect(redactAddress(`${start}${password}@localhost:6379/0`)).not.toContain('hunter2');
      }),
    );
  });
});

function mustParse(text: string) {
  const parsed = parseAddress(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed;
}
