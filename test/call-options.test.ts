import { describe, expect, test } from 'vitest';
import { findRedisServer, startCluster, startRedis, startSentinel } from '../src/testing/index.js';
import { engineOn } from './support/engine.js';
import { useRedis } from './support/redis.js';

const redis = useRedis();
const engine = () => engineOn(redis().address);
const pool = () => engine().getRedis();
const nothing = () => {};

/** A call with options that its types refuse. */
type Call = (options: never) => unknown;

describe('an option that a call does not know is refused, with the nearest name', () => {
  test.each<[string, object, string, Call]>([
    ['connect', { timeOut: '1s' }, 'timeout', (options) => engine().connect(options)],
    ['close', { timeoutt: '1s' }, 'timeout', (options) => engine().close(options)],
    ['health', { timout: '1s' }, 'timeout', (options) => engine().health(options)],
    ['transaction', { watches: 'k' }, 'watch', (options) => pool().transaction(() => 1, options)],
    ['isolated', { keys: 'k' }, 'key', (options) => pool().isolated(() => 1, options)],
    ['subscribe', { buffer: true }, 'buffers', (options) => pool().subscribe('a', nothing, options)],
    ['pSubscribe', { onReconnect: nothing }, 'onResubscribe', (options) => pool().pSubscribe('a', nothing, options)],
    ['sSubscribe', { bufferMode: true }, 'buffers', (options) => pool().sSubscribe('a', nothing, options)],
    ['startRedis', { prt: 1 }, 'port', (options) => startRedis(options)],
    ['startCluster', { replicas: 1 }, 'replicasPerMaster', (options) => startCluster(options)],
    ['startSentinel', { sentinel: 3 }, 'sentinels', (options) => startSentinel(options)],
    ['tls of startRedis', { tls: { certificate: '', crt: '' } }, '', (options) => startRedis(options)],
    ['findRedisServer', { instal: true }, 'install', (options) => findRedisServer(options)],
  ])('%s', async (call, options, nearest, make) => {
    const refused = expect(async () => make(options as never)).rejects;
    await refused.toThrow(`is not an option of ${call}${nearest && `; did you mean "${nearest}"?`}`);
    if (!call.includes(' '))
      await expect(async () => make(null as never)).rejects.toThrow(`${call} takes an object with options`);
  });

  test('registerQueryLogger', () => {
    const filter = { minDurationMs: 5 } as never;
    expect(() => engine().registerQueryLogger(nothing, filter)).toThrow('did you mean "minDurationUs"?');
  });
});

describe('a call in another shape is refused, and shown right', () => {
  test.each<[string, string, () => unknown]>([
    [
      'subscribe with a boolean',
      'subscribe(channel, listener, { buffers: true })',
      () => pool().subscribe('a', nothing, true as never),
    ],
    [
      'pSubscribe with a boolean',
      'pSubscribe(channel, listener, { buffers: true })',
      () => pool().pSubscribe('a', nothing, true as never),
    ],
    [
      'subscribe with the listener first',
      'subscribe(channel, listener)',
      () => pool().subscribe(nothing as never, 'a' as never),
    ],
    ['subscribe without a listener', 'subscribe(channel, listener)', () => pool().subscribe('a', undefined as never)],
    [
      'subscribe with buffers of another kind',
      'buffers of subscribe must be true or false',
      () => pool().subscribe('a', nothing, { buffers: 'yes' } as never),
    ],
    [
      'transaction with the options first',
      'transaction(async (redis) => …, options)',
      () => pool().transaction({ watch: 'a' } as never, nothing as never),
    ],
    ['isolated without a function', 'isolated(async (redis) => …, options)', () => pool().isolated(undefined as never)],
  ])('%s', async (_what, message, call) => {
    await expect(async () => call()).rejects.toMatchObject({
      code: 'LAGOON_INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    });
  });
});
