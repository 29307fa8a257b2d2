import { InvalidArgumentError } from '../errors.js';
import type { Codec } from './codec.js';

/** What is stored beside a value; most have none of it. */
export interface Meta {
  /** For how many ms the key outlives the value, which is stale then. */
  readonly g?: number;
  /** How many ms it took to load the value. */
  readonly d?: number;
  /** The version of each of its tags when it was stored: it is void if one is another now. */
  readonly t?: Readonly<Record<string, string>>;
  /** 1 if it never expires but has tags: their versions, which do expire, are then renewed when it is read. */
  readonly p?: 1;
}

/** A value as it is stored: what the codec made, behind a line of JSON if there is anything to say of it. */
export type Stored = string | Buffer;

/** No text of the codecs begins with it, or it gets a line too. */
const MARK = '\x01';
const MARK_BYTE = 1;
const NONE: Meta = {};

/** @throws {InvalidArgumentError} if the codec cannot encode the value. */
export function store<T>(codec: Codec<T>, value: T, meta: Meta): Stored {
  if (codec.binary) {
    const data = encoded(codec, value);
    if (!Buffer.isBuffer(data)) throw notEncoded(value, 'a Buffer');
    if (isEmpty(meta) && data[0] !== MARK_BYTE) return data;
    return Buffer.concat([Buffer.from(line(meta)), data]);
  }
  const data = encoded(codec, value);
  if (typeof data !== 'string') throw notEncoded(value, 'text');
  return isEmpty(meta) && !data.startsWith(MARK) ? data : line(meta) + data;
}

/** Whether there is nothing but the value. */
export function isBare(stored: Stored): boolean {
  return typeof stored === 'string' ? !stored.startsWith(MARK) : stored[0] !== MARK_BYTE;
}

/**
 * Parts what is stored.
 *
 * @throws {SyntaxError} if the line is none of ours.
 */
export function part(stored: Stored): { meta: Meta; data: Stored } {
  if (isBare(stored)) return { meta: NONE, data: stored };
  if (typeof stored === 'string') {
    const end = stored.indexOf('\n');
    return { meta: metaOf(stored.slice(1, end)), data: stored.slice(end + 1) };
  }
  const end = stored.indexOf('\n');
  return { meta: metaOf(stored.toString('utf8', 1, end)), data: stored.subarray(end + 1) };
}

/** Whether a value can be stale: then it is fresh only if its key has more time left than its grace. */
export function hasGrace(stored: Stored): boolean {
  if (isBare(stored)) return false;
  try {
    return part(stored).meta.g !== undefined;
  } catch {
    // Decoding it says what is wrong.
    return false;
  }
}

export function decode<T>(codec: Codec<T>, data: Stored): T {
  return codec.binary ? codec.decode(data as Buffer) : codec.decode(data as string);
}

function metaOf(text: string): Meta {
  const meta: unknown = JSON.parse(text);
  if (typeof meta !== 'object' || meta === null) throw new SyntaxError('this is no line of a cache');
  return meta;
}

function isEmpty({ g, d, t }: Meta): boolean {
  return g === undefined && d === undefined && t === undefined;
}

function line(meta: Meta): string {
  return `${MARK}${JSON.stringify(meta)}\n`;
}

function encoded<T>(codec: Codec<T>, value: T): unknown {
  try {
    return codec.encode(value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidArgumentError(`The codec of the cache cannot encode the value: ${reason}`, { cause: error });
  }
}

function notEncoded(value: unknown, what: string): InvalidArgumentError {
  return new InvalidArgumentError(`The codec of the cache makes no ${what} of a value of type ${typeof value}`);
}
