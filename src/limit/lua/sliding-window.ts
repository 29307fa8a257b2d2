import type { Algorithm } from './algorithm.js';

/*
 * What was accepted when, the oldest first, in one of two forms.
 *
 * Units are calls of cost 1 and nothing else to say: until when the key lives in 7 bytes, then 6 bytes for each call, which are the
 * low ones of its time: no call is later than the key lives, or so much earlier that the high ones could be others. To count
 * calls is to append them, which is the cheapest write there is; all is written anew when calls have expired.
 *
 * A ring is everything else: many calls, calls that cost more, a block. In a string: 255, blocked, used, until when the key lives, the
 * oldest and the newest time, the first place, calls, places; then the places, 7 bytes of time and 4 of cost each. A decision
 * touches a few bytes of it, so that what it costs does not grow with the window.
 *
 * A wide ring begins with 254, and has room for 16 calls in front of its places, so that most decisions read and write the
 * string once: for the newest calls, which have places and are not written there yet, and for copies of the oldest. Two bytes before
 * them say how many of the first are written, and how many of the second are over.
 *
 * A key lives for up to twice as long as it must, as to set its expiry costs as much as a command: once in a period is enough.
 */

/** So many units at most: they are read as a whole. */
const MOST_UNITS = 256;
/** Calls of one turn of the event loop that are written one by one. */
const MOST_AT_ONCE = 16;
const LIVES = 7;
const UNIT = 6;
const CALL = 11;
const RING = 48;
/** So many calls of either end stand in front of the places of a wide ring, in so many bytes. */
const NEAR = 8;
const NEAR_BYTES = NEAR * CALL;
const NEWEST = RING + 2;
const OLDEST = NEWEST + NEAR_BYTES;
const WIDE = OLDEST + NEAR_BYTES;
/** A ring of more places is wide. */
const MOST_PLACES = 64;
/** So much is read first of what may be long: all of a ring that is needed, or some units. */
const HEAD = WIDE;
/** The last byte of units. */
const LAST = LIVES + MOST_UNITS * UNIT - 1;

const FORMATS = `local CALL, RING, WIDE, SPAN = '>I7I4', '>I1I7I7I7I7I7I4I4I4', '>I1I7I7I7I7I7I4I4I4I1I1', 2 ^ 48`;

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

const BEFORE = `
${FORMATS}
local long, few = 2 * period, period <= SPAN / 4 and ${MOST_AT_ONCE} or 0
local text, byte, single = string.format, string.byte, nil
-- What may be long is not read as a whole.
local all = capacity <= ${MOST_UNITS} and call('MGET', unpack(keys))`;

const EACH = `
  local packed = all and all[i] or not all and try('GETRANGE', key, '0', '${HEAD - 1}')
  local held = packed and #packed or 0
  local form = held >= ${LIVES + UNIT} and byte(packed) or 256
  if not all and held == ${HEAD} and form < 254 then
    packed = call('GETRANGE', key, '0', '${LAST}')
    held = #packed
  end
  local over, unit = held == 0, n <= few
  if form < 254 then
    local lives, oldest = parse('>I7I6', packed)
    local left, newest = lives - now, lives - (lives - parse('>I6', packed, held - ${UNIT - 1})) % SPAN
    if newest + period <= now then
      over = true
    elseif newest <= now and left <= long then
      local from = ${LIVES + 1}
      oldest = lives - (lives - oldest) % SPAN
      while oldest + period <= now do
        from = from + ${UNIT}
        oldest = lives - (lives - parse('>I6', packed, from)) % SPAN
      end
      local used = (held + 1 - from) / ${UNIT} + n
      if unit and used <= capacity and used <= ${MOST_UNITS} then
        reply, single = used, single or pack('>I6', now % SPAN)
        local new = n == 1 and single or string.rep(single, n)
        if left < period then
          call('SET', key, pack('>I7', now + long) .. sub(packed, from) .. new, 'PX', long / 1000 + 2)
        elseif from == ${LIVES + 1} then
          call('APPEND', key, new)
        else
          call('SET', key, sub(packed, 1, ${LIVES}) .. sub(packed, from) .. new, 'KEEPTTL')
        end
      end
    end
  elseif form == 254 then
    local _, blocked, used, lives, oldest, newest, first, count, places, near, gone = parse(WIDE, packed)
    local left = lives - now
    over = newest + period <= now and blocked <= now
    -- Copies of the oldest calls, where the first of them begins, how many they are, and those that are to be written.
    local part, from, copies, fresh = packed, ${OLDEST + 1} + gone * ${CALL}, ${NEAR} - gone, nil
    while oldest + period <= now and not over do
      if copies == 0 then
        copies = math.min(${NEAR}, count - near, places - first)
        if fresh or copies == 0 then break end
        fresh = call('GETRANGE', key, text('%d', ${WIDE} + first * ${CALL}), text('%d', ${WIDE - 1} + (first + copies) * ${CALL}))
        part, from, gone = fresh, 1, ${NEAR} - copies
      end
      local at, cost = parse(CALL, part, from)
      oldest = at
      if at + period <= now then
        used, first, count = used - cost, (first + 1) % places, count - 1
        from, copies, gone = from + ${CALL}, copies - 1, gone + 1
      end
    end
    local straight = near < ${NEAR} or (first + count - near) % places + near <= places
    local fits = used + n <= capacity and count < places and straight
    if fits and oldest + period > now and newest <= now and blocked <= now and left >= period and left <= long then
      reply = used + n
      local calls = near < ${NEAR} and sub(packed, ${NEWEST + 1}, ${NEWEST} + near * ${CALL}) or ''
      if near == ${NEAR} then
        call('SETRANGE', key, text('%d', ${WIDE} + (first + count - near) % places * ${CALL}), sub(packed, ${NEWEST + 1}, ${OLDEST}))
        near = 0
      end
      if fresh then fresh = string.rep('\\0', ${WIDE - NEWEST} - (near + 1) * ${CALL} - #fresh) .. fresh end
      call('SETRANGE', key, '0', pack(WIDE, 254, 0, reply, lives, oldest, now, first, count + 1, places, near + 1, gone) .. calls .. pack(CALL, now, n) .. (fresh or ''))
    end
  end
  if over and unit and n <= capacity then
    single = single or pack('>I6', now % SPAN)
    local new = n == 1 and single or string.rep(single, n)
    -- What has no value here may be of another type.
    local written = call('SET', key, pack('>I7', now + long) .. new, held == 0 and 'NX' or 'XX', 'PX', long / 1000 + 2)
    if written then reply = n end
  end`;

export const SLIDING_WINDOW: Algorithm = { whole: WHOLE, fast: { before: BEFORE, each: EACH } };
