import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CommandRefusedError, type Engine, type IsolatedRedis, type RedisPool, Registry } from '../../src/index.js';
import { COMMAND_TABLE } from '../../src/pool/command-table.js';
import { useRedis } from '../support/redis.js';
import { REFUSED_METHODS } from './known-commands.js';
import { commandCalls, failure } from './support.js';

const REFUSED = Object.entries(COMMAND_TABLE).flatMap(([name, rule]) =>
  rule.kind === 'refused' ? [{ name, why: rule.why }] : [],
);

/** Arguments with which Redis would execute the command, as far as it knows it. */
const ARGUMENTS: Readonly<Record<string, string[]>> = {
  SELECT: ['3'],
  AUTH: ['default', 'password'],
  HELLO: ['2'],
  PSYNC: ['?', '-1'],
  'SCRIPT DEBUG': ['NO'],
  'CLIENT REPLY': ['OFF'],
  'CLIENT TRACKING': ['ON'],
  'CLIENT CACHING': ['YES'],
  'CLIENT SETNAME': ['stolen'],
  'CLIENT SETINFO': ['LIB-NAME', 'stolen'],
  'CLIENT NO-EVICT': ['ON'],
  'CLIENT NO-TOUCH': ['ON'],
};

const mixed = (text: string) => [...text].map((c, i) => (i % 2 ? c.toLowerCase() : c.toUpperCase())).join('');

/** The ways to write one command. */
const SPELLINGS: readonly [title: string, spell: (words: string[]) => (string | Buffer)[]][] = [
  ['in upper case', (words) => words],
  ['in lower case', (words) => words.map((word) => word.toLowerCase())],
  ['in mixed case', (words) => words.map(mixed)],
  ['as Buffers', (words) => words.map((word) => Buffer.from(word.toLowerCase()))],
];

type Args = (string | Buffer)[];
type Typed = Record<string, (...args: unknown[]) => unknown>;

/** Everything that takes a raw command. */
const PLACES: readonly [title: string, send: (redis: RedisPool, args: Args) => unknown][] = [
  ['sendCommand of the pool', (r, args) => r.sendCommand(args)],
  ['sendCommand of a view', (r, args) => r.withTimeout('1s').sendCommand(args)],
  ['sendCommand of multi()', (r, args) => r.multi().sendCommand(args).exec()],
  ['addCommand of multi()', (r, args) => r.multi().addCommand(args).exec()],
  ['sendCommand of multi() as a pipeline', (r, args) => r.multi().sendCommand(args).execAsPipeline()],
  ['sendCommand in isolated()', (r, args) => r.isolated((own) => own.sendCommand(args))],
  ['sendCommand in transaction()', (r, args) => r.transaction((own) => own.sendCommand(args))],
  ['sendCommand of multi() in isolated()', (r, args) => r.isolated((own) => own.multi().sendCommand(args).exec())],
  ['addCommand of multi() in transaction()', (r, args) => r.transaction((own) => own.multi().addCommand(args).exec())],
  [
    'sendCommand inside a raw MULTI',
    (r, args) =>
      r.isolated(async (own) => {
        await own.sendCommand(['MULTI']);
        return own.sendCommand(args);
      }),
  ],
];

describe('a refused command is never sent', () => {
  const redis = useRedis();
  let engine: Engine<'default'>;
  let pool: RedisPool;

  beforeAll(async () => {
    engine = new Registry().registerRedis(redis().address).validate();
    pool = engine.getRedis();
    // Every connection there will be, made before commands are counted: a handshake sends HELLO.
    await pool.ping();
    await pool.isolated((own) => own.ping());
    return () => engine.close();
  });
  beforeEach(async () => {
    await redis().cli('CONFIG', 'RESETSTAT');
  });

  /** What the server was told to do since the count began, save what the test itself and the giving back of leases do. */
  async function executed(): Promise<string[]> {
    const {
      info: _,
      ping: __,
      multi: ___,
      discard: ____,
      'config|resetstat': _____,
      ...calls
    } = await commandCalls(redis());
    return Object.keys(calls);
  }

  describe.each(PLACES)('%s', (_place, send) => {
    test.each(SPELLINGS)('%s', async (_spelling, spell) => {
      for (const { name, why } of REFUSED) {
        const words = name.split(' ');
        const args = [...spell(words), ...(ARGUMENTS[name] ?? [])];
        const error = (await failure(() => send(pool, args))) as CommandRefusedError;
        expect(error, name).toBeInstanceOf(CommandRefusedError);
        expect(error).toMatchObject({
          command: name,
          code: 'LAGOON_COMMAND_REFUSED',
          message: `${name} is refused: ${why}`,
        });
      }
      expect(await executed()).toEqual([]);
    });
  });

  const SAMPLES: Readonly<Record<string, unknown[]>> = {
    auth: [{ password: 'p' }],
    clientCaching: [true],
    clientNoEvict: [true],
    clientNoTouch: [true],
    clientSetName: ['stolen'],
    clientTracking: [true],
    hello: [2],
    scriptDebug: ['NO'],
    select: [3],
    SELECT: [3],
    AUTH: [{ password: 'p' }],
    CLIENT_SETNAME: ['stolen'],
    HELLO: [2],
  };
  const typedMethods = [...REFUSED_METHODS, 'select', 'reset', 'quit', 'SELECT', 'AUTH', 'CLIENT_SETNAME', 'HELLO'];

  test.each(typedMethods)('by the typed method %s, wherever there is one', async (name) => {
    const attempts: [place: string, owner: unknown, exec: boolean][] = [
      ['pool', pool, false],
      ['multi', pool.multi(), true],
    ];
    const attempt = async (place: string, owner: unknown, exec: boolean) => {
      const method = (owner as Typed)[name];
      if (method === undefined) return;
      const call = async () => {
        const result = await method.call(owner, ...(SAMPLES[name] ?? []));
        return exec ? (result as { exec(): Promise<unknown> }).exec() : result;
      };
      expect(await failure(call), place).toBeInstanceOf(CommandRefusedError);
    };
    for (const [place, owner, exec] of attempts) await attempt(place, owner, exec);
    const inside = async (own: IsolatedRedis) => {
      await attempt('isolated', own, false);
      await attempt('multi in isolated', own.multi(), true);
    };
    await pool.isolated(inside);
    await pool.transaction(inside);
    expect(await executed()).toEqual([]);
  });

  test('and nobody notices the attempts: the next command is where and who it was', async () => {
    expect(await pool.clientGetName()).toBe('lagoon:default');
    expect(await pool.clientInfo()).toMatchObject({ db: 0, resp: 3 });
    expect(await pool.isolated((own) => own.clientInfo())).toMatchObject({ db: 0, resp: 3, name: 'lagoon:default' });
  });
});
