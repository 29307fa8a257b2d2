import type { ErrorObject } from 'ajv/dist/2020.js';
import type { ConfigIssue } from '../errors.js';
import { pointer, safeName, tokensOf } from './issues.js';
import { nearestName } from './nearest.js';
import { propertyNames, type Schema } from './schema.js';

/** The properties that say where a pool leads: it has exactly one of them. */
export const TOPOLOGY_NAMES = ['address', 'sentinel', 'cluster'] as const;
const ONE_OF = 'exactly one of "address", "sentinel" and "cluster"';

/** Properties whose value is never shown, whatever it is. */
const SECRET_NAMES = new Set(['password', 'sentinelPassword', 'key', 'cert', 'ca']);

export const DURATION_RULE =
  "must be a duration greater than 0 and less than 25 days: whole milliseconds, or a string such as '250ms', '10s', '1m', '2h', '1d'";

/** One of ajv's errors in words; `undefined` for those that only repeat what another one says. */
export function explain(error: ErrorObject): ConfigIssue | undefined {
  const place = tokensOf(error.instancePath);
  const at = (message: string) => ({ path: pointer(...place), message });
  const got = `, got ${show(error.data, place.at(-1))}`;
  const limit = error.params.limit as number;
  if (error.keyword === 'if' || error.propertyName !== undefined) return undefined;
  if (error.schemaPath.startsWith('#/$defs/duration/')) return at(DURATION_RULE + got);

  switch (error.keyword) {
    case 'type':
      return at(`must be ${typeNames(error.params.type as string | string[], place)}${got}`);
    case 'enum':
      return at(
        `must be ${(error.params.allowedValues as string[]).map((value) => JSON.stringify(value)).join(' or ')}${got}`,
      );
    case 'const':
      return at(`must be 0: a cluster has no other database${got}`);
    case 'minimum':
      return at(`must be ${limit} or more${got}`);
    case 'maximum':
      return at(`must be ${limit} or less${got}`);
    case 'minLength':
      return at('must not be empty');
    case 'minItems':
      return at('must name at least one node');
    case 'minProperties':
      return at('must hold at least one pool');
    case 'pattern':
      return at(`must be printable ASCII without spaces${got}`);
    case 'propertyNames':
      return { path: pointer(...place, ''), message: 'the code of a pool must not be empty' };
    case 'required':
      return missing(error.params.missingProperty as string, place);
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return unknown(error, place);
    default:
      return at(`${error.message ?? 'is not valid'}${got}`);
  }
}

/** A value as it may be shown in a message: in full only if it cannot be a secret. */
export function show(value: unknown, name?: string): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'string') {
    const harmless = value === '' || /^[-+.]?\d[\d.]{0,15}\s?[a-z]{0,12}$/i.test(value);
    return harmless && !SECRET_NAMES.has(name ?? '') ? JSON.stringify(value) : 'a string';
  }
  return SECRET_NAMES.has(name ?? '') ? `a ${typeof value}` : String(value);
}

function typeNames(types: string | readonly string[], place: readonly string[]): string {
  const quoteIt = SECRET_NAMES.has(place.at(-1) ?? '') ? ' (quote it if it looks like a number)' : '';
  const words: Record<string, string> = {
    string: `a string${quoteIt}`,
    integer: 'a whole number',
    boolean: 'true or false',
    object: 'an object',
    array: 'an array',
  };
  return [types]
    .flat()
    .map((type) => words[type as string] ?? type)
    .join(' or ');
}

function missing(name: string, place: readonly string[]): ConfigIssue {
  // The schema takes a pool that names no topology for a standalone one.
  if (name === 'address' && isPool(place)) return { path: pointer(...place), message: `must have ${ONE_OF}` };
  return { path: pointer(...place, name), message: 'is missing' };
}

function unknown(error: ErrorObject, place: readonly string[]): ConfigIssue {
  const { additionalProperty, unevaluatedProperty } = error.params as Record<string, string>;
  const name = additionalProperty ?? unevaluatedProperty ?? '';
  const path = pointer(...place, name);
  if (isPool(place) && TOPOLOGY_NAMES.some((topology) => topology === name)) {
    return { path, message: `is one too many: a pool has ${ONE_OF}` };
  }
  if (isPool(place) && name === 'replicas') {
    return { path, message: 'is for pools on Sentinel or a cluster: only they tell which servers are replicas' };
  }
  const allowed = propertyNames(error.parentSchema as Schema);
  const others = isPool(place) ? TOPOLOGY_NAMES : [];
  const meant = nearestName(name, [...allowed, ...others]);
  const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`;
  return {
    path,
    message: `${JSON.stringify(safeName(name))} is not a property here${hint} (allowed: ${allowed.join(', ')})`,
  };
}

function isPool(place: readonly string[]): boolean {
  return place.length === 2 && place[0] === 'pools';
}
