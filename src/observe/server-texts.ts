/**
 * Error texts that servers word by themselves, without a part of what they were sent: such a text may always be passed on,
 * even where a hidden argument happens to be one of its words. Valkey's are the same with its own name.
 */
const TEXTS: readonly string[] = `
BUSYGROUP Consumer Group name already exists
BUSYKEY Target key name already exists.
CLUSTERDOWN Hash slot not served
CLUSTERDOWN The cluster is down
CLUSTERDOWN The cluster is down and only accepts read commands
CROSSSLOT Keys in request don't hash to the same slot
ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?
ERR Bad data format
ERR COUNT can't be negative
ERR Client sent AUTH, but no password is set
ERR DB index is out of range
ERR DUMP payload version or checksum are wrong
ERR DISCARD without MULTI
ERR EXEC without MULTI
ERR Function not found
ERR GT, LT, and/or NX options at the same time are not compatible
ERR Invalid stream ID specified as stream command argument
ERR LIMIT can't be negative
ERR Library not found
ERR MAXLEN can't be negative
ERR MULTI calls can not be nested
ERR MULTI calls can not be nested.
ERR No such client
ERR No such client ID
ERR No such master with that name
ERR No such user
ERR Number of keys can't be greater than number of args
ERR Number of keys can't be negative
ERR Protocol version is not an integer or out of range
ERR SELECT is not allowed in cluster mode
ERR Syntax error
ERR The ID specified in XADD is equal or smaller than the target stream top item
ERR The ID specified in XADD must be greater than 0-0
ERR The bit argument must be 1 or 0.
ERR This instance has cluster support disabled
ERR Timeout is not a float or out of range
ERR WATCH inside MULTI is not allowed
ERR XX and NX options at the same time are not compatible
ERR bit is not an integer or out of range
ERR bit offset is not an integer or out of range
ERR could not decode requested zset member
ERR decrement would overflow
ERR hash value is not a float
ERR hash value is not an integer
ERR increment or decrement would overflow
ERR increment would produce NaN or Infinity
ERR index out of range
ERR invalid DB index
ERR invalid cursor
ERR invalid expire time
ERR max number of clients + cluster connections reached
ERR max number of clients reached
ERR min or max is not a float
ERR min or max not valid string range item
ERR need numeric value
ERR no such key
ERR numkeys should be greater than 0
ERR offset is out of range
ERR operation not permitted
ERR resulting score is not a number (NaN)
ERR source and destination objects are the same
ERR string exceeds maximum allowed size (proto-max-bulk-len)
ERR string exceeds maximum allowed size (512MB)
ERR syntax error
ERR timeout is negative
ERR timeout is not a float or out of range
ERR timeout is out of range
ERR unsupported unit provided. please use M, KM, FT, MI
ERR value is not a valid float
ERR value is not an integer or out of range
ERR value is out of range
ERR value is out of range, must be positive
ERR weight value is not a float
EXECABORT Transaction discarded because of previous errors.
INPROG Failover already in progress
LOADING Redis is loading the dataset in memory
MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.
MASTERDOWN Link with MASTER is down and slave-serve-stale-data is set to 'no'.
MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.
NOAUTH Authentication required.
NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time
NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time
NOGOODSLAVE No suitable replica to promote
NOPERM ACL failure in script: No permissions to access a key
NOPERM No permissions to access a channel
NOPERM No permissions to access a key
NOPERM this user has no permissions to access one of the channels used as arguments
NOPERM this user has no permissions to access one of the keys used as arguments
NOPERM this user has no permissions to access the channel used as argument
NOPROTO sorry, this protocol version is not supported
NOPROTO unsupported protocol version
NOREPLICAS Not enough good replicas to write.
NOSCRIPT No matching script. Please use EVAL.
NOSCRIPT No matching script.
NOTBUSY No scripts in execution right now.
OOM command not allowed when used memory > 'maxmemory'
OOM command not allowed when used memory > 'maxmemory'.
READONLY You can't write against a read only replica.
READONLY You can't write against a read only slave.
TRYAGAIN Multiple keys request during rehashing of slot
UNBLOCKED client unblocked via CLIENT UNBLOCK
UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)
WRONGPASS invalid username-password pair
WRONGPASS invalid username-password pair or user is disabled.
WRONGTYPE Key is not a valid HyperLogLog string value.
WRONGTYPE Operation against a key holding the wrong kind of value
BUSY Redis is busy running a module command.
BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.
BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.
`
  .split('\n')
  .filter((line) => line !== '');

/** Texts with a number, an address or a name of a command or of a user in them. */
const PATTERNS: readonly RegExp[] = [
  // Where a key is: a slot, a host and a port.
  /^(?:MOVED|ASK) \d{1,5} [A-Za-z0-9.:-]{0,253}:\d{1,5}$/,
];

const known = new Set(TEXTS);
let words: ReadonlySet<string> | undefined;

/** Whether a text is one of the server's own wording that quotes nothing. */
export function isServerText(text: string): boolean {
  if (known.has(text)) return true;
  if (PATTERNS.some((pattern) => pattern.test(text))) return true;
  return text.includes('Valkey') && known.has(text.replace(/\bValkey\b/g, 'Redis'));
}

/** Whether a word, in lower case, is common in texts of servers: found in one, it says nothing of an argument. */
export function isServerWord(word: string): boolean {
  words ??= new Set(TEXTS.flatMap((text) => text.toLowerCase().match(/[a-z]+/g) ?? []));
  return words.has(word);
}

/** Whether a text begins with a code that servers use. */
export function startsWithCode(text: string): boolean {
  const code = /^[A-Z]+(?= |$)/.exec(text)?.[0];
  return code !== undefined && isServerWord(code.toLowerCase());
}
