import { describe, expect, test } from 'vitest';
import { ConnectionError, InvalidArgumentError, type RedisPool, Registry, ReplyError } from '../../src/index.js';
import { inOrder, useFakeServers } from '../support/fake-server.js';
import { useRedis } from '../support/redis.js';
import { connectionsOf, failure, usePools } from './support.js';

type Args = (string | Buffer)[];

/** Everything that takes a raw command. */
const PLACES: readonly [title: string, send: (redis: RedisPool, args: Args) => Promise<unknown>][] = [
  ['sendCommand', (r, args) => r.sendCommand(args)],
  ['multi()', async (r, args) => (await r.multi().sendCommand(args).exec())[0]],
  ['a pipeline', (r, args) => r.multi().sendCommand(args).get('k').execAsPipeline()],
  ['isolated()', (r, args) => r.isolated((own) => own.sendCommand(args))],
  [
    'multi() in isolated()',
    async (r, args) => r.isolated(async (own) => (await own.multi().sendCommand(args).exec())[0]),
  ],
];

describe('a command that Lagoon does not know', () => {
  const redis = useRedis();
  const open = usePools(redis);
  const ids = async () => (await connectionsOf(redis())).map(({ id }) => id);

  test.each(PLACES)('has a connection to itself, which is closed afterwards: %s', async (_, send) => {
    const pool = open();
    await pool.get('k');
    const lanes = await ids();
    const error = (await failure(() => send(pool, ['LAGOON.UNKNOWN', 'k']))) as Error;
    expect(error.message).toMatch(/unknown command/);
    expect(pool.stats()).toMatchObject({ connections: 1, reconnects: 0 });
    expect(await ids()).toEqual(lanes);
  });

  test('leaves those around it in a transaction and in a pipeline their replies', async () => {
    const pool = open();
    const inMulti = pool.multi().set('k', '1').sendCommand(['PFDEBUG', 'ENCODING', 'k']).get('k').exec();
    expect(await failure(inMulti)).toMatchObject({ replies: ['OK', expect.any(Error), '1'] });
    const inDebug = pool.multi().set('k', '2').sendCommand(['DEBUG', 'STRINGMATCH-LEN', '5', '*']).get('k').exec();
    expect(await failure(inDebug)).toBeInstanceOf(Error);
    const inPipeline = pool.multi().set('k', '3').sendCommand(['LAGOON.UNKNOWN']).get('k').execAsPipeline();
    expect(await failure(inPipeline)).toMatchObject({ replies: ['OK', expect.any(ReplyError), '3'] });
  });

  test('counts its wait for a connection, and ends with its caller', async () => {
    const pool = open({ pool: { max: 2, acquireTimeout: 200 } });
    await pool.isolated(async () => {
      const error = await failure(() => pool.sendCommand(['LAGOON.UNKNOWN']));
      expect((error as Error).name).toBe('AcquireTimeoutError');
    });
    const aborted = AbortSignal.abort(new Error('enough'));
    expect(((await failure(() => pool.withAbortSignal(aborted).sendCommand(['LAGOON.UNKNOWN']))) as Error).name).toBe(
      'AbortError',
    );
  });

  test('shares a lane if the configuration declares it', async () => {
    const pool = open({ commands: { 'lagoon.unknown': 'shared' } });
    /** Connections that the server ever took; asking is one more. */
    const opened = async () =>
      Number(/total_connections_received:(\d+)/.exec(String(await redis().cli('INFO', 'stats')))?.[1]);
    await pool.get('k');
    const before = await opened();
    for (const [, send] of PLACES.slice(0, 3)) await failure(() => send(pool, ['Lagoon.Unknown', 'k']));
    expect(await opened()).toBe(before + 1);
    await failure(() => pool.sendCommand(['LAGOON.OTHER', 'k']));
    expect(await opened()).toBe(before + 3);
  });
});

describe('a name that Redis reads otherwise', () => {
  const redis = useRedis();
  const open = usePools(redis);

  const NAMES: readonly Args[] = [
    ['SELECT\0', '3'],
    ['SELECT\0x', '3'],
    ['MULTI\x001'],
    ['GET\0', 'k'],
    [Buffer.from('select\0'), '3'],
    ['CLIENT', 'REPLY\0', 'OFF'],
    ['client', Buffer.from('reply\0'), 'OFF'],
    ['SCRIPT', 'DEBUG\0', 'YES'],
    ['XREAD', 'BLOCK\0', '0', 'STREAMS', 's', '$'],
    ['XREAD', 'COUNT', '1', 'block\0', '0', 'STREAMS', 's', '$'],
    ['XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK\0', '0', 'STREAMS', 's', '>'],
    ['XREAD', 'STREAMS\0', 's', '$'],
    ['ſELECT', '3'],
    ['SEL\u0130CT', '3'],
    ['SELECT\t', '3'],
    ['SELECT 3'],
    ['GET\n', 'k'],
    ['', 'k'],
    ['CLIENT', ''],
  ];

  test.each(PLACES)('is refused before anything is sent: %s', async (_, send) => {
    const pool = open();
    for (const args of NAMES) {
      const error = await failure(() => send(pool, args));
      expect(error, JSON.stringify(args)).toBeInstanceOf(InvalidArgumentError);
      expect((error as Error).message).toMatch(/Argument \d of the command is no name of a/);
    }
    expect(await pool.clientInfo()).toMatchObject({ db: 0 });
  });

  test('may stand where a name does not: in groups, consumers, keys and values', async () => {
    const pool = open();
    const odd = 'bl\0ck é';
    await pool.sendCommand(['XGROUP', 'CREATE', odd, odd, '$', 'MKSTREAM']);
    expect(await pool.sendCommand(['XREADGROUP', 'GROUP', odd, odd, 'COUNT', '1', 'STREAMS', odd, '>'])).toBeNull();
    expect(await pool.sendCommand(['SET', odd, odd])).toBe('OK');
    expect(await pool.sendCommand(['get', odd])).toBe(odd);
  });
});

describe('a timeout that Lagoon cannot read', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test.each([['0x1p3'], ['1e1'], ['0x10'], ['-0.0001']])('%s keeps no neighbour waiting', async (timeout) => {
    const pool = open({ commandTimeout: 1_000 });
    const key = `list ${timeout}`;
    const popped = pool.sendCommand(['BLPOP', key, timeout]);
    expect(await pool.set('neighbour', 'value')).toBe('OK');
    await pool.rPush(key, 'element');
    expect(await popped).toEqual([key, 'element']);
  });
});

describe('a blocking command in a pipeline', () => {
  const redis = useRedis();
  const open = usePools(redis);

  test('keeps no neighbour waiting, and its replies are in order', async () => {
    const pool = open({ commandTimeout: 1_000 });
    const replies = pool.multi().set('before', '1').blPop('queue', 0).get('before').execAsPipeline();
    expect(await pool.set('neighbour', 'value')).toBe('OK');
    await pool.rPush('queue', 'element');
    expect(await replies).toEqual(['OK', { key: 'queue', element: 'element' }, '1']);
  });

  test('ends when its caller aborts', async () => {
    const view = open().withAbortSignal(AbortSignal.timeout(50));
    const error = await failure(() => view.multi().blPop('nothing', 0).execAsPipeline());
    expect((error as Error).name).toBe('AbortError');
  });
});

describe('a command that gets no reply', () => {
  const startFake = useFakeServers();

  test('is told so at once, and its connection is given up', async () => {
    const fake = await startFake((args, connection) => (args[0] === 'ODD' ? '' : inOrder(args, connection)));
    const engine = new Registry().registerRedis(fake.address, 0, 'default', { commandTimeout: 60_000 }).validate();
    const error = await failure(() => engine.getRedis().sendCommand(['ODD']));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ mayHaveBeenExecuted: true });
    await engine.close({ timeout: 100 });
  });
});
