import { safeName } from '../config/issues.js';
import { nearestName } from '../config/nearest.js';
import { InvalidArgumentError } from '../errors.js';
import type { QueryEvent, QueryHandler } from './query-event.js';

/** Which commands a handler is called for: those that meet every condition given, or those a function says yes to. */
export type QueryFilter =
  | {
      /** Codes of pools. */
      readonly pools?: readonly string[];
      /** Commands in any letter case; `CLIENT` stands for all its subcommands, `CLIENT ID` for one. */
      readonly operations?: readonly string[];
      /** Only what took at least this long, in microseconds. */
      readonly minDurationUs?: number;
      /** Only what failed. */
      readonly errorsOnly?: boolean;
    }
  | ((event: QueryEvent) => boolean);

type Condition = (event: QueryEvent) => boolean;

/** For each property of a filter: the condition it makes. */
const CONDITIONS: Readonly<Record<string, (value: unknown) => Condition>> = {
  pools(value) {
    const pools = new Set(names(value, 'pools'));
    return (event) => pools.has(event.pool);
  },
  operations(value) {
    const operations = new Set(names(value, 'operations').map((name) => name.trim().replace(/\s+/, ' ').toUpperCase()));
    return ({ operation }) => operations.has(operation) || operations.has(operation.split(' ', 1)[0] as string);
  },
  minDurationUs(value) {
    if (typeof value !== 'number' || !(value >= 0) || value === Number.POSITIVE_INFINITY) {
      throw new InvalidArgumentError(
        `minDurationUs of a query filter must be a number of microseconds, 0 or more, got ${shown(value)}`,
      );
    }
    return (event) => event.durationUs >= value;
  },
  errorsOnly(value) {
    if (typeof value !== 'boolean') {
      throw new InvalidArgumentError(`errorsOnly of a query filter must be true or false, got ${shown(value)}`);
    }
    return (event) => !value || event.error !== undefined;
  },
};

export function resolveFilter(filter: QueryFilter | undefined): Condition {
  if (filter === undefined) return () => true;
  if (typeof filter === 'function') return filter;
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter)) {
    throw new InvalidArgumentError(`A query filter must be an object or a function, got ${shown(filter)}`);
  }
  const conditions = Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .map(([property, value]) => condition(property, value));
  return (event) => conditions.every((holds) => holds(event));
}

export function resolveHandler(handler: QueryHandler): (event: QueryEvent) => unknown {
  if (typeof handler === 'function') return handler;
  throw new InvalidArgumentError(`A query handler must be a function, got ${shown(handler)}`);
}

function condition(property: string, value: unknown): Condition {
  const make = Object.hasOwn(CONDITIONS, property) ? CONDITIONS[property] : undefined;
  if (make) return make(value);
  const names = Object.keys(CONDITIONS);
  const meant = nearestName(property, names);
  const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`;
  throw new InvalidArgumentError(
    `A query filter has no property ${JSON.stringify(safeName(property.slice(0, 40)))}${hint} (allowed: ${names.join(', ')})`,
  );
}

function names(value: unknown, property: string): string[] {
  if (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string' && name.trim() !== '')
  ) {
    return value;
  }
  throw new InvalidArgumentError(
    `${property} of a query filter must list at least one name (leave it out for all of them), got ${shown(value)}`,
  );
}

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return `a ${typeof value}`;
  }
}
