import { defineScript, type Script, type ScriptArgument } from '../pool/script.js';
import { argsOfRules, begin, fastPath, preamble, SERVER_CLOCK } from './lua/script.js';

/** So many decisions share a script call at most: enough to spread its cost, few enough that Redis works on one while callers use another. */
const BATCH = 50;

/**
 * What is used after all calls were accepted, of one rule with nothing else to say (of a fixed window with the ms to its end: see
 * `usedOf`); or how many were accepted, and for each rule its standing: used, µs to wait, µs to the reset, µs it is blocked.
 */
export type DecideReply = number | readonly number[];

export type Adjustment = 'charge' | 'block' | 'reset';

/** The scripts for rules of these kinds, one letter each. */
export interface LimitScripts {
  readonly decide: Script<DecideReply>;
  readonly adjust: Script<'OK'>;
}

const known = new Map<string, LimitScripts>();

/** The scripts for rules of these kinds, made once. */
export function scriptsFor(kinds: string): LimitScripts {
  let scripts = known.get(kinds);
  if (!scripts) {
    scripts = makeScripts(kinds, SERVER_CLOCK);
    known.set(kinds, scripts);
  }
  return scripts;
}

/** The same with another clock: Lua that sets \`now\`, in µs. */
export function makeScripts(kinds: string, clock: string): LimitScripts {
  return { decide: decideScript(kinds, clock), adjust: adjustScript(kinds, clock) };
}

const ONE_CALL: readonly ScriptArgument[] = [1];

/** What is asked for a key: how many calls, and what each costs if not 1. */
export function callArguments(count: number, cost: number): readonly ScriptArgument[] {
  if (cost !== 1) return [`${count} ${cost}`];
  return count === 1 ? ONE_CALL : [count];
}

/*
 * Accepts as many of the calls on a key as all rules have room for, and charges the rules with them. Shared: the rules. Per call: a
 * key for each rule; one of callArguments. No key stands there twice. Returns a DecideReply per call.
 */
function decideScript(kinds: string, clock: string): Script<DecideReply> {
  const rules = kinds.length;
  return defineScript<DecideReply>({
    keys: rules,
    args: 1,
    batch: BATCH,
    usual: ONE_CALL,
    lua: `${begin(clock)}
local replies, rest = {}, nil
${fastPath(kinds)}
if not rest then return replies end
${preamble(kinds)}
local function asked(i)
  local count, cost = string.match(ARGV[${argsOfRules(kinds)} + i] or '1', '^(%d+) ?(%d*)$')
  return tonumber(count), tonumber(cost) or 1
end
local function decide(i)
  local count, cost = asked(i)
  local accepted, states = count, {}
  for r, rule in ipairs(rules) do
    local s = read[rule.kind](KEYS[(i - 1) * ${rules} + r], rule)
    local room = s.blocked > now and 0 or math.floor((rule.capacity - s.used) / (cost * rule.unit))
    if room < accepted then accepted = math.max(0, room) end
    states[r] = s
  end
  if accepted > 0 then
    for r, rule in ipairs(rules) do charge[rule.kind](KEYS[(i - 1) * ${rules} + r], rule, states[r], accepted * cost, accepted) end
  end
  local reply = { accepted }
  for r, rule in ipairs(rules) do stand(reply, KEYS[(i - 1) * ${rules} + r], rule, states[r], cost) end
  return reply
end
for _, i in ipairs(rest) do
  -- One caller's error must not be the error of those who share the script call.
  local ok, reply = pcall(decide, i)
  replies[i] = ok and reply or redis.error_reply(type(reply) == 'table' and reply.err or reply)
end
return replies`,
  });
}

/*
 * Changes what the rules know of a key, whatever room there is. KEYS: one for each rule. ARGV: the rules; 'charge' and a cost (below 0:
 * given back), 'block' and µs, or 'reset' and anything. Returns 'OK'.
 */
function adjustScript(kinds: string, clock: string): Script<'OK'> {
  const rules = kinds.length;
  return defineScript<'OK'>({
    keys: rules,
    lua: `${begin(clock)}${preamble(kinds)}
local what, amount = ARGV[${argsOfRules(kinds) + 1}], tonumber(ARGV[${argsOfRules(kinds) + 2}])
for r, rule in ipairs(rules) do
  local key = KEYS[r]
  if what == 'reset' then
    call('DEL', key)
  else
    local s = read[rule.kind](key, rule)
    if what == 'block' then
      s.blocked = now + amount
      amend[rule.kind](key, rule, s, 0)
    else
      amend[rule.kind](key, rule, s, amount)
    end
  end
end
return 'OK'`,
  });
}
