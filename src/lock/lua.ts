/*
 * What the scripts of the locks have in common, so that there is one account of what it means to hold, to wait and to
 * hand over.
 *
 * A claim is what one caller asks for, on one key or on several. At each key there are in Redis:
 *   the key  who holds it: a holder is written `<value>#<fence>`. Kind `x` (exclusive): a string with an expiry, as SET NX PX
 *            makes it. Kinds `r` and `w` (readers, a writer) and `s` (a semaphore): a sorted set of kind and holder, by the
 *            expiry in ms.
 *   a queue  a list of the claims that wait there, packed, in their order; its name is KEYS[1] with that of the key behind it.
 * and for all keys that a script can reach, which in a cluster are those of a slot, KEYS[2]:
 *   the book the last fence, and, behind a space, until when in ms somebody may be waiting somewhere. Who waits says so again
 *            before that time. As long as nobody does, no queue needs a look.
 *
 * KEYS[1] by itself is no key, and that is of use: in a cluster a script with a key that is missing runs on neither side
 * while its slot moves (TRYAGAIN). So none ever sees the queue without the key, or stops in the middle because what it has just
 * deleted counts as moved.
 */

/** The queue of a key is in the slot of the key, because the name of the book begins it. */
export const QUEUE_OF = `
local function queue_of(key) return KEYS[1] .. key end
`;

/**
 * The clock and the book. Every script that gives or takes begins with it. `read` gives what the book
 * says. A fence is 16 digits, so that two of them compare as strings: the server's clock in µs, so that it grows even if the
 * book is lost, or one more than the last, so that it grows even if the clock does not.
 */
const clock = (read: string) => `
local call = redis.call
local time = call('TIME')
-- Put together and not calculated: arithmetic on strings and formatting cost as much as a command.
local us = time[1] .. string.sub('000000', #time[2] + 1) .. time[2]
local book = ${read}
local fence = us
local waiting_until
if book then
  if #book > 16 then
    waiting_until = string.sub(book, 18)
    if waiting_until <= string.sub(us, 1, 13) then waiting_until = nil end
    book = string.sub(book, 1, 16)
  end
  if book >= us then fence = string.format('%.0f', book + 1) end
end
`;

/** Reads the book. */
export const CLOCK = clock(`call('GET', KEYS[2])`);
/** Takes the book from what was read before, `said`. */
export const CLOCK_AND_SAID = clock('said[1]');
/** Reads the book and writes the clock into it as the fence that is about to be given: one call instead of two. */
export const CLOCK_AND_FENCE = clock(`call('GETSET', KEYS[2], us)`);

/**
 * Tells the process that listens to a channel of a grant, or only to look, and whether it listens on this server. A message
 * reaches the replicas too: who still listens to one of those, because another server has just taken over, would believe a grant
 * that goes to the next. He is told to look instead, by which he learns where to listen. A cluster passes every message on,
 * so there the listeners are counted first; elsewhere that of a grant is kept from the replicas, which is one command less. An
 * error must not leave it at that, or what is written behind it would be kept from them too: it is raised by the second attempt.
 */
const TELL = `
local function tell(channel, id, grant)
  local message = grant and id .. grant or id
  if string.sub(channel, -1) == '}' then
    local told = redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] > 0
    redis.call('SPUBLISH', channel, told and message or id)
    return told
  end
  redis.set_repl(redis.REPL_NONE)
  local heard = redis.pcall('PUBLISH', channel, message)
  redis.set_repl(redis.REPL_ALL)
  if heard == 0 or type(heard) == 'table' then redis.call('PUBLISH', channel, id) end
  return heard ~= 0
end
`;

/**
 * Hands an exclusive lock that is released alone to the head of its queue, if that is an exclusive claim on this key alone, as
 * it mostly is. When a server had nothing to do for some ms, the first use of each command is most of what a script costs, so
 * here are few of them. Follows what was `said` of the book and the key; leaves all as it was to what comes behind it, but that
 * the head is gone if its process is.
 */
export const HAND_OVER_AT_ONCE = `
if not KEYS[4] and said[2] == ARGV[2] then
  local queue = KEYS[1] .. KEYS[3]
  local head = redis.call('LINDEX', queue, '0')
  if not head then return redis.call('DEL', KEYS[3]) end
  local claim = cmsgpack.unpack(head)
  -- Whoever waits behind it must be told if its time is over sooner than the holder's would have been.
  if claim[4] == 'x' and not claim[7] and redis.call('PTTL', KEYS[3]) <= claim[3] + 0 then
    ${CLOCK_AND_SAID}${TELL}
    call('LPOP', queue)
    local own, grant = claim[2] == ARGV[1], ' ' .. fence .. ' ' .. us
    if own or tell(claim[2], claim[1], grant) then
      call('SET', KEYS[2], waiting_until and fence .. ' ' .. waiting_until or fence)
      call('SET', KEYS[3], claim[6] .. '#' .. fence, 'PX', claim[3])
      return own and claim[1] .. grant or 1
    end
  end
end
`;

/**
 * What is needed to hand over. Follows {@link QUEUE_OF} and {@link CLOCK}. Each call of a script makes its functions anew, so what
 * a release has no use for is in {@link QUEUES}.
 */
export const HAND_OVER = `
local ms = tonumber(string.sub(us, 1, 13))
local own = ''
local grants = {}
local spent = false

local function digits(n) return string.format('%.0f', n) end

local function note(last)
  call('SET', KEYS[2], waiting_until and last .. ' ' .. waiting_until or last)
end

${TELL}
local function place(key) return { key = key, queue = queue_of(key) } end

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
  call('ZREMRANGEBYSCORE', key, '-inf', ms)
  local first = call('ZRANGE', key, 0, 0)[1]
  if not first then return true end
  if claim.kind == 's' then return call('ZCARD', key) < tonumber(claim.permits) end
  return claim.kind == 'r' and string.sub(first, 1, 1) == 'r'
end

-- Whether a holder is this value, whole, with this fence, or with any if none is given.
local function is(holder, value, fence)
  local behind = string.sub(holder, #value + 2)
  return string.sub(holder, 1, #value + 1) == value .. '#' and (behind == fence or not fence and string.match(behind, '^%d+$'))
end

-- The holder as it is written, if it is this claim: with the fence that the claim gives, or with any if it gives none.
local function held_as(key, claim)
  if claim.kind == 'x' then
    local holder = call('GET', key)
    return holder and is(holder, claim.value, claim.fence) and holder
  end
  local value = claim.kind .. claim.value
  for _, holder in ipairs(call('ZRANGEBYSCORE', key, '(' .. digits(ms), '+inf')) do
    if is(holder, value, claim.fence) then return holder end
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

-- Gives the place to the claims at the head of its queue, as many as can hold it together. A claim whose process is gone
-- (nobody listens here) is passed over. A claim on several places gets them when it is first at each and each is free.
local function hand_over(here)
  while true do
    local packed = call('LINDEX', here.queue, 0)
    if not packed then return end
    local claim, list = unpack_claim(packed, here)
    for _, at in ipairs(list) do
      if at.key ~= here.key and call('LINDEX', at.queue, 0) ~= packed or not vacant(at.key, claim) then return end
    end
    for _, at in ipairs(list) do call('LPOP', at.queue) end
    local given, holder = take(list, claim)
    local told = claim.channel == own
    if told then
      grants[#grants + 1] = { claim.id, given }
    else
      told = tell(claim.channel, claim.id, ' ' .. given .. ' ' .. us)
    end
    if told and (claim.kind == 'x' or claim.kind == 'w') then return end
    if not told then
      for _, at in ipairs(list) do drop(at.key, claim, holder) end
      -- It kept others waiting at its other places too.
      for _, at in ipairs(list) do
        if at.key ~= here.key then hand_over(at) end
      end
    end
  end
end

-- Who waits looks again when the time of the holder is over, as it knew it: one of each line is told if that is sooner now.
local function hurry(at, kind, before)
  local now = soonest(at.key, kind)
  if now < 0 or now >= before then return end
  local told = {}
  for _, packed in ipairs(call('LRANGE', at.queue, 0, -1)) do
    local claim, list = unpack_claim(packed, at)
    local line = claim.channel
    for _, there in ipairs(list) do line = line .. ' ' .. there.key end
    if not told[line] then tell(claim.channel, claim.id) end
    told[line] = true
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

/** Everything that is needed once somebody waits or a place is taken. Follows the same. */
export const QUEUES = `${HAND_OVER}
local WAITING_MS, KEEP_MS = 60000, 86400000

local function pack(claim, list)
  local flat = { claim.id, claim.channel, claim.ttl, claim.kind, claim.permits, claim.value }
  if #list > 1 then
    for _, at in ipairs(list) do flat[#flat + 1] = at.key end
  end
  return cmsgpack.pack(flat)
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

-- waits: '' to try once, else '<id> <channel> <1 if it asked before>'.
local function obtain(list, claim, waits)
  local again = '0'
  if waits ~= '' then
    claim.id, own, again = string.match(waits, '^(%S+) (%S+) (%d)$')
    claim.channel = own
    waiting_until = digits(ms + WAITING_MS)
    note(fence)
  end
  for _, at in ipairs(list) do
    if call('EXISTS', at.queue) == 1 then hand_over(at) end
  end
  -- Not before all are handed over: who waits for several keys is passed over at all of them only when it is first at each.
  local free = true
  for _, at in ipairs(list) do
    free = free and call('EXISTS', at.queue) == 0 and vacant(at.key, claim)
  end
  if again == '1' then
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
  if claim.id then
    local packed = pack(claim, list)
    for _, at in ipairs(list) do
      if again == '0' or not call('LPOS', at.queue, packed) then call('RPUSH', at.queue, packed) end
      call('PEXPIRE', at.queue, KEEP_MS)
    end
  end
  return { 0, look, foreign, us, grants }
end
`;
