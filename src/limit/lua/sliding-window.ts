import type { Algorithm } from './algorithm.js';
import { SLIDING_WINDOW_FAST } from './sliding-window-fast.js';
import {
  CALL,
  FORMATS,
  LAST,
  LIVES,
  MOST_AT_ONCE,
  MOST_PLACES,
  MOST_UNITS,
  NEAR,
  NEWEST,
  RING,
  UNIT,
  WIDE,
} from './sliding-window-form.js';

const WHOLE = `
${FORMATS}

-- Time and cost of the call that stands there.
local function parse_call(s, part, position)
  if s.ring then return parse(CALL, part, position) end
  return s.lives - (s.lives - parse('>I6', part, position)) % SPAN, 1
end

local function at_place(s, place) return s.begin + place * ${CALL} end

-- The calls from the i-th on that stand one behind the other, so many at most, and how many they are.
local function part_of(key, s, i, most)
  local place = (s.first + i) % s.places
  local n = math.min(most, s.count - i, s.places - place)
  return call('GETRANGE', key, at_place(s, place), at_place(s, place + n) - 1), n
end

-- Writes calls to the places from the i-th call's on.
local function set_part(key, s, i, calls)
  local place = (s.first + i) % s.places
  local straight = (s.places - place) * ${CALL}
  call('SETRANGE', key, at_place(s, place), string.sub(calls, 1, straight))
  if #calls > straight then call('SETRANGE', key, at_place(s, 0), string.sub(calls, straight + 1)) end
end

-- Calls fn with each call, the oldest first, until it returns true.
local function each(key, s, fn)
  local i, part = 0, s.live
  while i < s.count do
    local n = s.count
    if s.ring then part, n = part_of(key, s, i, 64) end
    for j = 0, n - 1 do
      if fn(parse_call(s, part, j * s.size + 1)) then return end
    end
    i = i + n
  end
end

-- The calls as those of a ring, in their order.
local function all(key, s)
  local parts, i = {}, 0
  if not s.ring then
    each(key, s, function(at, cost) parts[#parts + 1] = pack(CALL, at, cost) end)
    return table.concat(parts)
  end
  while i < s.count do
    local part, n = part_of(key, s, i, s.count)
    parts[#parts + 1], i = part, i + n
  end
  return table.concat(parts)
end

-- Forgets all calls.
local function clear(s)
  s.ring, s.size, s.live, s.count, s.used = nil, ${UNIT}, '', 0, 0
end

function read.s(key, rule)
  local packed = call('GETRANGE', key, '0', '${LAST}')
  local s = { blocked = 0, lives = 0, newest = 0 }
  if packed == '' then
    clear(s)
  elseif string.byte(packed) >= 254 then
    local form, blocked, used, lives, oldest, newest, first, count, places = parse(RING, packed)
    s = { ring = form, size = ${CALL}, blocked = blocked, used = used, lives = lives, newest = newest, first = first, count = count, places = places }
    s.begin = form == 254 and ${WIDE} or ${RING}
    local near = form == 254 and string.byte(packed, ${RING + 1}) or 0
    if near > 0 then set_part(key, s, count - near, string.sub(packed, ${NEWEST + 1}, ${NEWEST} + near * ${CALL})) end
  else
    clear(s)
    s.lives, s.live, s.count = parse('>I7', packed), string.sub(packed, ${LIVES + 1}), (#packed - ${LIVES}) / ${UNIT}
    s.used, s.newest = s.count, parse_call(s, packed, #packed - ${UNIT - 1})
  end
  s.now = math.max(now, s.newest)
  local expired = 0
  each(key, s, function(at, cost)
    s.oldest = at
    if at + rule.period > s.now then return true end
    s.used = s.used - cost
    expired = expired + 1
  end)
  if s.ring then s.first = (s.first + expired) % s.places else s.live = string.sub(s.live, expired * ${UNIT} + 1) end
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

local function write_units(key, rule, s, live)
  s.live, s.count = live, #live / ${UNIT}
  local px = lifetime(s, rule)
  write(key, px, pack('>I7', s.lives) .. live)
end

local function ring(s)
  local head = pack(RING, s.ring, s.blocked, s.used, s.lives, s.oldest, s.newest, s.first, s.count, s.places)
  return s.ring == 254 and head .. string.char(0, ${NEAR}) or head
end

-- A seventh more places than calls: seldom made anew, and little room for nothing.
local function write_all(key, rule, s, calls)
  s.size, s.first, s.count = ${CALL}, 0, #calls / ${CALL}
  s.places, s.oldest = math.floor(s.count * 8 / 7), parse(CALL, calls)
  local wide = s.places > ${MOST_PLACES}
  s.ring, s.begin = wide and 254 or 255, wide and ${WIDE} or ${RING}
  local px, near = lifetime(s, rule), wide and string.rep('\\0', ${WIDE - NEWEST}) or ''
  write(key, px, ring(s) .. near .. calls .. string.rep('\\0', (s.places - s.count) * ${CALL}))
end

local function write_ring(key, rule, s)
  local px = lifetime(s, rule)
  call('SETRANGE', key, '0', ring(s))
  if px then call('PEXPIRE', key, px) end
end

function charge.s(key, rule, s, cost, calls)
  if s.used == 0 then clear(s) end
  s.used, s.newest = s.used + cost, s.now
  local plain = not s.ring and s.blocked <= now and s.now == now and rule.period <= SPAN / 4
  if plain and cost == calls and cost <= ${MOST_AT_ONCE} and s.used <= ${MOST_UNITS} then
    write_units(key, rule, s, s.live .. string.rep(pack('>I6', now % SPAN), cost))
    return
  end
  local new = pack(CALL, s.now, cost)
  -- At the latest when its expiry is renewed, a ring gives back places that are empty for good.
  if s.ring and s.count < s.places and s.places <= 4 * s.count + ${MOST_UNITS} then
    set_part(key, s, s.count, new)
    s.count = s.count + 1
    write_ring(key, rule, s)
  else
    write_all(key, rule, s, all(key, s) .. new)
  end
end

-- Gives back the newest first.
function amend.s(key, rule, s, cost)
  if cost > 0 then return charge.s(key, rule, s, cost, 1) end
  local calls, excess = all(key, s), -cost
  while excess > 0 and calls ~= '' do
    local at, newest = parse(CALL, calls, #calls - ${CALL - 1})
    local back = math.min(excess, newest)
    excess, s.used = excess - back, s.used - back
    calls = string.sub(calls, 1, #calls - ${CALL}) .. (back < newest and pack(CALL, at, newest - back) or '')
  end
  if calls == '' and s.blocked <= now then return call('DEL', key) end
  -- What is blocked and has no calls is told by one that cost nothing and was never.
  if calls == '' then calls = pack(CALL, 0, 0) end
  s.newest = parse(CALL, calls, #calls - ${CALL - 1})
  write_all(key, rule, s, calls)
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

export const SLIDING_WINDOW: Algorithm = { whole: WHOLE, fast: SLIDING_WINDOW_FAST };
