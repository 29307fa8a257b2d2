import type { RedisArgument } from 'redis';
import { InvalidArgumentError } from '../errors.js';

/** What a command leaves behind on its connection. */
export type Effect =
  /** Keys are watched until EXEC, DISCARD or UNWATCH. */
  | 'watches'
  /** Nothing is watched any more. */
  | 'unwatches'
  /** Commands are queued until EXEC or DISCARD. */
  | 'opens-multi'
  /** The MULTI is over, and with it what was watched. */
  | 'ends-multi'
  /** State that no command takes back: the connection is not used again. */
  | 'spoils';

/** A command that is not simply forwarded. */
export type Rule =
  /** Never sent: it would change the connection for everyone who shares it, or break the client. */
  | { readonly kind: 'refused'; readonly why: string }
  /** Sent on a connection of one's own only. `method`: only by the method of that name, which knows what the replies mean. */
  | {
      readonly kind: 'isolated';
      readonly why: string;
      readonly effect?: Effect;
      readonly blockMs?: BlockMs;
      readonly method?: string;
    }
  /** Sent on a lease by itself. */
  | { readonly kind: 'blocking'; readonly blockMs: BlockMs; readonly checkWords?: (args: CommandLine) => void }
  /** Sent on a lease by itself, whose connection is closed afterwards: what the command did to it is unknown. */
  | { readonly kind: 'untrusted'; readonly why: string };

/** A command's name and its arguments. */
type CommandLine = readonly RedisArgument[];

/** How long a command may block, in ms: 0 is for ever, `undefined` not at all. */
type BlockMs = (args: CommandLine) => number | undefined;

const refused = (why: string): Rule => ({ kind: 'refused', why });
const isolated = (why: string, effect?: Effect): Rule => ({ kind: 'isolated', why, ...(effect && { effect }) });
const byMethod = (why: string, method: string): Rule => ({ kind: 'isolated', why, effect: 'spoils', method });
const blocking = (blockMs: BlockMs): Rule => ({ kind: 'blocking', blockMs });

const untrusted = (why: string): Rule => ({ kind: 'untrusted', why });

const HANDSHAKE = 'the connection is set up once, from the configuration; register another pool instead';
const DATABASE = 'a pool keeps to the database it was registered with; register another pool for another database';
const SHARED = 'it changes the connection for every caller that shares it';
const REPLICATION = 'it is part of the protocol between servers, which gives no reply or a stream';
const REPLICAS = 'it is answered when the replicas have caught up, which may take seconds';
const OWN = 'it turns its connection into a stream; use isolated(fn)';
const TRANSACTION = 'it needs a connection of its own; use transaction(fn), multi() or isolated(fn)';
const CHANNELS = 'use subscribe(), pSubscribe() or sSubscribe() of the pool, or isolated(fn) for the raw command';

/** Redis reads more than this as a number (`0x1p3`, `1e3`, `-0.0001` as 0): such a command gets a lease, as one that blocks for ever. */
const PLAIN_DECIMAL = /^\d{1,15}(?:\.\d{0,15})?$/;

function milliseconds(text: string, unitMs: number): number {
  return PLAIN_DECIMAL.test(text) ? Number(text) * unitMs : 0;
}

/** A command too short to have its timeout is an error, which blocks nothing. */
const timeAt =
  (index: number, unitMs: number): BlockMs =>
  (args) => {
    const text = args.at(index);
    return text === undefined || args.length < 3 ? undefined : milliseconds(String(text), unitMs);
  };
const lastIsSeconds = blocking(timeAt(-1, 1000));
const firstIsSeconds = blocking(timeAt(1, 1000));
/** BLMOVEM source destination side side timeout, behind which options may follow. */
const fifthIsSeconds = blocking(timeAt(5, 1000));
const WAITS: Rule = {
  kind: 'isolated',
  why: 'it speaks of the writes of its own connection; use isolated(fn)',
  blockMs: timeAt(-1, 1),
};

/** Options of XREAD and XREADGROUP before STREAMS, and how many arguments each has. */
const READ_OPTIONS: Readonly<Record<string, number>> = {
  BLOCK: 1,
  CLAIM: 1,
  COUNT: 1,
  GROUP: 2,
  MAXCOUNT: 1,
  MAXSIZE: 1,
  NOACK: 0,
};

/** Calls `visit` with the upper-case word of each option and its index, up to STREAMS; ends where it does not know how to go on. */
function readOptions(args: CommandLine, visit: (word: string, index: number) => void): void {
  for (let i = 1; i < args.length; i++) {
    const word = String(args[i]).toUpperCase();
    if (word === 'STREAMS') return;
    visit(word, i);
    const more = READ_OPTIONS[word];
    if (more === undefined) return;
    i += more;
  }
}

/** XREAD and XREADGROUP block only with BLOCK, which comes before STREAMS; behind an unknown option there may be one. */
const blockOption: Rule = {
  kind: 'blocking',
  blockMs: (args) => {
    let blockMs: number | undefined;
    readOptions(args, (word, i) => {
      if (READ_OPTIONS[word] === undefined) blockMs = 0;
      else if (word === 'BLOCK') blockMs = milliseconds(String(args[i + 1]), 1);
    });
    return blockMs;
  },
  checkWords: (args) => readOptions(args, (_, i) => assertWord(args, i, 'option')),
};

/** TS.READ blocks only with BLOCK, which comes behind the key and the timestamp. */
const blockOfSamples: Rule = {
  kind: 'blocking',
  blockMs: (args) => {
    const at = args.findIndex((word, i) => i > 2 && String(word).toUpperCase() === 'BLOCK');
    return at < 0 ? undefined : milliseconds(String(args[at + 1]), 1);
  },
  checkWords: (args) => {
    for (let i = 3; i < args.length; i++) assertWord(args, i, 'option');
  },
};

/**
 * Throws unless an argument can only be the word that it looks like: Redis compares words as C strings, which a NUL ends.
 *
 * @throws {InvalidArgumentError} without the argument itself, which may be a value in the wrong place.
 */
export function assertWord(args: CommandLine, index: number, what: 'command' | 'subcommand' | 'option'): void {
  const text = String(args[index]);
  if (/^[!-~]+$/.test(text)) return;
  const remedy = /^[ -~]+$/.test(text)
    ? 'write its words as arguments of their own'
    : 'it must be one or more characters of printable ASCII';
  throw new InvalidArgumentError(`Argument ${index} of the command is no name of a ${what}: ${remedy}`);
}

/** The rule of a command that no table knows. */
export const UNTRUSTED: Rule = untrusted('Lagoon does not know it');

/** Commands that node-redis does not know and that give one reply and leave the connection as it is; subcommands as above. */
export const FURTHER_COMMANDS: readonly string[] = [
  // Valkey
  'CLUSTERSCAN',
  'DELIFEQ',
  'COMMANDLOG',
  'COMMANDLOG GET',
  'COMMANDLOG HELP',
  'COMMANDLOG LEN',
  'COMMANDLOG RESET',
  'SCRIPT SHOW',
  'CLUSTER CANCELSLOTMIGRATIONS',
  'CLUSTER FLUSHSLOT',
  'CLUSTER GETSLOTMIGRATIONS',
  'CLUSTER MIGRATESLOTS',
  // Redis 6
  'STRALGO',
];

/** Every command that is not simply forwarded, under its upper-case name; a subcommand as `CLIENT REPLY`. */
export const COMMAND_TABLE: Readonly<Record<string, Rule>> = {
  SELECT: refused(DATABASE),
  RESET: refused(HANDSHAKE),
  HELLO: refused(HANDSHAKE),
  AUTH: refused(HANDSHAKE),
  QUIT: refused('close the engine instead'),
  READONLY: refused(SHARED),
  READWRITE: refused(SHARED),
  ASKING: refused(SHARED),
  SYNC: refused(REPLICATION),
  PSYNC: refused(REPLICATION),
  REPLCONF: refused(REPLICATION),
  'CLUSTER SYNCSLOTS': refused(REPLICATION),
  'HOST:': refused('the server takes it for an attack and closes the connection'),
  POST: refused('the server takes it for an attack and closes the connection'),
  'SCRIPT DEBUG': refused(SHARED),
  'CLIENT REPLY': refused('without replies every later command would wait for ever'),
  'CLIENT TRACKING': refused(SHARED),
  'CLIENT CACHING': refused(SHARED),
  'CLIENT CAPA': refused(SHARED),
  'CLIENT IMPORT-SOURCE': refused(SHARED),
  'CLIENT SETNAME': refused('set clientName in the configuration'),
  'CLIENT SETINFO': refused(SHARED),
  'CLIENT NO-EVICT': refused(SHARED),
  'CLIENT NO-TOUCH': refused(SHARED),

  WATCH: isolated(TRANSACTION, 'watches'),
  UNWATCH: isolated(TRANSACTION, 'unwatches'),
  MULTI: isolated(TRANSACTION, 'opens-multi'),
  EXEC: isolated(TRANSACTION, 'ends-multi'),
  DISCARD: isolated(TRANSACTION, 'ends-multi'),
  MONITOR: byMethod(OWN, 'monitor'),
  WAIT: WAITS,
  WAITAOF: WAITS,
  SUBSCRIBE: byMethod(CHANNELS, 'subscribe'),
  UNSUBSCRIBE: byMethod(CHANNELS, 'unsubscribe'),
  PSUBSCRIBE: byMethod(CHANNELS, 'pSubscribe'),
  PUNSUBSCRIBE: byMethod(CHANNELS, 'pUnsubscribe'),
  SSUBSCRIBE: byMethod(CHANNELS, 'sSubscribe'),
  SUNSUBSCRIBE: byMethod(CHANNELS, 'sUnsubscribe'),
  HIMPORT: isolated('it prepares its connection for later commands; use isolated(fn)', 'spoils'),

  DEBUG: untrusted('its subcommands differ between versions, and some stall the server or change the connection'),
  SHUTDOWN: untrusted(REPLICAS),
  'CLUSTER SETSLOT': untrusted(REPLICAS),

  BLPOP: lastIsSeconds,
  BRPOP: lastIsSeconds,
  BRPOPLPUSH: lastIsSeconds,
  BLMOVE: lastIsSeconds,
  BZPOPMIN: lastIsSeconds,
  BZPOPMAX: lastIsSeconds,
  BLMPOP: firstIsSeconds,
  BZMPOP: firstIsSeconds,
  BLMOVEM: fifthIsSeconds,
  XREAD: blockOption,
  XREADGROUP: blockOption,
  'TS.READ': blockOfSamples,
};

/** Typed methods that a pool does not have, because the table refuses them or keeps them to isolated connections. */
export type RefusedMethod =
  | 'asking'
  | 'auth'
  | 'clientCaching'
  | 'clientNoEvict'
  | 'clientNoTouch'
  | 'clientSetName'
  | 'clientTracking'
  | 'hello'
  | 'readonly'
  | 'scriptDebug'
  | 'select';

/** Typed methods that only an isolated connection has. */
export type IsolatedMethod = 'wait' | 'hImportPrepare' | 'hImportSet' | 'hImportDiscard' | 'hImportDiscardAll';
