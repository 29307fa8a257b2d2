import type { RedisArgument } from 'redis';
import { escapeGlob } from '../cache/glob.js';
import { CommandRefusedError, InvalidArgumentError } from '../errors.js';

/** The arguments of one command, just encoded: they may still be changed. */
type Wire = RedisArgument[];

/**
 * The `keyPrefix` of a pool, as far as node-redis does not know it. Its encoder puts the prefix before most keys by itself;
 * this adds it to the keys and patterns that the encoder takes for something else, and takes it off keys in replies.
 */
export class KeyPrefix {
  readonly text: string;
  readonly #bytes: Buffer;
  readonly #glob: string;

  constructor(text: string) {
    this.text = text;
    this.#bytes = Buffer.from(text);
    this.#glob = escapeGlob(text);
  }

  /** A key with the prefix; what is no key stays as it is, for the encoder to refuse. */
  before(key: RedisArgument): RedisArgument {
    return join(this.text, key);
  }

  /** A glob-style pattern that matches only keys with the prefix. */
  match(pattern: RedisArgument): RedisArgument {
    return join(this.#glob, pattern);
  }

  /** A key of a reply without the prefix; one that does not have it as it is. */
  strip<T>(key: T): T {
    return this.starts(key) ? (withoutStart(key, this.text.length, this.#bytes.length) as T) : key;
  }

  /** Those of the keys that have the prefix, without it. */
  own<T>(keys: readonly T[]): T[] {
    return keys.filter((key) => this.starts(key)).map((key) => this.strip(key));
  }

  starts(key: unknown): boolean {
    if (typeof key === 'string') return key.startsWith(this.text);
    return key instanceof Uint8Array && this.#bytes.equals(key.subarray(0, this.#bytes.length));
  }

  /**
   * Puts the prefix before the keys and patterns that node-redis's encoder left without.
   *
   * @throws {CommandRefusedError} if the command cannot be kept to the keys with the prefix.
   * @throws {InvalidArgumentError} if a pattern of SORT cannot have this prefix.
   */
  complete(args: Wire): void {
    COMPLETIONS.get(args[0] as RedisArgument)?.(args, this);
  }
}

function join(text: string, key: RedisArgument): RedisArgument {
  if (typeof key === 'string') return text + key;
  return key instanceof Uint8Array ? Buffer.concat([Buffer.from(text), key]) : key;
}

function withoutStart(key: unknown, characters: number, bytes: number): unknown {
  return typeof key === 'string' ? key.slice(characters) : (key as Buffer).subarray(bytes);
}

type Completion = (args: Wire, prefix: KeyPrefix) => void;

/** Prefixes the keys from `first` up to `end`. */
function prefixFrom(args: Wire, first: number, end: number, prefix: KeyPrefix): void {
  for (let i = first; i < end && i < args.length; i++) args[i] = prefix.before(args[i] as RedisArgument);
}

const KEYS: Completion = (args, prefix) => {
  args[1] = prefix.match(args[1] as RedisArgument);
};

/** SCAN cursor [MATCH pattern] …: without a pattern it is given that of all keys with the prefix. */
const SCAN: Completion = (args, prefix) => {
  if (args[2] === 'MATCH') args[3] = prefix.match(args[3] as RedisArgument);
  else args.splice(2, 0, 'MATCH', prefix.match('*'));
};

/** SORT key [BY pattern] [LIMIT offset count] [GET pattern …] …, in the order in which node-redis writes them. */
const SORT: Completion = (args, prefix) => {
  let at = 2;
  if (args[at] === 'BY') {
    args[at + 1] = lookup(args[at + 1] as RedisArgument, prefix);
    at += 2;
  }
  if (args[at] === 'LIMIT') at += 3;
  for (; args[at] === 'GET'; at += 2) args[at + 1] = lookup(args[at + 1] as RedisArgument, prefix);
};

// Without a star Redis looks nothing up: `#` is the element itself, and BY `nosort` means not to sort.
function lookup(pattern: RedisArgument, prefix: KeyPrefix): RedisArgument {
  if (!pattern.includes('*')) return pattern;
  if (prefix.text.includes('*')) {
    throw new InvalidArgumentError(
      'BY and GET of sort put each element in place of the first *, and that would be the one in the keyPrefix of this pool; read the keys by yourself, or register the pool with another keyPrefix',
    );
  }
  return prefix.before(pattern);
}

/** CMS.MERGE destination count source …: the destination has it already. */
const CMS_MERGE: Completion = (args, prefix) => prefixFrom(args, 3, 3 + Number(args[2]), prefix);

const FIRST: Completion = (args, prefix) => prefixFrom(args, 1, 2, prefix);

/** FT.CREATE index [ON type] [PREFIX count prefix …] …: without PREFIX it would index every key of the server. */
const FT_CREATE: Completion = (args, prefix) => {
  const at = args[2] === 'ON' ? 4 : 2;
  if (args[at] !== 'PREFIX') {
    args.splice(at, 0, 'PREFIX', '1', prefix.text);
    return;
  }
  const end = at + 2 + Number(args[at + 1]);
  // RediSearch takes `*` for all keys.
  for (let i = at + 2; i < end; i++) args[i] = String(args[i]) === '*' ? prefix.text : prefix.before(args[i] as string);
};

/** How many arguments each option of FT.SEARCH is that node-redis writes before INKEYS. */
const SEARCH_OPTIONS: ReadonlyMap<unknown, number> = new Map([
  ['VERBATIM', 1],
  ['NOSTOPWORDS', 1],
  ['WITHSCORES', 1],
  ['EXPLAINSCORE', 1],
  ['WITHPAYLOADS', 1],
  ['WITHSORTKEYS', 1],
  ['FILTER', 4],
  ['GEOFILTER', 6],
]);

/** The keys of INKEYS, among the options of a search that begin at `at`. */
function prefixInKeys(args: Wire, at: number, prefix: KeyPrefix): void {
  let option = at;
  for (let size = SEARCH_OPTIONS.get(args[option]); size; size = SEARCH_OPTIONS.get(args[option])) option += size;
  if (args[option] === 'INKEYS') prefixFrom(args, option + 2, option + 2 + Number(args[option + 1]), prefix);
}

const FT_SEARCH: Completion = (args, prefix) => prefixInKeys(args, 3, prefix);

/** FT.PROFILE index SEARCH [LIMITED] QUERY query … */
const FT_PROFILE: Completion = (args, prefix) => {
  if (args[2] === 'SEARCH') prefixInKeys(args, args[3] === 'LIMITED' ? 6 : 5, prefix);
};

const RANDOMKEY: Completion = () => {
  throw new CommandRefusedError(
    'RANDOMKEY',
    'it gives any key of the database, also one without the keyPrefix of this pool; use scanIterator()',
  );
};

/** What node-redis's encoder sends without the prefix, by the command's name. */
const COMPLETIONS: ReadonlyMap<RedisArgument, Completion> = new Map(
  Object.entries({
    KEYS,
    SCAN,
    RANDOMKEY,
    SORT,
    SORT_RO: SORT,
    'CMS.MERGE': CMS_MERGE,
    'FT.CREATE': FT_CREATE,
    'FT.SEARCH': FT_SEARCH,
    'FT.PROFILE': FT_PROFILE,
    'FT.SUGLEN': FIRST,
  }),
);
