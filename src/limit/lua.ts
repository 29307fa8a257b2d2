/*
 * The algorithms in Redis: `algorithms.ts` says the same in TypeScript, and tests compare the two. Of each key a
 * script reads a state `s` as it is at the time `s.now`, and writes it back charged. Times are µs; a number is written as
 * 7 bytes, which hold every whole number that Lua can count exactly.
 *   blocked  nothing is allowed before
 *   used     what is used, in the units of the quota
 */
import type { QuotaKind } from './quota.js';

/** The server's clock; never the caller's. */
export const SERVER_CLOCK = `local time = call('TIME')
local now = time[1] * 1000000 + time[2]`;

const COMMON = `
local pack, parse = struct.pack, struct.unpack
-- A key outlives what it says, by up to 2 ms and never less.
local function ttl(us) return math.floor(us / 1000) + 2 end
local read, charge, amend, wait, reset = {}, {}, {}, {}, {}
`;

/*
 * Sliding window: blocked, used, and behind them for each call that was accepted when, and its cost; the oldest first. A string, as long
 * as it is short: one command to read and one to write. A list of the same numbers once it is long: then what a decision
 * costs does not grow with the window.
 */
const SLIDING_WINDOW = `
local SHORT, CHUNK = 64, 64

local function read_list(key, period)
  local head = call('LRANGE', key, 0, 3)
  local s = { long = true, blocked = tonumber(head[1]), used = tonumber(head[2]), expired = 0, newest = tonumber(call('LINDEX', key, -2)) }
  s.now = math.max(now, s.newest)
  local at, cost = tonumber(head[3]), tonumber(head[4])
  local from, chunk, i = 4, nil, 1
  while at and at + period <= s.now do
    s.used = s.used - cost
    s.expired = s.expired + 1
    if not chunk or i > #chunk then
      chunk, i = call('LRANGE', key, from, from + 2 * CHUNK - 1), 1
      from = from + 2 * CHUNK
    end
    at, cost = tonumber(chunk[i]), tonumber(chunk[i + 1])
    i = i + 2
  end
  return s
end

function read.s(key, rule)
  local packed = redis.pcall('GET', key)
  if not packed then return { blocked = 0, used = 0, now = now, live = '' } end
  if type(packed) == 'table' then return read_list(key, rule.period) end
  local blocked, used, at, cost = parse('>I7I7I7I7', packed)
  local newest = parse('>I7', packed, #packed - 13)
  local s = { blocked = blocked, now = newest > now and newest or now, newest = newest }
  local from, period = 15, rule.period
  while at + period <= s.now do
    used = used - cost
    from = from + 14
    if from > #packed then break end
    at, cost = parse('>I7I7', packed, from)
  end
  s.used, s.live = used, string.sub(packed, from)
  return s
end

local function lifetime(s, period) return ttl(math.max(period, s.blocked - s.now)) end

local function write_list(key, rule, s, at, cost)
  if s.expired > 0 then
    call('LTRIM', key, 2 + 2 * s.expired, -1)
    call('LPUSH', key, s.used, s.blocked)
  else
    call('LSET', key, 0, s.blocked)
    call('LSET', key, 1, s.used)
  end
  s.expired = 0
  if at then call('RPUSH', key, at, cost) end
  call('PEXPIRE', key, lifetime(s, rule.period))
end

local function write_string(key, rule, s, live)
  s.live = live
  if #live <= SHORT * 14 then
    call('SET', key, pack('>I7I7', s.blocked, s.used) .. live, 'PX', lifetime(s, rule.period))
    return
  end
  local list = { s.blocked, s.used }
  for from = 1, #live, 14 do
    list[#list + 1], list[#list + 2] = parse('>I7I7', live, from)
  end
  call('DEL', key)
  call('RPUSH', key, unpack(list))
  call('PEXPIRE', key, lifetime(s, rule.period))
end

function charge.s(key, rule, s, cost)
  s.used = s.used + cost
  s.newest = s.now
  if s.long then write_list(key, rule, s, s.now, cost) else write_string(key, rule, s, s.live .. pack('>I7I7', s.now, cost)) end
end

-- Gives back the newest first. A string without any call would not be read: one that cost nothing keeps the block.
local function write_left(key, rule, s, live)
  if live == '' and s.blocked > s.now then live = pack('>I7I7', s.now, 0) end
  if live == '' then call('DEL', key) else write_string(key, rule, s, live) end
end

function amend.s(key, rule, s, cost)
  if cost > 0 then return charge.s(key, rule, s, cost) end
  local excess, live = -cost, s.live
  while excess > 0 and s.used > 0 do
    local at, newest
    if s.long then
      at, newest = unpack(call('LRANGE', key, -2, -1))
    else
      at, newest = parse('>I7I7', live, #live - 13)
    end
    local back = math.min(excess, newest)
    excess, s.used = excess - back, s.used - back
    if s.long then
      call('RPOP', key, 2)
      if back < tonumber(newest) then call('RPUSH', key, at, newest - back) end
    else
      live = string.sub(live, 1, #live - 14) .. (back < newest and pack('>I7I7', at, newest - back) or '')
    end
  end
  if s.long and s.used > 0 then return write_list(key, rule, s) end
  if s.long then call('DEL', key) end
  write_left(key, rule, s, live or '')
end

-- In how many µs so much is free as the cost needs.
function wait.s(key, rule, s, cost)
  local excess = s.used + cost - rule.capacity
  if excess <= 0 then return 0 end
  local at, freed
  if not s.long then
    for from = 1, #s.live, 14 do
      at, freed = parse('>I7I7', s.live, from)
      excess = excess - freed
      if excess <= 0 then return at + rule.period - s.now end
    end
    return 0
  end
  local from = 2 + 2 * s.expired
  while true do
    local chunk = call('LRANGE', key, from, from + 2 * CHUNK - 1)
    if #chunk == 0 then return 0 end
    for i = 1, #chunk, 2 do
      excess = excess - chunk[i + 1]
      if excess <= 0 then return chunk[i] + rule.period - s.now end
    end
    from = from + 2 * CHUNK
  end
end

function reset.s(rule, s)
  return s.used > 0 and s.newest + rule.period - s.now or 0
end
`;

/* GCRA: blocked, the time that \`used\` is of, used, and the drain that it is in units of. */
const GCRA = `
function read.g(key, rule)
  local packed = call('GET', key)
  if not packed then return { blocked = 0, used = 0, now = now } end
  local blocked, at, used, drain = parse('>I7I7I7I7', packed)
  -- The limit of this key is another than it was.
  if drain ~= rule.drain then used = math.ceil(used / drain * rule.drain) end
  local s = { blocked = blocked, now = math.max(now, at) }
  s.used = math.max(0, used - (s.now - at) * rule.drain)
  return s
end

function charge.g(key, rule, s, cost)
  s.used = math.min(9007199254740991, math.max(0, s.used + cost * rule.unit))
  local lasts = math.max(s.used / rule.drain, s.blocked - s.now)
  call('SET', key, pack('>I7I7I7I7', s.blocked, s.now, s.used, rule.drain), 'PX', ttl(lasts))
end

amend.g = charge.g
function wait.g() return 0 end
function reset.g() return 0 end
`;

/* Fixed window: blocked, when the window began, used. */
const FIXED_WINDOW = `
function read.f(key, rule)
  local packed = call('GET', key)
  if not packed then return { blocked = 0, used = 0, now = now, start = now } end
  local blocked, start, used = parse('>I7I7I7', packed)
  local s = { blocked = blocked, now = math.max(now, start), start = start, used = used }
  if start + rule.period <= s.now then s.start, s.used = s.now, 0 end
  return s
end

function charge.f(key, rule, s, cost)
  s.used = math.min(9007199254740991, math.max(0, s.used + cost))
  local lasts = math.max(s.start + rule.period, s.blocked) - s.now
  call('SET', key, pack('>I7I7I7', s.blocked, s.start, s.used), 'PX', ttl(lasts))
end

amend.f = charge.f

function wait.f(key, rule, s, cost)
  return s.used + cost > rule.capacity and s.start + rule.period - s.now or 0
end

function reset.f(rule, s)
  return s.used > 0 and s.start + rule.period - s.now or 0
end
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

/** Takes the rules, one after the other, from ARGV: period in µs, capacity, unit, drain. */
const rulesOf = (kinds: string) => `
local rules = {}
for i, kind in ipairs({ ${[...kinds].map((kind) => `'${kind}'`).join(', ')} }) do
  local arg = i * ${ARGS_PER_RULE} - ${ARGS_PER_RULE - 1}
  rules[i] = { kind = kind, period = tonumber(ARGV[arg]), capacity = tonumber(ARGV[arg + 1]), unit = tonumber(ARGV[arg + 2]), drain = tonumber(ARGV[arg + 3]) }
end
`;

export const ARGS_PER_RULE = 4;

const ALGORITHMS: Readonly<Record<QuotaKind, string>> = { s: SLIDING_WINDOW, g: GCRA, f: FIXED_WINDOW };

/** What every script begins with: the clock, the algorithms of its rules, and the rules. */
export function preamble(kinds: string, clock: string): string {
  const algorithms = [...new Set(kinds)].map((kind) => ALGORITHMS[kind as QuotaKind]);
  return `local call = redis.call\n${clock}\n${COMMON}${algorithms.join('')}${STANDING}${rulesOf(kinds)}`;
}
