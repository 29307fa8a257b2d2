/*
 * The algorithms in Redis: `algorithms.ts` says the same in TypeScript, and tests compare the two. Of each key a
 * script reads a state `s` as it is at the time `s.now`, and writes it back charged. Times are µs; a number is written as
 * 7 bytes, which hold every whole number that Lua can count exactly.
 *   blocked  nothing is allowed before
 *   used     what is used, in the units of the quota
 */
import type { QuotaKind } from './quota.js';

/** Numbers that tell a script of one rule: period in µs, capacity, unit, drain. */
export const ARGS_PER_RULE = 4;

/** The server's clock; never the caller's. */
export const SERVER_CLOCK = `local time = call('TIME')
local now = time[1] * 1000000 + time[2]`;

/** What every script begins with. */
export function begin(clock: string): string {
  return `local call = redis.call\n${clock}\n`;
}

const COMMON = `
local pack, parse = struct.pack, struct.unpack
-- A key outlives what it says, by up to 2 ms and never less.
local function ttl(us) return math.floor(us / 1000) + 2 end
local read, charge, amend, wait, reset = {}, {}, {}, {}, {}
`;

/*
 * Sliding window: what was accepted when, the oldest first: 7 bytes of time and 4 of cost each. Few calls are a string that
 * is read and written as a whole: blocked, used, until when the key lives, the calls. More are a ring in a string of which a decision
 * touches a few bytes, so that what it costs does not grow with the window: 255, blocked, used, until when the key lives, the oldest
 * and the newest time, the first place, calls, places. A key lives for up to twice as long as it must, as to set its expiry costs as much as
 * a command: once in a period is enough.
 */
const FEW = 32;
const CALL = 11;
const HEAD = 21;
const RING = 48;
/** The last byte of a few calls. */
const LAST = HEAD + FEW * CALL - 1;
const WINDOW_FORMATS = `local HEAD, CALL, RING = '>I7I7I7', '>I7I4', '>I1I7I7I7I7I7I4I4I4'`;

const SLIDING_WINDOW = `
${WINDOW_FORMATS}

-- Calls fn with each call, the oldest first, until it returns true.
local function each(key, s, fn)
  local i, part = 0, s.live
  while i < s.count do
    local n = s.count
    if s.ring then
      local place = (s.first + i) % s.places
      n = math.min(64, s.count - i, s.places - place)
      part = call('GETRANGE', key, ${RING} + place * ${CALL}, ${RING - 1} + (place + n) * ${CALL})
    end
    for j = 1, n * ${CALL}, ${CALL} do
      if fn(parse(CALL, part, j)) then return end
    end
    i = i + n
  end
end

-- The calls of a ring in their order.
local function all(key, s)
  local parts, i = {}, 0
  while i < s.count do
    local place = (s.first + i) % s.places
    local n = math.min(s.count - i, s.places - place)
    parts[#parts + 1] = call('GETRANGE', key, ${RING} + place * ${CALL}, ${RING - 1} + (place + n) * ${CALL})
    i = i + n
  end
  return table.concat(parts)
end

function read.s(key, rule)
  local packed = call('GETRANGE', key, '0', '${LAST}')
  if packed == '' then return { blocked = 0, used = 0, lives = 0, now = now, live = '', count = 0 } end
  local s
  if string.byte(packed) == 255 then
    local _, blocked, used, lives, oldest, newest, first, count, places = parse(RING, packed)
    s = { ring = true, blocked = blocked, used = used, lives = lives, newest = newest, first = first, count = count, places = places }
  else
    local blocked, used, lives = parse(HEAD, packed)
    s = { blocked = blocked, used = used, lives = lives, live = string.sub(packed, ${HEAD + 1}), count = (#packed - ${HEAD}) / ${CALL} }
    local newest, cost = parse(CALL, packed, #packed - ${CALL - 1})
    s.newest = cost > 0 and newest or 0
  end
  s.now = math.max(now, s.newest)
  local expired = 0
  each(key, s, function(at, cost)
    s.oldest = at
    if at + rule.period > s.now then return true end
    s.used = s.used - cost
    expired = expired + 1
  end)
  if s.ring then s.first = (s.first + expired) % s.places else s.live = string.sub(s.live, expired * ${CALL} + 1) end
  s.count = s.count - expired
  return s
end

-- For how many ms the key is to live from now on, unless it lives for long enough, and not for too long by a clock that was set back.
local function lifetime(s, rule)
  local needs, left = math.max(rule.period, s.blocked - now), s.lives - now
  if left >= needs and left <= 2 * needs then return nil end
  s.lives = now + 2 * needs
  return ttl(2 * needs)
end

local function write(key, px, value)
  if px then call('SET', key, value, 'PX', px) else call('SET', key, value, 'KEEPTTL') end
end

local function write_few(key, rule, s, live)
  s.ring, s.live, s.count = nil, live, #live / ${CALL}
  write(key, lifetime(s, rule), pack(HEAD, s.blocked, s.used, s.lives) .. live)
end

local function ring(s)
  return pack(RING, 255, s.blocked, s.used, s.lives, s.oldest, s.newest, s.first, s.count, s.places)
end

-- A seventh more places than calls: seldom made anew, and little room for nothing.
local function write_many(key, rule, s, calls)
  s.ring, s.first, s.count = true, 0, #calls / ${CALL}
  s.places = math.floor(s.count * 8 / 7)
  local px = lifetime(s, rule)
  write(key, px, ring(s) .. calls .. string.rep('\\0', (s.places - s.count) * ${CALL}))
end

local function write_ring(key, rule, s)
  local px = lifetime(s, rule)
  call('SETRANGE', key, 0, ring(s))
  if px then call('PEXPIRE', key, px) end
end

function charge.s(key, rule, s, cost)
  local new = pack(CALL, s.now, cost)
  s.used, s.newest = s.used + cost, s.now
  if s.used == cost then s.ring, s.live, s.count, s.oldest = nil, '', 0, s.now end
  if s.count < (s.ring and ${FEW / 2} or ${FEW}) then
    write_few(key, rule, s, (s.ring and all(key, s) or s.live) .. new)
  elseif s.ring and s.count < s.places then
    call('SETRANGE', key, ${RING} + (s.first + s.count) % s.places * ${CALL}, new)
    s.count = s.count + 1
    write_ring(key, rule, s)
  else
    write_many(key, rule, s, (s.ring and all(key, s) or s.live) .. new)
  end
end

-- Gives back the newest first.
function amend.s(key, rule, s, cost)
  if cost > 0 then return charge.s(key, rule, s, cost) end
  local calls, excess = s.ring and all(key, s) or s.live, -cost
  while excess > 0 and calls ~= '' do
    local at, newest = parse(CALL, calls, #calls - ${CALL - 1})
    local back = math.min(excess, newest)
    excess, s.used = excess - back, s.used - back
    calls = string.sub(calls, 1, #calls - ${CALL}) .. (back < newest and pack(CALL, at, newest - back) or '')
  end
  if calls == '' and s.blocked <= now then return call('DEL', key) end
  -- What is blocked and was never called is told by a call that cost nothing.
  if calls == '' then calls = pack(CALL, s.now, 0) end
  s.newest = parse(CALL, calls, #calls - ${CALL - 1})
  if #calls <= ${FEW * CALL} then write_few(key, rule, s, calls) else write_many(key, rule, s, calls) end
end

-- In how many µs so much is free as the cost needs.
function wait.s(key, rule, s, cost)
  local excess, free = s.used + cost - rule.capacity, 0
  if excess <= 0 then return 0 end
  each(key, s, function(at, freed)
    excess = excess - freed
    free = at + rule.period - s.now
    return excess <= 0
  end)
  return excess <= 0 and free or 0
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
  local lasts = math.max(s.used / rule.drain, s.blocked - now)
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
  -- It begins with a call, and not with a block or with what was given back.
  if used == 0 or start + rule.period <= s.now then s.start, s.used = s.now, 0 end
  return s
end

function charge.f(key, rule, s, cost)
  s.used = math.min(9007199254740991, math.max(0, s.used + cost))
  local lasts = math.max(s.start + rule.period - s.now, s.blocked - now)
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

const ALGORITHMS: Readonly<Record<QuotaKind, string>> = { s: SLIDING_WINDOW, g: GCRA, f: FIXED_WINDOW };

/*
 * What most calls are, done at once and before anything is defined that only the others need: calls of cost 1 on a key with one
 * rule, which has room for all `n` of them, is not blocked, and whose state needs little but to be charged. Each sets `reply`, or
 * leaves it to the others. What goes wrong is left to them too: they say whose error it is.
 */
const FAST: Readonly<Record<QuotaKind, { readonly before: string; readonly each: string }>> = {
  s: {
    before: `${WINDOW_FORMATS}\nlocal long, single = 2 * period, pack('>I7I4', now, 1)`,
    each: `
  local packed = try('GETRANGE', key, '0', '${LAST}')
  local mark, anew = type(packed) == 'string' and (byte(packed) or 0), packed == ''
  if mark == 255 then
    local _, blocked, used, lives, oldest, newest, first, count, places = parse(RING, packed)
    if oldest + period <= now then
      local seen = math.min(8, count, places - first)
      local part = call('GETRANGE', key, ${RING} + first * ${CALL}, ${RING - 1} + (first + seen) * ${CALL})
      for j = 1, seen * ${CALL}, ${CALL} do
        local at, cost = parse(CALL, part, j)
        oldest = at
        if at + period > now then break end
        used, first, count = used - cost, (first + 1) % places, count - 1
      end
    end
    local left = lives - now
    if used + n <= capacity and oldest + period > now and newest <= now and blocked <= now and count < places and left >= period and left <= long then
      reply = used + n
      call('SETRANGE', key, ${RING} + (first + count) % places * ${CALL}, n == 1 and single or pack(CALL, now, n))
      call('SETRANGE', key, '0', pack(RING, 255, 0, reply, lives, oldest, now, first, count + 1, places))
    end
  elseif mark and #packed >= ${HEAD + CALL} then
    local blocked, used, lives, oldest = parse('>I7I7I7I7', packed)
    local newest, left = parse(CALL, packed, #packed - ${CALL - 1}), lives - now
    if blocked > now or newest > now then
    elseif newest + period <= now then
      anew = true
    elseif used + n <= capacity and oldest + period > now and #packed < ${LAST} and left >= period and left <= long then
      reply = used + n
      call('SET', key, pack(HEAD, 0, reply, lives) .. sub(packed, ${HEAD + 1}) .. (n == 1 and single or pack(CALL, now, n)), 'KEEPTTL')
    end
  end
  if anew and n <= capacity then
    reply = n
    call('SET', key, pack('>I7I7I7I7I4', 0, n, now + long, now, n), 'PX', long / 1000 + 2)
  end`,
  },
  g: {
    before: 'local unit, drain = tonumber(ARGV[3]), tonumber(ARGV[4])',
    each: `
  local packed, used = try('GET', key), 0
  local usual = not packed
  if type(packed) == 'string' and #packed == 28 then
    local blocked, at, before, of = parse('>I7I7I7I7', packed)
    usual = of == drain and blocked <= now and at <= now
    used = math.max(0, before - (now - at) * drain)
  end
  used = used + n * unit
  if usual and used <= capacity then
    reply = used
    call('SET', key, pack('>I7I7I7I7', 0, now, used, drain), 'PX', math.floor(used / drain / 1000) + 2)
  end`,
  },
  f: {
    before: '',
    each: `
  local packed, start, used = try('GET', key), now, 0
  local usual = not packed
  if type(packed) == 'string' and #packed == 21 then
    local blocked
    blocked, start, used = parse('>I7I7I7', packed)
    usual = blocked <= now and start <= now
    if used == 0 or start + period <= now then start, used = now, 0 end
  end
  if usual and used + n <= capacity then
    local left = start + period - now
    reply = { n, used + n, used + n + 1 > capacity and left or 0, left, 0 }
    call('SET', key, pack('>I7I7I7', 0, start, used + n), 'PX', math.floor(left / 1000) + 2)
  end`,
  },
};

/** Serves what it can, and leaves the numbers of the other calls in `rest`. The calls stand behind the rules. */
export function fastPath(kinds: string): string {
  if (kinds.length > 1) return `for i = 1, #KEYS / ${kinds.length} do rest[i] = i end`;
  const { before, each } = FAST[kinds as QuotaKind];
  return `
local pack, parse, byte, sub, try = struct.pack, struct.unpack, string.byte, string.sub, redis.pcall
local period, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
${before}
for i, key in ipairs(KEYS) do
  local asked, reply = ARGV[${ARGS_PER_RULE} + i], nil
  local n = asked == '1' and 1 or tonumber(asked)
  if n and n > 0 then${each}
  end
  replies[i] = reply or false
  if not reply then rest[#rest + 1] = i end
end
`;
}

/** The algorithms of a script's rules, and the rules. */
export function preamble(kinds: string): string {
  const algorithms = [...new Set(kinds)].map((kind) => ALGORITHMS[kind as QuotaKind]);
  return `${COMMON}${algorithms.join('')}${STANDING}${rulesOf(kinds)}`;
}
