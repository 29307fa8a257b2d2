import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer, type Server } from 'node:net';
import { inspect } from 'node:util';
import createDebug from 'debug';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  COMMAND_CHANNEL,
  defineScript,
  type Engine,
  LagoonError,
  Registry,
  TransactionError,
} from '../../src/index.js';
import { redactCommand } from '../../src/observe/redact.js';
import { lines, secretSamples } from '../observe/command-samples.js';
import { useRedis } from '../support/redis.js';

/** Runs of so many characters of a secret are looked for; shorter ones are found by chance. */
const RUN = 6;
const CANARIES: readonly (string | Buffer)[] = [
  'canary-9f8e7d6c5b4a',
  Buffer.from('"can\'ary"\\9f8e \x00\xff7d6c5b4a', 'latin1'),
  `kanärienvogel-${'ü€😀'.repeat(60)}`,
];

/** What ends, stops or reconfigures the server, keeps others waiting, or has its own rules on a shared connection. */
const LEFT_OUT = new Set(
  `SHUTDOWN DEBUG FAILOVER REPLICAOF SLAVEOF MIGRATE REPLCONF PSYNC SYNC CLUSTER MONITOR CLIENT|PAUSE CLIENT|KILL CLIENT|REPLY
  CONFIG|SET CONFIG|REWRITE SAVE BGSAVE BGREWRITEAOF ACL|SAVE SUBSCRIBE PSUBSCRIBE SSUBSCRIBE WAIT WAITAOF`.split(
    /\s+/,
  ),
);

interface Argument {
  readonly type: string;
  readonly token?: string;
  readonly arguments?: readonly Argument[];
}

interface Documentation {
  readonly arguments?: readonly Argument[];
  readonly subcommands?: Readonly<Record<string, Documentation>>;
}

/** A word for an argument as COMMAND DOCS describes it. */
function wordsOf({ type, token, arguments: parts = [] }: Argument): string[] {
  const before = token === undefined || token === '' || type === 'pure-token' ? [] : [token];
  if (type === 'pure-token') return [token ?? ''];
  if (type === 'oneof') return [...before, ...parts.slice(0, 1).flatMap(wordsOf)];
  if (type === 'block') return [...before, ...parts.flatMap(wordsOf)];
  const isNumber = ['integer', 'double', 'unix-time'].includes(type);
  return [...before, isNumber ? '1' : type === 'key' ? 'key' : 'word'];
}

function linesOf(name: string, { arguments: parts = [], subcommands = {} }: Documentation): string[][] {
  const own =
    parts.length > 0 || Object.keys(subcommands).length === 0 ? [[...name.split('|'), ...parts.flatMap(wordsOf)]] : [];
  return [...own, ...Object.entries(subcommands).flatMap(([sub, docs]) => linesOf(sub, docs))];
}

/** The line with a canary in each place in which it is hidden, and in all of them. */
function withCanaries(words: readonly string[], canary: string | Buffer): (string | Buffer)[][] {
  const places = words.flatMap((_, i) => {
    const line = words.map((word, at) => (at === i ? canary : word));
    return i > 0 && redactCommand(line).args[i] === '?' ? [i] : [];
  });
  const each = places.map((place) => words.map((word, i) => (i === place ? canary : word)));
  return places.length > 1 ? [...each, words.map((word, i) => (places.includes(i) ? canary : word))] : each;
}

const isLeftOut = ([name = '', sub = '']: readonly string[]) =>
  LEFT_OUT.has(name.toUpperCase()) || LEFT_OUT.has(`${name}|${sub}`.toUpperCase());

/** Everything that an engine tells while `work` goes on. */
async function everythingTold(engine: Engine, work: () => Promise<void>): Promise<string[]> {
  const told: string[] = [];
  // Every listener gets the same event.
  const seen = new WeakSet();
  const event = (value: object) => {
    if (seen.has(value)) return;
    seen.add(value);
    told.push(inspect(value, { depth: 9 }), JSON.stringify(value));
  };
  const published = (message: unknown) => event(message as object);
  const warning = (error: Error) => void told.push(inspect(error));
  const stopLog = engine.registerQueryLogger(event);
  subscribe(COMMAND_CHANNEL, published);
  process.on('warning', warning);
  createDebug.log = (...line: unknown[]) => void told.push(line.map(String).join(' '));
  createDebug.enable('lagoon:*');
  try {
    await work();
    event(await engine.health());
    for (const thing of [engine, engine.getRedis(), engine.getRedis().getPoolConfig(), engine.getRedis().stats()])
      event(thing);
    // Warnings are told in a later turn.
    await new Promise(setImmediate);
  } finally {
    createDebug.disable();
    process.off('warning', warning);
    unsubscribe(COMMAND_CHANNEL, published);
    stopLog();
  }
  return told;
}

/** An error in every way in which it may come into a log. */
function textsOf(error: unknown): string[] {
  const texts = [inspect(error, { depth: 9, showHidden: false }), JSON.stringify(error) ?? ''];
  for (let cause = error; cause instanceof Error; cause = cause.cause) texts.push(cause.message, String(cause.stack));
  if (error instanceof TransactionError)
    texts.push(...error.replies.filter((one) => one instanceof Error).flatMap(textsOf));
  return texts;
}

/** The forms in which a secret could be read: as text, and as servers escape it. */
function formsOf(secret: string | Buffer): string[] {
  const bytes = Buffer.from(secret as string);
  return [bytes.toString(), inspect(bytes.toString()), bytes.toString('latin1'), JSON.stringify(bytes.toString())];
}

/** What is around each run of the secret in texts. */
function leaks(texts: readonly string[], secret: string | Buffer): string[] {
  const found = new Set<string>();
  const runs = new Set(
    formsOf(secret).flatMap((form) =>
      form.length < RUN ? [form] : Array.from({ length: form.length - RUN + 1 }, (_, i) => form.slice(i, i + RUN)),
    ),
  );
  const text = [...new Set(texts)].join('\n');
  for (const run of runs) {
    const at = text.indexOf(run);
    const isWord = run.length >= RUN || !/\w/.test(`${text[at - 1]}${text[at + run.length]}`);
    if (at >= 0 && isWord) found.add(text.slice(Math.max(0, at - 60), at + 60));
  }
  return [...found].slice(0, 20);
}

const caught = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const NAMES = ['pool', 'multi', 'pipeline', 'isolated'] as const;

describe('a canary in every place of every command', () => {
  const server = useRedis();
  let engine: Engine;
  let samples: string[][];

  beforeAll(async () => {
    engine = new Registry()
      .registerRedis(server().address, 0, 'default', { commandTimeout: '2s', pool: { max: 20 } })
      .validate() as Engine;
    await engine.connect();
    const docs = (await engine.getRedis().sendCommand(['COMMAND', 'DOCS'])) as Record<string, Documentation>;
    const documented = Object.entries(docs).flatMap(([name, own]) => linesOf(name, own));
    expect(documented.length).toBeGreaterThan(300);
    const sampled = lines(secretSamples).map((words) => words.map((word) => word.replace('@', 'word')));
    samples = [...documented, ...sampled].filter((words) => !isLeftOut(words));
    // No secret that would then be asked for.
    samples.push(['CONFIG', 'SET', 'maxmemory', 'word'], ['CONFIG', 'SET', 'maxmemory', '1mb', 'port', 'word']);
  });
  afterAll(() => engine.close({ timeout: 0 }));

  const ways: Record<(typeof NAMES)[number], (lines: readonly (string | Buffer)[][]) => Promise<unknown[]>> = {
    pool: (sent) => Promise.all(sent.map((args) => caught(engine.getRedis().sendCommand(args)))),
    multi: (sent) =>
      Promise.all(sent.map(async (args) => caught((async () => engine.getRedis().multi().sendCommand(args).exec())()))),
    pipeline: (sent) =>
      Promise.all(
        sent.map(async (args) =>
          caught((async () => engine.getRedis().multi().ping().sendCommand(args).execAsPipeline())()),
        ),
      ),
    isolated: (sent) =>
      caught(
        engine.getRedis().isolated(async (own) => {
          const errors: unknown[] = [];
          for (const args of sent) errors.push(await caught(own.sendCommand(args)));
          throw new AggregateError(errors);
        }),
      ).then((error) => (error instanceof AggregateError ? error.errors : [error])),
  };

  test.each(NAMES)(
    'is in no error and in nothing that is told, sent by %s',
    async (way) => {
      // What differs from way to way is not how a canary is written.
      for (const canary of way === 'pool' ? CANARIES : CANARIES.slice(0, 1)) {
        const sent = samples.flatMap((words) => withCanaries(words, canary));
        expect(sent.length).toBeGreaterThan(500);
        const errors: unknown[] = [];
        const told = await everythingTold(engine, async () => {
          for (let i = 0; i < sent.length; i += 100) errors.push(...(await ways[way](sent.slice(i, i + 100))));
        });
        const failed = errors.filter((error) => error !== undefined);
        expect(failed.length).toBeGreaterThan(100);
        expect(leaks(failed.flatMap(textsOf), canary)).toEqual([]);
        expect(leaks(told, canary)).toEqual([]);
      }
    },
    120_000,
  );

  test.each(CANARIES)(
    'is in no error of a script, batched or not, of a transaction or of a raw EXEC: %j',
    async (canary) => {
      const redis = engine.getRedis();
      const lua = 'return redis.error_reply("MINE got " .. ARGV[1] .. " there")';
      const batched = defineScript({
        lua: 'local r = {} for i in ipairs(KEYS) do r[i] = redis.error_reply("MINE " .. ARGV[i]) end return r',
        keys: 1,
        args: 1,
        batch: 10,
      });
      const told = await everythingTold(engine, async () => {
        const errors = await Promise.all([
          caught(redis.runScript(defineScript({ lua }), ['k'], [canary])),
          ...['a', 'b', 'c'].map((key) => caught(redis.runScript(batched, [key], [canary]))),
          caught(redis.eval(lua, { keys: [], arguments: [canary as string] })),
          caught(redis.transaction((own) => own.multi().sendCommand(['EVAL', lua, '0', canary]).ping().exec())),
        ]);
        expect(errors.map((error) => (error as Error | undefined)?.message)).not.toContain(undefined);
        for (const error of errors) expect((error as Error).message).toContain('MINE');
        const replies = await redis.isolated(async (own) => {
          await own.sendCommand(['MULTI']);
          await own.sendCommand(['EVAL', lua, '0', canary]);
          return own.sendCommand(['EXEC']);
        });
        expect(leaks([...errors.flatMap(textsOf), ...(replies as unknown[]).flatMap(textsOf)], canary)).toEqual([]);
      });
      expect(leaks(told, canary)).toEqual([]);
    },
  );

  test('is in no JSON of an error, which has its name, code, message and cause', async () => {
    const error = await caught(engine.getRedis().sendCommand(['CONFIG', 'SET', 'maxmemory', 'canary']));
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({
      name: 'ReplyError',
      code: 'LAGOON_REPLY',
      replyCode: 'ERR',
      message: expect.stringContaining('argument must be a memory value'),
      cause: { message: expect.any(String) },
    });
  });
});

describe('a server that does not know HELLO', () => {
  const PASSWORDS: readonly string[] = [
    'hunter2-wombat-xyzzy',
    'a.*(b)+[c]$^|{2}\\d',
    `it's "quoted" \\ and-more`,
    `pässwörd-${'€😀'.repeat(100)}`,
    'x7',
    'HELLO',
  ];

  const BRIEF = { connectTimeout: '1s' } as const;

  const registries = {
    standalone: (address: string, password: string) =>
      new Registry().registerRedis(address, 0, 'default', { ...BRIEF, password, username: 'app' }),
    provider: (address: string, password: string) =>
      new Registry().registerRedis(address, 0, 'default', { ...BRIEF, password: async () => password }),
    sentinel: (address: string, password: string) =>
      new Registry().registerRedisSentinel('m', [address], 0, 'default', { ...BRIEF, sentinelPassword: password }),
    cluster: (address: string, password: string) =>
      new Registry().registerRedisCluster([address], 'default', { ...BRIEF, password }),
  };

  /** Looks for the password in all that is told of attempts to connect; gives the error of `connect()`. */
  async function attempt(topology: keyof typeof registries, address: string, password: string): Promise<Error> {
    const engine = registries[topology](address, password).validate() as Engine;
    let connecting: unknown;
    const told = await everythingTold(engine, async () => {
      connecting = await caught(engine.connect());
      const errors = [connecting, await caught(engine.getRedis().withTimeout('1s').get('k'))];
      expect(errors[1]).toBeInstanceOf(LagoonError);
      if (password !== 'HELLO') expect(leaks(errors.flatMap(textsOf), password)).toEqual([]);
    });
    await engine.close({ timeout: 0 });
    if (password !== 'HELLO') expect(leaks(told, password)).toEqual([]);
    return connecting as Error;
  }

  const topologies = Object.keys(registries) as (keyof typeof registries)[];

  describe('because it was renamed', () => {
    const server = useRedis({ args: ['--rename-command', 'HELLO', ''] });

    test.each(topologies)(
      'is refused for good, by name of what is needed, and no password is told: %s',
      async (topology) => {
        for (const password of PASSWORDS) {
          const error = await attempt(topology, server().address, password);
          expect(error.message).toContain('HELLO with RESP3: Redis 6.2 or later, Valkey; is HELLO renamed?');
        }
      },
    );
  });

  describe('and quotes what it was sent in its own way', () => {
    let fake: Server;
    let answer = (_: string[]): string => '+OK';
    let address: string;

    beforeAll(async () => {
      fake = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (data) => {
          const commands = data.toString().split(/(?=^\*\d+\r\n)/m);
          for (const command of commands) {
            const words = command.split('\r\n').filter((part, i) => part !== '' && i > 1 && i % 2 === 0);
            socket.write(`${answer(words).replace(/[\r\n]/g, ' ')}\r\n`);
          }
        });
      });
      await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
      address = `127.0.0.1:${(fake.address() as { port: number }).port}`;
    });
    afterAll(() => void fake.close());

    test.each<[string, (words: string[]) => string]>([
      ['NOPROTO with a quotation', (words) => `-NOPROTO no ${words.join(' ')}`],
      ['an unknown command in back quotes', (words) => `-ERR unknown command \`${words.join('`, `')}\``],
      ['an unsupported command', (words) => `-ERR unsupported command: ${words.join(' ')}`],
      ['a wrong password', (words) => `-WRONGPASS user ${words[3]} with ${words[4]} is unknown`],
      ['a missing right', (words) => `-NOPERM User ${words[4]} has no permissions to run the 'hello' command`],
      ['the password as the code', (words) => `-${words.at(4)} is bad`],
      ['a code that passes', (words) => `-LOADING ${words.join(' ')}`],
      ['an error of many lines', (words) => `-ERR ${words.join('"')}`],
    ])(
      '%s',
      async (_, say) => {
        answer = (words) => (words[0]?.toUpperCase() === 'HELLO' ? say(words) : '+OK');
        for (const topology of topologies) await attempt(topology, address, 'hunter2-wombat-xyzzy');
      },
      60_000,
    );

    test('of any command: the password is no part of its error', async () => {
      const hello =
        '%7\r\n+server\r\n+redis\r\n+version\r\n+7.0.0\r\n+proto\r\n:3\r\n+id\r\n:1\r\n+mode\r\n+standalone\r\n+role\r\n+master\r\n+modules\r\n*0';
      const engine = new Registry()
        .registerRedis(address, 0, 'default', { password: 'hunter2-wombat-xyzzy' })
        .validate() as Engine;
      answer = (words) =>
        words[0]?.toUpperCase() === 'HELLO' ? hello : '-ERR you are "hunter2-wombat-xyzzy", or hunter2-wombat';
      const lines = hello;
      fake.removeAllListeners('connection');
      fake.on('connection', (socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (data) => {
          for (const command of data.toString().split(/(?=^\*\d+\r\n)/m)) {
            socket.write(command.includes('HELLO') ? `${lines}\r\n` : `${answer([])}\r\n`);
          }
        });
      });
      const told = await everythingTold(engine, async () => {
        const error = await caught(engine.getRedis().get('k'));
        expect((error as Error).message).toBe('ERR you are "?", or ?');
        expect(leaks(textsOf(error), 'hunter2-wombat-xyzzy')).toEqual([]);
      });
      await engine.close({ timeout: 0 });
      expect(leaks(told, 'hunter2-wombat-xyzzy')).toEqual([]);
    });
  });
});
