import { LOCKERS, TUNED } from '../harness/lockers.mjs';
import { contended, contendedRequirements, contendedTables } from './locks/contended.mjs';
import { renewal, renewalRequirements, renewalTable } from './locks/renewal.mjs';
import { uncontended, uncontendedRequirements, uncontendedSummary, uncontendedTable } from './locks/uncontended.mjs';

export const title = 'Locks against other libraries';

/**
 * @param {import('../run.mjs').Context} context
 * @typedef {Awaited<ReturnType<typeof run>>} Result
 */
export async function run(context) {
  return {
    settings: Object.fromEntries(
      Object.entries({ ...LOCKERS, ...TUNED }).map(([name, { settings }]) => [name, settings]),
    ),
    uncontended: await uncontended(context),
    contended: await contended(context),
    renewal: await renewal(context),
  };
}

/** @param {Result} result */
export function tables(result) {
  return [
    {
      caption: 'Settings; the peers are on ioredis with its defaults',
      columns: ['', ''],
      rows: Object.entries(result.settings),
    },
    uncontendedTable(result.uncontended),
    ...contendedTables(result.contended),
    renewalTable(result.renewal),
  ];
}

/** @param {Result} result */
export function summary(result) {
  return [uncontendedSummary(result.uncontended), ...contendedTables(result.contended), renewalTable(result.renewal)];
}

/** @param {Result} result */
export function requirements(result) {
  return [
    ...uncontendedRequirements(result.uncontended),
    ...contendedRequirements(result.contended),
    ...renewalRequirements(result.renewal),
  ];
}
