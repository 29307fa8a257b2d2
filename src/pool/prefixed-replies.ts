import type { KeyPrefix } from './key-prefix.js';
import type { CommandArgs, ReplyTransform } from './node-redis.js';

/** Takes the prefix off the keys of a transformed reply, which is the caller's own and may be changed. */
type Unprefix = (reply: unknown, prefix: KeyPrefix) => unknown;

/** What transforms the reply of a command of a pool with a prefix: keys in it are given without the prefix. */
export function unprefixing(
  args: CommandArgs,
  transform: ReplyTransform | undefined,
  prefix: KeyPrefix,
): ReplyTransform | undefined {
  const [name, subcommand] = args;
  const unprefix = REPLIES.get(name === 'BLESS' ? `BLESS ${String(subcommand)}` : name);
  // The groups of GROUPBY have names like `label=value`, which are no keys.
  if (unprefix === undefined || (unprefix === series && args.at(-4) === 'GROUPBY')) return transform;
  return (reply, preserve, typeMapping) =>
    unprefix(transform ? transform(reply, preserve, typeMapping) : reply, prefix);
}

const keys: Unprefix = (reply, prefix) => prefix.own(reply as unknown[]);

const page: Unprefix = (reply, prefix) => {
  const scanned = reply as { keys: unknown[] };
  scanned.keys = prefix.own(scanned.keys);
  return scanned;
};

/** `{ key, … }` of the pops, `[key, …]` of LMPOP, or null. */
const popped: Unprefix = (reply, prefix) => {
  if (Array.isArray(reply)) reply[0] = prefix.strip(reply[0]);
  else if (reply !== null) stripField(reply, 'key', prefix);
  return reply;
};

/** `[{ name, messages }, …]` of XREAD, or null. */
const streams: Unprefix = (reply, prefix) => {
  for (const stream of (reply ?? []) as object[]) stripField(stream, 'name', prefix);
  return reply;
};

/** Time series by their keys, found by labels: also those of others, which are left out. */
const series: Unprefix = (reply, prefix) => {
  if (reply instanceof Map) return new Map(own([...reply], prefix));
  if (!Array.isArray(reply)) return Object.fromEntries(own(Object.entries(reply as object), prefix));
  // With arrays for maps keys and values take turns.
  const entries = reply.flatMap((key, i) => (i % 2 === 0 ? [[key, reply[i + 1]] as const] : []));
  return own(entries, prefix).flat();
};

/** The sources and targets of a time series' rules. */
const rules: Unprefix = (reply, prefix) => {
  stripField(reply, 'sourceKey', prefix);
  for (const rule of (reply as { rules: object[] }).rules) stripField(rule, 'key', prefix);
  return reply;
};

/** The documents that a search found: their ids are keys. */
const found: Unprefix = (reply, prefix) => {
  const result = reply as { documents: (string | object)[] };
  result.documents = result.documents.map((document) =>
    typeof document === 'string' ? prefix.strip(document) : stripField(document, 'id', prefix),
  );
  return result;
};

/** `{ results, profile }` of FT.PROFILE; rows of an aggregation have no ids. */
const profiled: Unprefix = (reply, prefix) => {
  const { results } = reply as { results: { documents?: unknown } };
  if (results.documents) found(results, prefix);
  return reply;
};

function own<T>(entries: readonly (readonly [key: unknown, value: T])[], prefix: KeyPrefix): [key: string, value: T][] {
  return entries.filter(([key]) => prefix.starts(key)).map(([key, value]) => [prefix.strip(key) as string, value]);
}

function stripField(of: unknown, field: string, prefix: KeyPrefix): object {
  const object = of as Record<string, unknown>;
  object[field] = prefix.strip(object[field]);
  return object;
}

/** The commands whose replies name keys. */
const REPLIES: ReadonlyMap<unknown, Unprefix> = new Map(
  Object.entries({
    KEYS: keys,
    SCAN: page,
    'BLESS SCAN': page,
    BLPOP: popped,
    BRPOP: popped,
    BZPOPMIN: popped,
    BZPOPMAX: popped,
    LMPOP: popped,
    BLMPOP: popped,
    ZMPOP: popped,
    BZMPOP: popped,
    XREAD: streams,
    XREADGROUP: streams,
    'TS.QUERYINDEX': keys,
    'TS.MGET': series,
    'TS.MRANGE': series,
    'TS.MREVRANGE': series,
    'TS.INFO': rules,
    'FT.SEARCH': found,
    'FT.PROFILE': profiled,
  }),
);
