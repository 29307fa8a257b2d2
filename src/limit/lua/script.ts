/*
 * The algorithms in Redis: `algorithms.ts` says the same in TypeScript, and tests compare the two. Of each key a
 * script reads a state `s` as it is at the time `s.now`, and writes it back charged. Times are µs; a number is written as
 * 7 bytes, which hold every whole number that Lua can count exactly.
 *   blocked  nothing is allowed before
 *   used     what is used, in the units of the quota
 */
import type { Quota, QuotaKind } from '../quota.js';
import type { Algorithm } from './algorithm.js';
import { FIXED_WINDOW } from './fixed-window.js';
import { GCRA } from './gcra.js';
import { SLIDING_WINDOW } from './sliding-window.js';

/** What tells a script of a rule, in this order; of the others only GCRA knows another than 1 and 0. */
const RULE_FIELDS: Readonly<Record<QuotaKind, readonly ('periodUs' | 'capacity' | 'unit' | 'drain')[]>> = {
  s: ['periodUs', 'capacity'],
  g: ['periodUs', 'capacity', 'unit', 'drain'],
  f: ['periodUs', 'capacity'],
};

/** The arguments that tell a script its rules. */
export function ruleArguments(quotas: readonly Quota[]): number[] {
  return quotas.flatMap((quota) => RULE_FIELDS[quota.kind].map((field) => quota[field]));
}

/** How many arguments the rules of a script have; those of the calls stand behind them. */
export function argsOfRules(kinds: string): number {
  return [...kinds].reduce((sum, kind) => sum + RULE_FIELDS[kind as QuotaKind].length, 0);
}

/** The server's clock; never the caller's. */
export const SERVER_CLOCK = `local time = call('TIME')
local now = time[1] * 1000000 + time[2]`;

const ALGORITHMS: Readonly<Record<QuotaKind, Algorithm>> = { s: SLIDING_WINDOW, g: GCRA, f: FIXED_WINDOW };

/** What every script begins with. */
export function begin(clock: string): string {
  return `local call, pack, parse = redis.call, struct.pack, struct.unpack\n${clock}\n`;
}

/**
 * What most calls are, done at once and before anything is defined that only the others need: calls of cost 1 on a key with one
 * rule, which has room for all `n` of them, is not blocked, and whose state needs little but to be charged. Serves what it can, and
 * leaves the numbers of the other calls in `rest`. What goes wrong is left to them too: they say whose error it is. A
 * command costs Redis more than all else here, so keys are read together; an argument that is a number, a third of a command; and
 * `+ 0` makes a number for less than a call of `tonumber`.
 */
export function fastPath(kinds: string): string {
  if (kinds.length > 1) return `rest = {} for i = 1, #KEYS / ${kinds.length} do rest[i] = i end`;
  const { before, each } = ALGORITHMS[kinds as QuotaKind].fast;
  return `
local keys, args, sub, try = KEYS, ARGV, string.sub, redis.pcall
local period, capacity = args[1] + 0, args[2] + 0
${before}
for i = 1, #keys do
  local key, asked, n, reply = keys[i], args[${argsOfRules(kinds)} + i], 1, nil
  if asked and asked ~= '1' then n = tonumber(asked) end
  if n and n > 0 then${each}
  end
  -- To a call that is alone an array of replies would cost as much as a command.
  if reply and not keys[2] then return reply end
  replies[i] = reply or false
  if not reply then
    rest = rest or {}
    rest[#rest + 1] = i
  end
end
`;
}

const COMMON = `
-- A key outlives what it says, by up to 2 ms and never less.
local function ttl(us) return math.floor(us / 1000) + 2 end
local read, charge, amend, wait, reset = {}, {}, {}, {}, {}
`;

/** What a script says of one rule: as a standing, in this order. */
const STANDING = `
local function stand(replies, key, rule, s, cost)
  replies[#replies + 1] = s.used
  replies[#replies + 1] = wait[rule.kind](key, rule, s, cost)
  replies[#replies + 1] = reset[rule.kind](rule, s)
  replies[#replies + 1] = math.max(0, s.blocked - now)
end
`;

/** Takes the rules from ARGV. */
function rulesOf(kinds: string): string {
  let arg = 0;
  const rules = [...kinds].map((kind) => {
    const own = RULE_FIELDS[kind as QuotaKind];
    const value = (field: (typeof own)[number], other: number) =>
      own.includes(field) ? `tonumber(ARGV[${arg + own.indexOf(field) + 1}])` : other;
    const rule = `{ kind = '${kind}', period = ${value('periodUs', 0)}, capacity = ${value('capacity', 0)}, unit = ${value('unit', 1)}, drain = ${value('drain', 0)} }`;
    arg += own.length;
    return rule;
  });
  return `local rules = { ${rules.join(', ')} }`;
}

/** The algorithms of a script's rules, and the rules. */
export function preamble(kinds: string): string {
  const algorithms = [...new Set(kinds)].map((kind) => ALGORITHMS[kind as QuotaKind].whole);
  return `${COMMON}${algorithms.join('')}${STANDING}${rulesOf(kinds)}`;
}
