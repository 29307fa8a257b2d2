import { constants } from 'node:buffer';
import { createRequire } from 'node:module';
import { InvalidArgumentError } from '../errors.js';
import { checkOptions, type OptionTable } from '../options.js';
import type { BinaryCodec, Codec } from './codec.js';

/** Options of {@link compressed}. */
export interface CompressionOptions {
  /** Default `'gzip'`. */
  algorithm?: 'gzip' | 'brotli';
  /** Values of fewer bytes are stored as they are; default 1024. */
  threshold?: number;
  /**
   * Bytes at most that a value has before it is compressed; default 64 MiB. A larger one is refused by `put`, and counts as a value
   * that does not decode where it is read: a few KB from Redis could otherwise take all memory.
   */
  maxBytes?: number;
}

const OPTIONS: OptionTable<CompressionOptions> = {
  algorithm: ['type', 'format', 'method'],
  threshold: ['minSize', 'minBytes'],
  maxBytes: ['maxSize', 'maxOutputLength', 'limit'],
};

/** The first byte says what follows. */
const PLAIN = 0;
const MARKS = { gzip: 1, brotli: 2 } as const;

interface Algorithm {
  readonly mark: number;
  compress(data: Buffer): Buffer;
  decompress(data: Buffer, maxOutputLength: number): Buffer;
}

/** Loaded when a cache compresses: it would be part of what importing Lagoon costs. */
function algorithms(): Readonly<Record<keyof typeof MARKS, Algorithm>> {
  const zlib = createRequire(import.meta.url)('node:zlib') as typeof import('node:zlib');
  // Of the default, the highest quality, compressing would take longer than what the cache saves.
  const quality = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } };
  return {
    gzip: {
      mark: MARKS.gzip,
      compress: (data) => zlib.gzipSync(data),
      decompress: (data, maxOutputLength) => zlib.gunzipSync(data, { maxOutputLength }),
    },
    brotli: {
      mark: MARKS.brotli,
      compress: (data) => zlib.brotliCompressSync(data, quality),
      decompress: (data, maxOutputLength) => zlib.brotliDecompressSync(data, { maxOutputLength }),
    },
  };
}

/**
 * A codec whose values are compressed. Values that another algorithm compressed are still read.
 *
 * @throws {InvalidArgumentError} for an option that cannot be right.
 */
export function compressed<T>(codec: Codec<T>, options: CompressionOptions = {}): BinaryCodec<T> {
  checkOptions('compressed', options, OPTIONS);
  const { algorithm = 'gzip', threshold = 1024, maxBytes = 64 * 1024 * 1024 } = options;
  if (!Object.hasOwn(MARKS, algorithm)) {
    throw new InvalidArgumentError(`algorithm must be 'gzip' or 'brotli', got ${JSON.stringify(algorithm)}`);
  }
  if (!Number.isSafeInteger(threshold) || threshold < 0) {
    throw new InvalidArgumentError(`threshold must be a whole number of bytes, got ${String(threshold)}`);
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
    throw new InvalidArgumentError(`maxBytes must be a whole number of bytes, 1 or more, got ${String(maxBytes)}`);
  }
  const all = algorithms();
  const { mark, compress } = all[algorithm];
  return {
    binary: true,
    encode(value) {
      const data = Buffer.from(codec.encode(value) as string);
      if (data.length > maxBytes) throw tooLarge(maxBytes);
      return data.length < threshold
        ? Buffer.concat([Buffer.of(PLAIN), data])
        : Buffer.concat([Buffer.of(mark), compress(data)]);
    },
    decode(data) {
      const rest = data.subarray(1);
      const used = Object.values(all).find((each) => each.mark === data[0]);
      if (!used && data[0] !== PLAIN) throw new TypeError('this is no compressed value');
      const plain = used ? expanded(rest, used, maxBytes) : rest;
      if (plain.length > maxBytes) throw tooLarge(maxBytes);
      return codec.binary ? codec.decode(plain) : codec.decode(plain.toString());
    },
  };
}

/** Stops as soon as there are more than `maxBytes`. */
function expanded(data: Buffer, { decompress }: Algorithm, maxBytes: number): Buffer {
  try {
    // zlib takes no more than a Buffer can have.
    return decompress(data, Math.min(maxBytes, constants.MAX_LENGTH));
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(maxBytes) : error;
  }
}

function tooLarge(maxBytes: number): RangeError {
  return new RangeError(`the value is larger than the maxBytes (${maxBytes}) of compressed()`);
}
