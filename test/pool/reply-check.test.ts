import { afterEach, describe, expect, test } from 'vitest';
import { ConnectionError, type Engine, type RedisPool, Registry, ReplyError } from '../../src/index.js';
import { eventually } from '../support/eventually.js';
import { type Answer, bulk, inOrder, useFakeServers } from '../support/fake-server.js';
import { failure } from './support.js';

describe('a lane whose replies do not belong to its commands', () => {
  const startFake = useFakeServers();
  let engine: Engine<'default'> | undefined;

  afterEach(() => engine?.close({ timeout: 100 }));

  /** A pool on a server that answers GET with the name of its key, unless `answer` says otherwise. */
  async function poolOn(answer: Answer, commandTimeout = 1_000): Promise<RedisPool> {
    const fake = await startFake((args, connection) => {
      const own = answer(args, connection) ?? inOrder(args, connection);
      return own ?? (args[0] === 'GET' ? bulk(`value of ${args[1]}`) : '+OK\r\n');
    });
    engine = new Registry().registerRedis(fake.address, 0, 'default', { commandTimeout }).validate();
    return engine.getRedis();
  }

  /** Reads, with always some reads in flight, until the lane was replaced. */
  async function readUntilReplaced(redis: RedisPool): Promise<void> {
    const reader = async (key: string) => {
      while (redis.stats().reconnects === 0) await redis.get(key).catch(() => undefined);
    };
    await Promise.all(['a', 'b', 'c'].map(reader));
  }

  test.each([
    ['gave no reply to one of them', ''],
    ['gave two replies to one of them', '+one\r\n+two\r\n'],
  ])('is closed under load, where the server %s, and then all goes well', async (_, reply) => {
    let lost = false;
    const redis = await poolOn((args) => {
      if (args[0] !== 'SET' || lost) return undefined;
      lost = true;
      return reply;
    });
    const set = redis.set('key', 'value').catch(() => undefined);
    await readUntilReplaced(redis);
    await set;
    for (const key of ['x', 'y', 'z']) expect(await redis.get(key)).toBe(`value of ${key}`);
  });

  test('is closed before the timeout of the command that lacks its reply, which nobody else may get', async () => {
    const redis = await poolOn((args) => (args[1] === 'lost' ? '' : undefined), 5_000);
    const [first, lost, last] = await Promise.allSettled([redis.get('first'), redis.get('lost'), redis.get('last')]);
    expect(first).toMatchObject({ value: 'value of first' });
    // What came instead of its reply cannot be told from it; the last one is owed one, and is told so.
    expect(lost.status).toBe('fulfilled');
    expect(last).toMatchObject({ reason: expect.any(ConnectionError) });
    expect(await redis.get('next')).toBe('value of next');
  });

  test('is left alone while the server is only slow, as often as it is looked at', async () => {
    const held: string[] = [];
    const redis = await poolOn((args, { socket }) => {
      const own = args[1] === 'slow' ? bulk('value of slow') : inOrder(args, { socket, commands: 0 });
      if (args[1] !== 'slow' && held.length === 0) return undefined;
      held.push(own ?? '');
      // The second that comes is the PING of the check: a server in order answers it behind what it is slow with.
      if (held.length > 1) setImmediate(() => socket.write(held.splice(0).join('')));
      return '';
    });
    expect(await redis.get('slow')).toBe('value of slow');
    expect(await redis.get('next')).toBe('value of next');
    expect(redis.stats().reconnects).toBe(0);
  });

  test('is not asked again by a user who may not use PING', async () => {
    let pings = 0;
    const redis = await poolOn(([name]) => {
      if (name !== 'PING') return undefined;
      pings++;
      return "-NOPERM this user has no permissions to run the 'ping' command\r\n";
    }, 250);
    const until = performance.now() + 500;
    while (performance.now() < until) await Promise.all([redis.get('a'), redis.get('b')]);
    expect(pings).toBeLessThanOrEqual(1);
  });

  test.each([
    [
      'EXEC has more replies than there were commands',
      ([name = '']: string[]) => (name === 'EXEC' ? '*3\r\n+a\r\n+b\r\n+c\r\n' : undefined),
    ],
    ['EXEC has fewer', ([name = '']: string[]) => (name === 'EXEC' ? '*1\r\n+a\r\n' : undefined)],
    ['EXEC is no array', ([name = '']: string[]) => (name === 'EXEC' ? '+OK\r\n' : undefined)],
    ['a command is not queued', ([name = '']: string[]) => (name === 'GET' ? bulk('a value') : undefined)],
    ['MULTI is not taken', ([name = '']: string[]) => (name === 'MULTI' ? bulk('a value') : undefined)],
  ])('is closed where %s', async (_, answer) => {
    const queued: Answer = (args, connection) =>
      answer(args) ?? (['GET', 'SET'].includes(args[0] ?? '') ? '+QUEUED\r\n' : inOrder(args, connection));
    const redis = await poolOn(queued);
    const neighbour = failure(() => redis.multi().get('x').get('y').exec());
    const error = await failure(() => redis.multi().get('a').set('b', 'c').exec());
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).not.toBeInstanceOf(ReplyError);
    expect(await neighbour).toBeInstanceOf(ConnectionError);
    await eventually(() => expect(redis.stats().reconnects).toBeGreaterThan(0));
  });
});
