import { createRequire } from 'node:module';
import { InvalidArgumentError } from '../errors.js';
import type { BinaryCodec, Codec } from './codec.js';

/** Options of {@link compressed}. */
export interface CompressionOptions {
  /** Default `'gzip'`. */
  algorithm?: 'gzip' | 'brotli';
  /** Values of fewer bytes are stored as they are; default 1024. */
  threshold?: number;
}

/** The first byte says what follows. */
const PLAIN = 0;
const MARKS = { gzip: 1, brotli: 2 } as const;

interface Algorithm {
  readonly mark: number;
  compress(data: Buffer): Buffer;
  decompress(data: Buffer): Buffer;
}

/** Loaded when a cache compresses: it would be part of what importing Lagoon costs. */
function algorithms(): Readonly<Record<keyof typeof MARKS, Algorithm>> {
  const zlib = createRequire(import.meta.url)('node:zlib') as typeof import('node:zlib');
  // Of the default, the highest quality, compressing would take longer than what the cache saves.
  const quality = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } };
  return {
    gzip: { mark: MARKS.gzip, compress: (data) => zlib.gzipSync(data), decompress: (data) => zlib.gunzipSync(data) },
    brotli: {
      mark: MARKS.brotli,
      compress: (data) => zlib.brotliCompressSync(data, quality),
      decompress: (data) => zlib.brotliDecompressSync(data),
    },
  };
}

/**
 * A codec whose values are compressed. Values that another algorithm compressed are still read.
 *
 * @throws {InvalidArgumentError} for an option that cannot be right.
 */
export function compressed<T>(
  codec: Codec<T>,
  { algorithm = 'gzip', threshold = 1024 }: CompressionOptions = {},
): BinaryCodec<T> {
  if (!Object.hasOwn(MARKS, algorithm)) {
    throw new InvalidArgumentError(`algorithm must be 'gzip' or 'brotli', got ${JSON.stringify(algorithm)}`);
  }
  if (!Number.isSafeInteger(threshold) || threshold < 0) {
    throw new InvalidArgumentError(`threshold must be a whole number of bytes, got ${String(threshold)}`);
  }
  const all = algorithms();
  const { mark, compress } = all[algorithm];
  return {
    binary: true,
    encode(value) {
      const data = Buffer.from(codec.encode(value) as string);
      return data.length < threshold
        ? Buffer.concat([Buffer.of(PLAIN), data])
        : Buffer.concat([Buffer.of(mark), compress(data)]);
    },
    decode(data) {
      const rest = data.subarray(1);
      const used = Object.values(all).find((each) => each.mark === data[0]);
      if (!used && data[0] !== PLAIN) throw new TypeError('this is no compressed value');
      const plain = used ? used.decompress(rest) : rest;
      return codec.binary ? codec.decode(plain) : codec.decode(plain.toString());
    },
  };
}
