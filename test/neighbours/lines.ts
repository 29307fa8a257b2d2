import fc from 'fast-check';

type Args = (string | Buffer)[];

/** A command of the server's own table: its name, a subcommand's in two words. */
export interface TableEntry {
  readonly words: readonly string[];
  readonly arity: number;
}

/**
 * Commands that end the server, or cut off or pause everybody by what they do to the whole of it: that is what they are for, and
 * no connection could keep it from the neighbours.
 */
const OF_THE_WHOLE_SERVER: ReadonlySet<string> = new Set(
  `SHUTDOWN FAILOVER REPLICAOF SLAVEOF DEBUG|SEGFAULT DEBUG|OOM DEBUG|PANIC DEBUG|RESTART DEBUG|CRASH-AND-RECOVER DEBUG|SLEEP
  DEBUG|ASSERT DEBUG|SIGALRM DEBUG|LOADAOF DEBUG|RELOAD DEBUG|DICT-RESIZING DEBUG|REPLICATE DEBUG|PAUSE-CRON DEBUG|REPLPAUSE
  DEBUG|QUICKLIST-PACKED-THRESHOLD DEBUG|SET-ACTIVE-EXPIRE DEBUG|STRINGMATCH-LEN DEBUG|MALLCTL DEBUG|CLIENT-ENFORCE-REPLY-LIST
  CLIENT|KILL CLIENT|PAUSE ACL|SETUSER ACL|DELUSER ACL|LOAD CONFIG|SET CONFIG|REWRITE MODULE|LOAD MODULE|LOADEX MODULE|UNLOAD
  PFSELFTEST CLUSTER|RESET CLUSTER|FAILOVER SAVE BGSAVE BGREWRITEAOF MIGRATE`
    .trim()
    .split(/\s+/),
);

/** Whether a line is left out, whatever tricks its letters play. */
export function isOfTheWholeServer(args: Args): boolean {
  const [name = '', sub = ''] = args.map((word) => String(word).toUpperCase().split('\0')[0] ?? '');
  return OF_THE_WHOLE_SERVER.has(name) || OF_THE_WHOLE_SERVER.has(`${name}|${sub}`);
}

/** The lines for one entry of the table: with as many arguments as it wants, and with those that give most commands something to do. */
export function linesOf({ words, arity }: TableEntry): Args[] {
  const wanted = Math.max(0, Math.abs(arity) - words.length);
  const plain = Array.from({ length: wanted }, (_, i) => (i === 0 ? 'fuzz:key' : '1'));
  return [
    [...words, ...plain],
    [...words, ...plain, '1'],
    [...words.map((word) => word.toLowerCase()), 'ON', 'YES'],
    [...words, 'ACK', '0'],
    [...words, '*'],
  ];
}

/** Words that mean something to a connection, to blocking, or to Redis's reading of words. */
const WORDS =
  `REPLCONF ACK GETACK CAPA psync2 LISTENING-PORT RDB-ONLY CLUSTER SYNCSLOTS ESTABLISH FINISH SLOTS CLIENT REPLY OFF SKIP ON NO
  TRACKING CAPA redirect IMPORT-SOURCE NO-EVICT NO-TOUCH SETNAME SETINFO CACHING YES SELECT 3 MULTI EXEC DISCARD WATCH SUBSCRIBE PSUBSCRIBE
  SSUBSCRIBE UNSUBSCRIBE MONITOR SYNC PSYNC HELLO 2 RESET QUIT AUTH READONLY ASKING XREAD BLOCK 0 0x1p3 STREAMS s $ BLPOP fuzz:list -0.0001
  XREADGROUP GROUP g c WAIT 1 DEBUG PROTOCOL push attrib JMAP SCRIPT DEBUG SYNC EVAL return HOST: POST GET SET fuzz:key OBJECT HELP FOO.BAR`
    .trim()
    .split(/\s+/);

const word = fc.oneof(
  { arbitrary: fc.constantFrom(...WORDS), weight: 20 },
  fc.constantFrom(...WORDS).map((text) => text.toLowerCase()),
  fc.constantFrom(...WORDS).chain((text) => fc.constantFrom('\0', '\0x', ' ', '\r\n', 'é').map((tail) => text + tail)),
  fc.string({ maxLength: 8 }),
  fc.integer().map(String),
);

/** Invented command lines, always the same for one seed. */
export function inventedLines(count: number, seed: number): Args[] {
  const line = fc.array(
    word.chain((text) => fc.constantFrom<string | Buffer>(text, Buffer.from(text))),
    { minLength: 1, maxLength: 6 },
  );
  return fc.sample(line, { numRuns: count, seed }).filter((args) => !isOfTheWholeServer(args));
}
