import { defineScript } from '../pool/script.js';
import { CLOCK, CLOCK_AND_FENCE, CLOCK_AND_SAID, QUEUE_OF } from './lua/book.js';
import { HAND_OVER } from './lua/hand-over.js';
import { HAND_OVER_AT_ONCE } from './lua/hand-over-at-once.js';
import { QUEUES } from './lua/queues.js';
import type { LeaveReply, LookReply, ObtainReply, ReleaseReply } from './replies.js';

/** So many calls share a script call at most: enough to spread its cost, few enough not to hold up the server. */
const BATCH = 64;

/*
 * KEYS[1] and KEYS[2] are the same in every script but one (see `lua/book.ts`); the batched ones share them among their calls, and
 * the others have the keys of one claim behind them.
 */
const KEYS_OF_CLAIM = `
local list = {}
for i = 3, #KEYS do list[#list + 1] = place(KEYS[i]) end
`;

// A free lock is taken before anything is defined that only waiting needs, and one alone without what only many need.
const obtainBatch = (argsPerCall: number, waits: string) => `${CLOCK_AND_FENCE}
if not KEYS[4] and not waiting_until and fence == us
  and call('SET', KEYS[3], ARGV[1] .. '#' .. fence, 'NX', 'PX', ARGV[2]) then
  return fence
end
${QUEUE_OF}
local replies, rest = {}, nil
for i = 1, #KEYS - 2 do
  local key, arg = KEYS[i + 2], i * ${argsPerCall} - ${argsPerCall - 1}
  -- A fence grows per key, and no key is taken twice here: all that are taken at once share one.
  if not (waiting_until and call('EXISTS', queue_of(key)) == 1)
    and call('SET', key, ARGV[arg] .. '#' .. fence, 'NX', 'PX', ARGV[arg + 1]) then
    replies[i] = fence
  else
    rest = rest or {}
    rest[#rest + 1] = i
  end
end
if waiting_until or fence ~= us then
  call('SET', KEYS[2], waiting_until and fence .. ' ' .. waiting_until or fence)
end
if not rest then return KEYS[4] and replies or fence end
${QUEUES}
spent = true
local function one(i)
  local arg = i * ${argsPerCall} - ${argsPerCall - 1}
  local claim = { kind = 'x', permits = '1', value = ARGV[arg], ttl = ARGV[arg + 1] }
  return obtain({ place(KEYS[i + 2]) }, claim, ${waits})
end
for _, i in ipairs(rest) do replies[i] = guarded(one, i) end
return replies`;

/* Exclusive locks on one key, or not at once. Shared: KEYS[1] and KEYS[2]. Per call: key; value, ttl in ms. An ObtainReply per call. */
export const obtainExclusive = defineScript<ObtainReply>({
  keys: 1,
  args: 2,
  batch: BATCH,
  lua: obtainBatch(2, `''`),
});

/* The same, to wait for. Per call: key; value, ttl in ms, waits (see obtain). */
export const obtainExclusiveWaiting = defineScript<ObtainReply>({
  keys: 1,
  args: 3,
  batch: BATCH,
  lua: obtainBatch(3, 'ARGV[arg + 2]'),
});

/* The same for any kind and any number of keys. ARGV: value, ttl in ms, waits, kind, permits. Returns an ObtainReply. */
export const obtainAny = defineScript<ObtainReply>({
  args: 5,
  lua: `${CLOCK}${QUEUE_OF}${QUEUES}${KEYS_OF_CLAIM}
return obtain(list, { value = ARGV[1], ttl = ARGV[2], kind = ARGV[4], permits = ARGV[5] }, ARGV[3])`,
});

/*
 * Gives an exclusive lock on one key back. Shared: KEYS[1] and KEYS[2]; the caller's channel. Per call: key; holder.
 * Returns a ReleaseReply per call.
 */
export const releaseExclusive = defineScript<ReleaseReply>({
  whileClosing: true,
  keys: 1,
  args: 1,
  batch: BATCH,
  lua: `
local said = redis.call('MGET', unpack(KEYS, 2))
local waiting = said[1] and #said[1] > 16
if not KEYS[4] and not waiting then return said[2] == ARGV[2] and redis.call('DEL', KEYS[3]) or 0 end
${HAND_OVER_AT_ONCE}
${QUEUE_OF}
local replies, free, rest = {}, {}, nil
for i = 1, #KEYS - 2 do
  local key = KEYS[i + 2]
  if waiting and redis.call('EXISTS', queue_of(key)) == 1 then
    rest = rest or {}
    rest[#rest + 1] = i
  elseif said[i + 1] == ARGV[i + 1] then
    free[#free + 1] = key
    replies[i] = 1
  else
    replies[i] = 0
  end
end
if free[1] then redis.call('DEL', unpack(free)) end
if not rest then return KEYS[4] and replies or replies[1] end
${CLOCK_AND_SAID}${HAND_OVER}
own = ARGV[1]
local function one(i)
  local value, given = string.match(ARGV[i + 1], '^(.*)#(%d+)$')
  return { give_back({ place(KEYS[i + 2]) }, { kind = 'x', value = value, fence = given }), us, grants }
end
for _, i in ipairs(rest) do replies[i] = guarded(one, i) end
return replies`,
});

/* The same for any kind and any number of keys. ARGV: the caller's channel, value, kind, fence or ''. */
export const releaseAny = defineScript<ReleaseReply>({
  whileClosing: true,
  args: 4,
  lua: `${CLOCK}${QUEUE_OF}${HAND_OVER}${KEYS_OF_CLAIM}
own = ARGV[1]
return { give_back(list, { value = ARGV[2], kind = ARGV[3], fence = ARGV[4] ~= '' and ARGV[4] or nil }), us, grants }`,
});

/*
 * `begin` takes a claim out of its queues, `finish` does the rest and returns a LeaveReply. Arguments from `arg` on: value, ttl in ms, id,
 * kind, permits, keep (see `Requests.leave`).
 */
const LEAVE = `
own = ARGV[1]
-- What a call like this one has found already: nothing can be granted.
local settled = {}

local function begin(list, arg)
  local claim = { value = ARGV[arg], ttl = ARGV[arg + 1], id = ARGV[arg + 2], kind = ARGV[arg + 3], permits = ARGV[arg + 4] }
  claim.channel, claim.list, claim.keep = own, list, ARGV[arg + 5]
  local packed = pack(claim, list)
  for _, at in ipairs(list) do claim.waits = remove(at, packed) or claim.waits end
  return claim
end

local function finish(claim)
  local list, keep, held = claim.list, claim.keep, 0
  local gives_all = keep == 'take' or keep == ''
  local like = keep .. ' ' .. claim.kind .. claim.permits .. ' ' .. list[1].key
  if claim.waits and settled[like] and not (gives_all and claim.kind == 'x' and held_as(list[1].key, claim)) then
    return { 0, us, grants }
  end
  settled = {}
  if keep == 'all' or keep == 'free' then
    for _, at in ipairs(list) do hand_over(at) end
  else
    if keep ~= '' then
      if keep ~= 'take' then
        -- What a request that came late took besides.
        claim.others = keep
        give_back(list, claim)
        claim.others, claim.fence = nil, keep
      end
      local given, remaining = held_everywhere(list, claim)
      if given then return { 2, us, grants, given, remaining } end
      claim.fence = nil
    end
    held = give_back(list, claim)
  end
  if keep == 'take' or keep == 'free' then
    -- It may be that no waiter was told that the lock is free, because its key was not released but deleted.
    local last = obtain(list, { value = claim.value, ttl = claim.ttl, kind = claim.kind, permits = claim.permits }, '')
    if type(last) == 'string' then return { 2, us, grants, last, tonumber(claim.ttl) } end
    if last[1] == 1 then return { 2, us, grants, last[2], last[3] } end
  end
  if not list[2] then settled[like] = true end
  return { held, us, grants }
end
`;

/*
 * Stops waiting for one key. Shared: KEYS[1] and KEYS[2]; the caller's channel. Per call: key; value, ttl in ms, id, kind, permits,
 * keep. Returns a LeaveReply per call.
 */
export const leave = defineScript<LeaveReply>({
  whileClosing: true,
  keys: 1,
  args: 6,
  batch: BATCH,
  lua: `${CLOCK}${QUEUE_OF}${QUEUES}${LEAVE}
local replies, claims = {}, {}
for i = 1, #KEYS - 2 do claims[i] = begin({ place(KEYS[i + 2]) }, i * 6 - 4) end
for i, claim in ipairs(claims) do replies[i] = guarded(finish, claim) end
return replies`,
});

/* The same for several keys. ARGV: the caller's channel, value, ttl in ms, id, kind, permits, keep. Returns a LeaveReply. */
export const leaveAny = defineScript<LeaveReply>({
  whileClosing: true,
  args: 7,
  lua: `${CLOCK}${QUEUE_OF}${QUEUES}${LEAVE}${KEYS_OF_CLAIM}
return finish(begin(list, 2))`,
});

/*
 * Sets the time that is left of an exclusive claim on one key, which is all that it needs. Per call: key; holder, ttl in ms.
 * Returns 1 per call, or 0 if the claim is not held any more.
 */
export const refreshExclusive = defineScript<0 | 1>({
  whileClosing: true,
  keys: 1,
  args: 2,
  batch: BATCH,
  lua: `
local replies, said = {}, redis.call('MGET', unpack(KEYS))
for i, key in ipairs(KEYS) do
  local held = said[i] == ARGV[i * 2 - 1]
  replies[i] = held and redis.call('PEXPIRE', key, ARGV[i * 2]) or 0
end
return replies`,
});

/* The same for any kind and any number of keys, telling who waits if it is sooner now. ARGV: value, ttl in ms, kind, fence or ''. */
export const refreshAny = defineScript<0 | 1>({
  whileClosing: true,
  args: 4,
  lua: `${CLOCK}${QUEUE_OF}${HAND_OVER}${KEYS_OF_CLAIM}
local claim = { value = ARGV[1], ttl = ARGV[2], kind = ARGV[3], fence = ARGV[4] ~= '' and ARGV[4] or nil }
local held = 1
for _, at in ipairs(list) do
  local holder = held_as(at.key, claim)
  local before = soonest(at.key, claim.kind)
  if holder then put(at.key, claim, holder) else held = 0 end
  hurry(at, claim.kind, before)
end
return held`,
});

/* The time in ms that is left of a claim where least is left, 0 if it is not held. ARGV: value, kind, fence. */
export const timeLeft = defineScript<number>({
  args: 3,
  lua: `${CLOCK}${QUEUE_OF}${QUEUES}${KEYS_OF_CLAIM}
local claim = { value = ARGV[1], kind = ARGV[2], fence = ARGV[3] }
local least
for _, at in ipairs(list) do
  local holder = held_as(at.key, claim)
  local there = holder and left(at.key, claim, holder) or 0
  least = math.min(least or there, there)
end
return least`,
});

/* How a key is doing, whatever kind of lock it is. Returns a LookReply. */
export const look = defineScript<LookReply>({
  args: 0,
  lua: `${CLOCK}${QUEUE_OF}${HAND_OVER}${KEYS_OF_CLAIM}
local at = list[1]
local waiting = call('SCARD', at.waiting)
-- Unlike GET it does not mind a sorted set.
local exclusive = call('MGET', at.key)[1]
if exclusive then return { waiting, { { 'x' .. exclusive, call('PTTL', at.key) } } } end
local scored = call('ZRANGEBYSCORE', at.key, digits(ms), '+inf', 'WITHSCORES')
local holders = {}
for i = 1, #scored, 2 do
  if not string.find(scored[i], '^[rws].*#%d+$') then
    return redis.error_reply('WRONGTYPE The key holds a sorted set that is no lock')
  end
  holders[#holders + 1] = { scored[i], scored[i + 1] - ms }
end
return { waiting, holders }`,
});
