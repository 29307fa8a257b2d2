import { InvalidArgumentError } from '../errors.js';
import { type Codec, jsonCodec, type TextCodec } from './codec.js';

/** A validator by Standard Schema (https://standardschema.dev): zod, valibot, arktype and others. */
export interface StandardSchema<Output> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

/**
 * A codec that checks what it reads: what no longer fits the schema is a miss, and `get` is typed by the schema.
 *
 * @param codec how values are stored; default JSON.
 * @throws {InvalidArgumentError} if `schema` is no Standard Schema.
 */
export function validated<T>(schema: StandardSchema<T>, codec: Codec<unknown> = jsonCodec): Codec<T> {
  const validate = schema?.['~standard']?.validate;
  if (typeof validate !== 'function') {
    throw new InvalidArgumentError(
      'validated() needs a validator that implements Standard Schema, as zod and valibot do',
    );
  }
  const checked = (value: unknown): T => {
    const result = validate(value);
    if (result instanceof Promise) {
      throw new InvalidArgumentError('The schema validates asynchronously; a cache needs one that does not');
    }
    if (result.issues) throw new TypeError(result.issues.map(({ message }) => message).join('; '));
    return result.value;
  };
  return codec.binary
    ? { binary: true, encode: codec.encode, decode: (data) => checked(codec.decode(data)) }
    : ({ encode: codec.encode, decode: (data) => checked(codec.decode(data)) } satisfies TextCodec<T>);
}
