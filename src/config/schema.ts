import { createRequire } from 'node:module';
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';

/** The parts of a JSON Schema that we read ourselves. */
export interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly type?: string | readonly string[];
  readonly description?: string;
}

const require = createRequire(import.meta.url);

let schema: Schema | undefined;
let validator: ValidateFunction | undefined;

/** The published schema, found by its published name: `dist/` is bundled, and paths in it differ from those in `src/`. */
export function registrySchema(): Schema {
  schema ??= require('lagoon/schema/registry.schema.json') as Schema;
  return schema;
}

/** What ajv finds wrong with the configuration. */
export function schemaErrors(config: unknown): readonly ErrorObject[] {
  validator ??= compile();
  return validator(config) ? [] : (validator.errors ?? []);
}

/** The names of the properties that a schema knows, those of a `$ref` beside them included. */
export function propertyNames(part: Schema): string[] {
  const names = Object.keys(part.properties ?? {});
  const definition = part.$ref && registrySchema().$defs?.[part.$ref.replace('#/$defs/', '')];
  return definition ? [...names, ...propertyNames(definition)] : names;
}

function compile(): ValidateFunction {
  // Loaded here and not at the top: who imports Lagoon should not wait for ajv before there is a configuration to check.
  const { Ajv2020 } = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  // A test checks the schema itself; doing it here again would triple the time this takes.
  const options = { allErrors: true, verbose: true, allowUnionTypes: true, meta: false, validateSchema: false };
  return new Ajv2020(options).compile(registrySchema());
}
