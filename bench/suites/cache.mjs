import { CACHES } from '../harness/caches.mjs';
import { hits, hitsRequirements, hitsSummary, hitsTables } from './cache/hits.mjs';
import { many, manyRequirements, manyTable } from './cache/many.mjs';
import { misses, missesSummary, missesTable } from './cache/misses.mjs';
import { staleness, stalenessRequirements, stalenessTable } from './cache/staleness.mjs';
import { stampede, stampedeRequirements, stampedeTable } from './cache/stampede.mjs';

export const title = 'Caches against bentocache, cache-manager and Keyv';

/**
 * @param {import('../run.mjs').Context} context
 * @typedef {Awaited<ReturnType<typeof run>>} Result
 */
export async function run(context) {
  return {
    settings: Object.fromEntries(Object.entries(CACHES).map(([name, { settings }]) => [name, settings])),
    hits: await hits(context),
    many: await many(context),
    misses: await misses(context),
    stampede: await stampede(context),
    staleness: await staleness(context),
  };
}

/** @param {Result} result */
export function tables(result) {
  return [
    {
      caption: 'Settings',
      columns: ['', ''],
      rows: Object.entries(result.settings),
    },
    ...hitsTables(result.hits),
    manyTable(result.many),
    missesTable(result.misses),
    stampedeTable(result.stampede),
    stalenessTable(result.staleness),
  ];
}

/** @param {Result} result */
export function summary(result) {
  return [
    ...hitsSummary(result.hits),
    manyTable(result.many),
    missesSummary(result.misses),
    stampedeTable(result.stampede),
    stalenessTable(result.staleness),
  ];
}

/** @param {Result} result */
export function requirements(result) {
  return [
    ...hitsRequirements(result.hits),
    ...manyRequirements(result.many),
    ...stampedeRequirements(result.stampede),
    ...stalenessRequirements(result.staleness),
  ];
}
