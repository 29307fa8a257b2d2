import { OURS, PEERS, REMEMBERING } from '../harness/limiters.mjs';
import { commands, commandsRequirements, commandsTable } from './limits/commands.mjs';
import { memory, memoryRequirements, memoryTable } from './limits/memory.mjs';
import { rates, ratesRequirements, ratesSummary, ratesTables } from './limits/rates.mjs';

export const title = 'Rate limits against rate-limiter-flexible';

/**
 * @param {import('../run.mjs').Context} context
 * @typedef {Awaited<ReturnType<typeof run>>} Result
 */
export async function run(context) {
  return {
    settings: Object.fromEntries(
      Object.entries({ ...OURS, ...PEERS, ...REMEMBERING }).map(([name, { settings }]) => [name, settings]),
    ),
    rates: await rates(context),
    commands: await commands(context),
    memory: await memory(context),
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
    ...ratesTables(result.rates),
    commandsTable(result.commands),
    memoryTable(result.memory),
  ];
}

/** @param {Result} result */
export function summary(result) {
  return [...ratesSummary(result.rates), commandsTable(result.commands), memoryTable(result.memory)];
}

/** @param {Result} result */
export function requirements(result) {
  return [
    ...ratesRequirements(result.rates),
    ...commandsRequirements(result.commands),
    ...memoryRequirements(result.memory),
  ];
}
