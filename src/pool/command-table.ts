import type { RedisArgument } from 'redis';

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
  | { readonly kind: 'blocking'; readonly blockMs: BlockMs };

/** How long a command may block, in ms: 0 is for ever, `undefined` not at all. */
type BlockMs = (args: readonly RedisArgument[]) => number | undefined;

const refused = (why: string): Rule => ({ kind: 'refused', why });
const isolated = (why: string, effect?: Effect): Rule => ({ kind: 'isolated', why, ...(effect && { effect }) });
const byMethod = (why: string, method: string): Rule => ({ kind: 'isolated', why, effect: 'spoils', method });
const blocking = (blockMs: BlockMs): Rule => ({ kind: 'blocking', blockMs });

const HANDSHAKE = 'the connection is set up once, from the configuration; register another pool instead';
const DATABASE = 'a pool keeps to the database it was registered with; register another pool for another database';
const SHARED = 'it changes the connection for every caller that shares it';
const OWN = 'it turns its connection into a stream; use isolated(fn)';
const TRANSACTION = 'it needs a connection of its own; use transaction(fn), multi() or isolated(fn)';
const CHANNELS = 'use subscribe(), pSubscribe() or sSubscribe() of the pool, or isolated(fn) for the raw command';

const timeAt =
  (index: number, unitMs: number): BlockMs =>
  (args) => {
    const ms = Number(String(args.at(index))) * unitMs;
    return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
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

/** XREAD and XREADGROUP block only with BLOCK, which comes before STREAMS. */
const blockOption = blocking((args) => {
  for (let i = 1; i < args.length; i++) {
    const word = String(args[i]).toUpperCase();
    if (word === 'STREAMS') return undefined;
    if (word === 'BLOCK') return Number(String(args[i + 1]));
    if (word === 'GROUP') i += 2;
    else if (word === 'COUNT') i += 1;
  }
  return undefined;
});

/** TS.READ blocks only with BLOCK, which comes behind the key and the timestamp. */
const blockOfSamples = blocking((args) => {
  const at = args.findIndex((word, i) => i > 2 && String(word).toUpperCase() === 'BLOCK');
  return at < 0 ? undefined : Number(String(args[at + 1]));
});

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
  SYNC: refused('it turns the connection into a replication stream'),
  PSYNC: refused('it turns the connection into a replication stream'),
  'SCRIPT DEBUG': refused(SHARED),
  'CLIENT REPLY': refused('without replies every later command would wait for ever'),
  'CLIENT TRACKING': refused(SHARED),
  'CLIENT CACHING': refused(SHARED),
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
