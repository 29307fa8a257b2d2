/**
 * One line per way in which a value, a member, a message, a script or a credential travels in a command. A word that
 * holds `@` is that secret, and the others are what may be shown: redacted, a line is itself with `?` for those words.
 */
export const secretSamples = `
SET key @
SET key @ EX 10 NX
SET key @ NX GET KEEPTTL
SET key @ PXAT 1700000000000 IFEQ @
SET key @ IFDNE @ GET
SETNX key @
GETSET key @
APPEND key @
SETEX key 10 @
PSETEX key 1000 @
SETRANGE key 5 @
SETBIT key 7 @
MSET key @ other @
MSETNX key @
MSETEX 2 key @ other @ NX EX 10
DELEX key IFEQ @
BITFIELD key SET u8 0 @ GET u8 #1 OVERFLOW SAT INCRBY i5 100 1
BITFIELD_RO key GET u8 0
PFADD key @ @
RESTORE key 0 @ REPLACE ABSTTL IDLETIME 5
RESTORE-ASKING key 0 @ REPLACE
MIGRATE host 6379 key 0 1000 COPY REPLACE AUTH @
MIGRATE host 6379 key 0 1000 AUTH2 @ @ KEYS a b c
HSET key field @ other @
HMSET key field @
HSETNX key field @
HSETEX key FNX EX 10 FIELDS 2 field @ other @
HIMPORT SET key fieldset @ @
LPUSH key @ @
RPUSH key @
LPUSHX key @
RPUSHX key @
LSET key 0 @
LREM key 2 @
LINSERT key BEFORE @ @
LPOS key @ RANK 2 COUNT 3 MAXLEN 100
SADD key @ @
SREM key @
SISMEMBER key @
SMISMEMBER key @ @
SMOVE key other @
SSCAN key 0 MATCH @ COUNT 10
ZSCAN key 0 MATCH @ COUNT 10
ZADD key NX GT CH INCR @ @
ZADD key @ @ @ @
ZINCRBY key 5 @
ZREM key @ @
ZSCORE key @
ZMSCORE key @ @
ZRANK key @ WITHSCORE
ZREVRANK key @
ZLEXCOUNT key @ @
ZREMRANGEBYLEX key @ @
ZRANGEBYLEX key @ @ LIMIT 0 10
ZREVRANGEBYLEX key @ @
ZRANGE key [@ (@
ZRANGESTORE key other [@ (@
GEOADD key NX CH @ @ @
GEOHASH key @
GEOPOS key @ @
GEODIST key @ @ km
GEOSEARCH key FROMMEMBER @ BYRADIUS 5 km ASC COUNT 3 ANY WITHCOORD
GEOSEARCH key FROMLONLAT @ @ BYBOX 5 6 m
GEOSEARCHSTORE key other FROMMEMBER @ BYRADIUS 5 km STOREDIST
GEORADIUS key @ @ 5 km WITHDIST STORE other
GEORADIUS_RO key @ @ 5 km
GEORADIUSBYMEMBER key @ 5 km STOREDIST other
GEORADIUSBYMEMBER_RO key @ 5 km
VADD key REDUCE 3 VALUES 2 @ @ @ CAS Q8 EF 10 SETATTR @ M 3
VADD key FP32 @ @
VSIM key ELE @ COUNT 3 FILTER @ FILTER-EF 5 TRUTH
VSIM key VALUES 2 @ @ WITHSCORES
VREM key @
VGETATTR key @
VSETATTR key @ @
VISMEMBER key @
VEMB key @ RAW
VLINKS key @ WITHSCORES
VRANGE key @ @ 10
ARSET key 0 @ @
ARRING key 10 @ @
ARMSET key 0 @ 1 @
ARINSERT key @ @
AROP key 0 10 MATCH @
ARGREP key - + EXACT @ GLOB @ OR LIMIT 3 NOCASE
XADD key * field @ other @
XADD key NOMKSTREAM KEEPREF IDMP @ @ MAXLEN ~ 1000 LIMIT 10 1-* field @
XADD key IDMPAUTO @ MINID = 5-1 * field @
PUBLISH channel @
SPUBLISH channel @
EVAL @ 2 key other @ @
EVAL_RO @ 0 @
EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 key @
EVALSHA_RO e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0 @
FCALL function 1 key @
FCALL_RO function 0 @
SCRIPT LOAD @
FUNCTION LOAD REPLACE @
FUNCTION RESTORE @ FLUSH
AUTH @
AUTH @ @
PING @
ECHO @
HELLO 3 AUTH @ @ SETNAME name
ACL SETUSER user @ @ @
ACL DRYRUN user GET @
CONFIG SET requirepass @ masterauth @
MODULE LOAD path @
MODULE LOADEX path @ @ @
COMMAND GETKEYS SET @ @
COMMAND GETKEYSANDFLAGS SET @ @
JSON.SET key $.path @ NX
JSON.MSET key .path @ other .path @
JSON.MERGE key .path @
JSON.ARRAPPEND key .path @ @
JSON.ARRINSERT key .path 0 @
JSON.ARRINDEX key .path @ 0 5
JSON.STRAPPEND key @ @
JSON.GET key INDENT @ NEWLINE @ SPACE @ .path .other
BF.ADD key @
BF.EXISTS key @
BF.MADD key @ @
BF.MEXISTS key @ @
BF.INSERT key CAPACITY 10 ERROR 0.01 NOCREATE ITEMS @ @
BF.LOADCHUNK key 1 @
CF.ADD key @
CF.ADDNX key @
CF.COUNT key @
CF.DEL key @
CF.EXISTS key @
CF.MEXISTS key @ @
CF.INSERT key CAPACITY 10 ITEMS @ @
CF.INSERTNX key ITEMS @
CF.LOADCHUNK key 1 @
CMS.INCRBY key @ 5 @ 6
CMS.QUERY key @
TOPK.ADD key @
TOPK.COUNT key @
TOPK.QUERY key @
TOPK.INCRBY key @ 5
TDIGEST.ADD key @ @
TDIGEST.CDF key @
TDIGEST.RANK key @
TDIGEST.REVRANK key @
TS.ADD key * @ RETENTION 10 ON_DUPLICATE LAST LABELS name @ other @
TS.MADD key 1000 @ other * @
TS.CREATE key ENCODING COMPRESSED LABELS name @
TS.ALTER key RETENTION 5 LABELS name @
TS.INCRBY key 5 TIMESTAMP 1000 LABELS name @
TS.DECRBY key 5 LABELS name @
TS.MGET LATEST WITHLABELS @ @
TS.MRANGE - + LATEST COUNT 5 AGGREGATION avg 100 @ @
TS.MREVRANGE 1000 2000 WITHLABELS @ @
TS.QUERYINDEX @
TS.QUERYLABELS VALUES name @ @
FT.SEARCH index @ @ @
FT.AGGREGATE index @ @
FT.HYBRID index @ @
FT.PROFILE index @ @ @
FT.EXPLAIN index @
FT.EXPLAINCLI index @
FT.SPELLCHECK index @
FT.CREATE index @ @
FT.ALTER index @ @
FT.DICTADD dictionary @
FT.DICTDEL dictionary @
FT.SUGADD key @ @
FT.SUGDEL key @
FT.SUGGET key @
FT.SYNUPDATE index @ @
FT.CONFIG SET parameter @
SOME.UNKNOWN @ @ @
CLIENT @ @
`;

/** Lines without a secret, among them every combination of options that is easily taken for one: shown as they are. */
export const plainSamples = `
GET key
MGET a b c
DEL a b c
GETEX key EX 10
GETDEL key
GETRANGE key 0 -1
INCRBY key 5
INCRBYFLOAT key -1.5e3
INCREX key BYINT 5 UBOUND 10 SATURATE EX 5 ENX
EXPIRE key 10 NX
COPY key other DB 3 REPLACE
SCAN 0 MATCH user:* COUNT 100 TYPE hash
SORT key BY weight_* LIMIT 0 5 GET # GET name_* DESC ALPHA STORE other
LCS key other IDX MINMATCHLEN 4 WITHMATCHLEN
BITCOUNT key 0 -1 BIT
BITPOS key 1 0
BITOP AND key a b
HGET key field
HMGET key field other
HDEL key field other
HEXPIRE key 10 NX FIELDS 2 field other
HGETEX key PERSIST FIELDS 1 field
HGETDEL key FIELDS 1 field
HTTL key FIELDS 2 field other
HINCRBY key field 5
HSCAN key 0 MATCH f* COUNT 10 NOVALUES
HIMPORT PREPARE fieldset field other
LRANGE key 0 -1
LMOVE key other LEFT RIGHT
BLMOVE key other LEFT RIGHT 1.5
LMOVEM key other LEFT RIGHT COUNT 5 BULK
BLPOP a b 0
BLMPOP 1 2 a b LEFT COUNT 5
SINTERCARD 2 a b LIMIT 5
SPOP key 3
ZRANGE key (1 +inf BYSCORE REV LIMIT 0 10 WITHSCORES
ZRANGEBYSCORE key -inf (5.5 WITHSCORES LIMIT 0 1
ZUNION 2 a b WEIGHTS 1 2.5 AGGREGATE MAX WITHSCORES
ZINTERSTORE key 2 a b WEIGHTS 1 2 AGGREGATE SUM
ZRANDMEMBER key -5 WITHSCORES
XREAD COUNT 5 BLOCK 1000 STREAMS a b 0-0 $
XREADGROUP GROUP group consumer COUNT 5 NOACK STREAMS a >
XTRIM key MAXLEN ~ 1000 LIMIT 10
XTRIM key MINID 1700000000000-0
XACK key group 1-1 2-2
XDEL key 1-1
XDELEX key DELREF IDS 2 1-1 2-2
XPENDING key group IDLE 100 - + 10 consumer
XCLAIM key group consumer 1000 1-1 2-2 IDLE 5 RETRYCOUNT 2 FORCE JUSTID
XAUTOCLAIM key group consumer 1000 0-0 COUNT 10 JUSTID
XGROUP CREATE key group $ MKSTREAM
XGROUP CREATECONSUMER key group consumer
XINFO STREAM key FULL COUNT 5
SUBSCRIBE a b
EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 2 a b
SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db
CLIENT ID
CLIENT KILL ID 5 SKIPME yes
CLIENT SETNAME name
CONFIG GET max*
ACL GETUSER user
INFO memory
WAIT 1 100
JSON.GET key $.path
JSON.NUMINCRBY key $.path 5
BF.RESERVE key 0.01 1000 EXPANSION 2 NONSCALING
TOPK.RESERVE key 5 8 7 0.9
TDIGEST.MERGE key 2 a b COMPRESSION 100 OVERRIDE
CMS.MERGE key 2 a b WEIGHTS 1 2
TS.RANGE key - + FILTER_BY_TS 1 2 COUNT 5 AGGREGATION avg 100
FT._LIST
FT.CURSOR READ index 5 COUNT 10
`;

/** The non-empty lines, each as its words. */
export function lines(samples: string): string[][] {
  return samples
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '));
}
