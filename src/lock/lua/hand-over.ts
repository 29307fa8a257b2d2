import { TELL } from './tell.js';

/**
 * What is needed to hand over. Follows `QUEUE_OF` and `CLOCK`. Each call of a script makes its functions anew, so what
 * a release has no use for is in `QUEUES`.
 */
export const HAND_OVER = `
local ms = tonumber(string.sub(us, 1, 13))
local own = ''
local grants = {}
local spent = false
local READER = { kind = 'r' }
-- So long a queue is kept in which nobody asks.
local KEEP_MS = 86400000
-- A process that does not listen may be about to connect again: for so long it keeps its places in front of others.
local GRACE_MS, MARK_MS = 5000, 600000
-- A queue that is no longer than this is kept exact: what leaves it is looked for and removed.
local SHORT = 128
local heard = {}
-- Whether one in front of others does not listen.
local silent = false

local function digits(n) return string.format('%.0f', n) end

local function note(last)
  call('SET', KEYS[2], waiting_until and last .. ' ' .. waiting_until or last)
end

${TELL}
local function place(key) return { key = key, queue = queue_of(key), waiting = waiting_of(key) } end

local function prolong(at)
  call('PEXPIRE', at.queue, KEEP_MS)
  call('PEXPIRE', at.waiting, KEEP_MS)
end

-- The first claim of a queue. Claims in front of it that have left are removed.
local function head_of(at)
  while true do
    local packed = call('LINDEX', at.queue, 0)
    if not packed or call('SISMEMBER', at.waiting, packed) == 1 then return packed end
    call('LPOP', at.queue)
  end
end

local function pop(at, packed)
  call('LPOP', at.queue)
  call('SREM', at.waiting, packed)
end

local function push_back(at, packed)
  call('LPUSH', at.queue, packed)
  call('SADD', at.waiting, packed)
  prolong(at)
end

-- Writes a queue anew, without the claims that have left.
local function compact(at)
  local chunk = {}
  local all = call('LRANGE', at.queue, 0, -1)
  call('DEL', at.queue)
  for i, packed in ipairs(all) do
    if call('SISMEMBER', at.waiting, packed) == 1 then chunk[#chunk + 1] = packed end
    if #chunk == 1000 or i == #all and chunk[1] then
      call('RPUSH', at.queue, unpack(chunk))
      chunk = {}
    end
  end
  prolong(at)
end

-- Takes a claim out of a queue, wherever it stands there; returns whether it waited. In a long queue its entry stays until it is
-- the first, or until half of the entries are of claims that have left.
local function remove(at, packed)
  if call('SREM', at.waiting, packed) == 0 then return false end
  local length = call('LLEN', at.queue)
  if length <= SHORT then
    call('LREM', at.queue, 1, packed)
  elseif length > 2 * call('SCARD', at.waiting) then
    compact(at)
  end
  return true
end

-- A claim that names no keys is for the one that it waits at.
local function unpack_claim(packed, here)
  local flat = cmsgpack.unpack(packed)
  local claim = { id = flat[1], channel = flat[2], ttl = flat[3], kind = flat[4], permits = flat[5], value = flat[6] }
  local list = {}
  for i = 7, #flat do list[#list + 1] = place(flat[i]) end
  if #list == 0 then list[1] = here end
  return claim, list
end

local function vacant(key, claim)
  if claim.kind == 'x' then return call('EXISTS', key) == 0 end
  call('ZREMRANGEBYSCORE', key, '-inf', '(' .. digits(ms))
  local first = call('ZRANGE', key, 0, 0)[1]
  if not first then return true end
  if claim.kind == 's' then return call('ZCARD', key) < tonumber(claim.permits) end
  return claim.kind == 'r' and string.sub(first, 1, 1) == 'r'
end

-- Whether a holder is this value, whole, with the fence of the claim, or with any if it gives none; but not with the one that it
-- gives in 'others'.
local function is(holder, value, claim)
  local behind = string.sub(holder, #value + 2)
  if string.sub(holder, 1, #value + 1) ~= value .. '#' or behind == claim.others then return false end
  return behind == claim.fence or not claim.fence and string.match(behind, '^%d+$')
end

-- The holder as it is written, if it is this claim. Without its fence all holders are looked at, unless it is known to wait.
local function held_as(key, claim)
  if claim.kind == 'x' then
    local holder = call('GET', key)
    return holder and is(holder, claim.value, claim) and holder
  end
  local value = claim.kind .. claim.value
  if claim.fence then
    local holder = value .. '#' .. claim.fence
    local expiry = call('ZSCORE', key, holder)
    return expiry and expiry + 0 >= ms and holder
  end
  if claim.waits then return nil end
  for _, holder in ipairs(call('ZRANGEBYSCORE', key, digits(ms), '+inf')) do
    if string.find(holder, value, 1, true) == 1 and is(holder, value, claim) then return holder end
  end
end

local function put(key, claim, holder)
  if claim.kind == 'x' then
    call('SET', key, holder, 'PX', claim.ttl)
  else
    call('ZADD', key, ms + claim.ttl, holder)
    call('PEXPIREAT', key, digits(call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]))
  end
end

local function drop(key, claim, holder)
  if claim.kind == 'x' then call('DEL', key) else call('ZREM', key, holder) end
end

-- Holding begins here.
local function take(list, claim)
  if spent then fence = digits(fence + 1) end
  spent = true
  note(fence)
  local holder = (claim.kind == 'x' and '' or claim.kind) .. claim.value .. '#' .. fence
  for _, at in ipairs(list) do put(at.key, claim, holder) end
  return fence, holder
end

-- In how many ms the first holder's time is over; below 0 if nothing says.
local function soonest(key, kind)
  if kind == 'x' then return call('PTTL', key) end
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  return first and math.max(0, first - ms) or -1
end

-- Gives a claim that is first everywhere its places, unless its process is gone (nobody listens there); whether it was given them.
local function grant(packed, claim, list)
  for _, at in ipairs(list) do pop(at, packed) end
  local given, holder = take(list, claim)
  if claim.channel == own then
    grants[#grants + 1] = { claim.id, given }
    return true
  end
  local ok, told = pcall(tell, claim.channel, claim.id, claim.id .. ' ' .. given .. ' ' .. us)
  if ok and told then return true end
  for _, at in ipairs(list) do drop(at.key, claim, holder) end
  if ok then return false end
  -- Who may not tell it leaves it where it was.
  for _, at in ipairs(list) do push_back(at, packed) end
  error({ err = told })
end

-- Whether somebody listens to a channel here: yes, no, or nothing is known, as this user may not ask.
local function hears(channel)
  if heard[channel] then return heard[channel] end
  local count
  if string.sub(channel, -1) == '}' then
    local said = redis.pcall('PUBSUB', 'SHARDNUMSUB', channel)
    count = said[2]
  else
    redis.set_repl(redis.REPL_NONE)
    count = redis.pcall('PUBLISH', channel, '')
    redis.set_repl(redis.REPL_ALL)
  end
  heard[channel] = type(count) ~= 'number' and '?' or count > 0 and 'yes' or 'no'
  return heard[channel]
end

local function mark_of(channel) return KEYS[2] .. '?' .. channel end

-- Whether nobody has listened for so long that it is no interruption, after which a process keeps its places.
local function gone(channel)
  local mark, said = mark_of(channel), hears(channel)
  if said == 'yes' then call('DEL', mark) end
  if said ~= 'no' then return false end
  local since = call('GET', mark)
  -- The clock was ahead.
  if since and since + 0 > ms then since = nil end
  if since and ms - since >= GRACE_MS then return true end
  if not since then call('SET', mark, digits(ms), 'PX', MARK_MS) end
  silent = true
  return false
end

-- Gives the place to the claim at the head of its queue. A claim on several places gets them when it is first at each and each is
-- free. One whose process does not listen is passed over; one whose process is gone, also before its turn if those behind it
-- could have the place. Returns whether it is worth going on to the next, and where the one that was passed over stood.
local function serve(here)
  local packed = head_of(here)
  if not packed then return false end
  local claim, list = unpack_claim(packed, here)
  local writes = claim.kind == 'w'
  if not vacant(here.key, writes and READER or claim) then return false end
  local free = not writes or vacant(here.key, claim)
  for _, at in ipairs(list) do
    if not free then break end
    free = at.key == here.key or head_of(at) == packed and vacant(at.key, claim)
  end
  if free then
    if grant(packed, claim, list) then return claim.kind == 'r' or claim.kind == 's' end
    return true, list
  end
  if claim.channel == own or not gone(claim.channel) then return false end
  tell(claim.channel, claim.id, claim.id)
  for _, at in ipairs(list) do remove(at, packed) end
  return true, list
end

-- Gives a place to the claims that wait there, as many as can hold it together.
local function hand_over(first)
  local places, listed = { first }, {}
  while #places > 0 do
    local here = table.remove(places)
    listed[here.key] = nil
    local more, passed = true, nil
    while more do
      more, passed = serve(here)
      -- It kept others waiting at its other places too.
      for _, at in ipairs(passed or {}) do
        if at.key ~= here.key and not listed[at.key] then
          listed[at.key] = true
          places[#places + 1] = at
        end
      end
    end
  end
end

-- Who waits looks again when the time of the holder is over, as it knew it: one of each line is told if that is sooner now. Any one
-- that looks has the first of the queue served, so the lines of the foremost are enough, however many wait.
local function hurry(at, kind, before)
  local now = soonest(at.key, kind)
  if now < 0 or now >= before then return end
  local told = {}
  for _, packed in ipairs(call('LRANGE', at.queue, 0, SHORT - 1)) do
    local claim, list = unpack_claim(packed, at)
    local line = claim.channel
    for _, there in ipairs(list) do line = line .. ' ' .. #there.key .. ' ' .. there.key end
    if not told[line] and call('SISMEMBER', at.waiting, packed) == 1 then
      tell(claim.channel, claim.id, claim.id)
      told[line] = true
    end
  end
end

-- Whether the claim held all its places; whoever waits there gets them.
local function give_back(list, claim)
  local held = 1
  for _, at in ipairs(list) do
    local holder = held_as(at.key, claim)
    at.before = soonest(at.key, claim.kind)
    if holder then drop(at.key, claim, holder) else held = 0 end
  end
  for _, at in ipairs(list) do
    hand_over(at)
    hurry(at, claim.kind, at.before)
  end
  return held
end

-- One caller's error must not be the error of those who share the script call.
local function guarded(fn, ...)
  grants = {}
  local ok, reply = pcall(fn, ...)
  if ok then return reply end
  return redis.error_reply(type(reply) == 'table' and reply.err or reply)
end
`;
