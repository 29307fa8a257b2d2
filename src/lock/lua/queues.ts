import { HAND_OVER } from './hand-over.js';

/** Everything that is needed once somebody waits or a place is taken. Follows the same. */
export const QUEUES = `${HAND_OVER}
local WAITING_MS = 60000

local function pack(claim, list)
  local flat = { claim.id, claim.channel, claim.ttl, claim.kind, claim.permits, claim.value }
  if #list > 1 then
    for _, at in ipairs(list) do flat[#flat + 1] = at.key end
  end
  return cmsgpack.pack(flat)
end

-- Puts a claim at the end of a queue, if it does not wait there already; returns whether it did not.
local function enqueue(at, packed)
  local added = call('SADD', at.waiting, packed)
  if added == 0 and call('EXISTS', at.queue) == 1 then return false end
  if call('RPUSH', at.queue, packed) == 1 then
    -- Another program has deleted the list alone: the others of the set wait no more.
    if call('SCARD', at.waiting) > 1 then
      call('DEL', at.waiting)
      call('SADD', at.waiting, packed)
    end
    prolong(at)
  end
  return true
end

local function left(key, claim, holder)
  if claim.kind == 'x' then return math.max(0, call('PTTL', key)) end
  return math.max(0, call('ZSCORE', key, holder) - ms)
end

-- The fence of the claim and the time that is left of it, if it holds all its keys: another program may have deleted one.
local function held_everywhere(list, claim)
  local given, least
  for _, at in ipairs(list) do
    local holder = held_as(at.key, claim)
    if not holder then return nil end
    local there = left(at.key, claim, holder)
    given, least = string.match(holder, '%d+$'), math.min(least or there, there)
  end
  return given, least
end

-- In how many ms it is worth looking again (-1: nothing says), and whether the holder is none of ours.
local function outlook(at, claim)
  local holder = claim.kind == 'x' and call('GET', at.key)
  return soonest(at.key, claim.kind), holder and not string.find(holder, '#%d+$') and 1 or 0
end

-- waits: '' to try once, else '<id> <channel> <1 if it asked before, 2 if that was under a token of the caller's own>'. What such a
-- token holds may be held by another call: it is not this one's while this one is still queued.
local function obtain(list, claim, waits)
  local again = '0'
  if waits ~= '' then
    claim.id, own, again = string.match(waits, '^(%S+) (%S+) (%d)$')
    claim.channel = own
    waiting_until = digits(ms + WAITING_MS)
    note(fence)
    -- Who may keep others waiting, and was silent before, is not any more.
    if claim.kind == 'w' or list[2] then call('DEL', mark_of(own)) end
  end
  for _, at in ipairs(list) do
    if call('EXISTS', at.queue) == 1 then hand_over(at) end
  end
  -- Not before all are handed over: who waits for several keys is passed over at all of them only when it is first at each.
  local free = true
  for _, at in ipairs(list) do
    free = free and call('EXISTS', at.queue) == 0 and vacant(at.key, claim)
  end
  local packed = claim.id and pack(claim, list)
  local waits_there = again ~= '0' and (again == '2' or claim.kind ~= 'x')
    and call('SISMEMBER', list[1].waiting, packed) == 1
  if again ~= '0' and not waits_there then
    local given, remaining = held_everywhere(list, claim)
    if given then return { 1, given, remaining, us, grants } end
  end
  if free then
    local given = take(list, claim)
    return grants[1] and { 1, given, tonumber(claim.ttl), us, grants } or given
  end
  local look, foreign = -1, 0
  for _, at in ipairs(list) do
    local there, stranger = outlook(at, claim)
    if there >= 0 and (look < 0 or there < look) then look = there end
    foreign = math.max(foreign, stranger)
  end
  if silent and (look < 0 or look > GRACE_MS) then look = GRACE_MS end
  local queued = 0
  if packed then
    for _, at in ipairs(list) do
      if enqueue(at, packed) then queued = 1 end
      if again ~= '0' then prolong(at) end
    end
  end
  return { 0, look, foreign, us, grants, queued }
end
`;
