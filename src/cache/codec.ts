/** How values become text and back. `decode` throws for text that is none of its. */
export interface TextCodec<T> {
  readonly binary?: false;
  encode(value: T): string;
  decode(data: string): T;
}

/** How values become bytes and back. `decode` throws for bytes that are none of its. */
export interface BinaryCodec<T> {
  readonly binary: true;
  encode(value: T): Buffer;
  decode(data: Buffer): T;
}

/** How values are stored in Redis. */
export type Codec<T> = TextCodec<T> | BinaryCodec<T>;

/** JSON, the default. What JSON does not know (a Date, a Map) comes back as what JSON makes of it. */
export const jsonCodec: TextCodec<unknown> = {
  encode: (value) => JSON.stringify(value),
  decode: (data) => JSON.parse(data) as unknown,
};

/** Text as it is. */
export const stringCodec: TextCodec<string> = {
  encode: (value) => value,
  decode: (data) => data,
};

/** Bytes as they are. */
export const bufferCodec: BinaryCodec<Buffer> = {
  binary: true,
  encode: (value) => value,
  decode: (data) => data,
};
