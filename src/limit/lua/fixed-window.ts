import type { Algorithm } from './algorithm.js';

/* Blocked, when the window began, used. The key lives until the window ends, so that calls within it keep its expiry. */
const FORMAT = '>I7I7I7';
/** `used` begins behind so many bytes. */
const USED = 14;

const WHOLE = `
function read.f(key, rule)
  local packed = call('GET', key)
  if not packed then return { blocked = 0, used = 0, now = now, start = now } end
  local blocked, start, used = parse('${FORMAT}', packed)
  local s = { blocked = blocked, now = math.max(now, start), start = start, used = used }
  -- It begins with a call, and not with a block or with what was given back.
  if used == 0 or start + rule.period <= s.now then s.start, s.used = s.now, 0 end
  return s
end

function charge.f(key, rule, s, cost)
  s.used = math.min(9007199254740991, math.max(0, s.used + cost))
  local lasts = math.max(s.start + rule.period, s.blocked) - now
  call('SET', key, pack('${FORMAT}', s.blocked, s.start, s.used), 'PX', ttl(lasts))
end

amend.f = charge.f

function wait.f(key, rule, s, cost)
  return s.used + cost > rule.capacity and s.start + rule.period - s.now or 0
end

function reset.f(rule, s)
  return s.used > 0 and s.start + rule.period - s.now or 0
end
`;

/* The reply is one number: what is used, and in how many ms the window ends, in the place of all that may be used. */
const BEFORE = `
local all, ceil, place = call('MGET', unpack(keys)), math.ceil, capacity + 1
local exact = place * (period / 1000 + 1) <= 2 ^ 53`;

const EACH = `
  local packed, usual, start, used = all[i], exact, now, 0
  if packed then
    usual = exact and #packed == 21
    if usual then
      local blocked
      blocked, start, used = parse('${FORMAT}', packed)
      usual = blocked <= now and start <= now
      if start + period <= now then used = 0 end
    end
  end
  if usual and used + n <= capacity then
    if used > 0 then
      call('SETRANGE', key, '${USED}', pack('>I7', used + n))
      reply = used + n + place * ceil((start + period - now) / 1000)
    else
      -- What has no value here may be of another type.
      local new = call('SET', key, pack('${FORMAT}', 0, now, n), packed and 'XX' or 'NX', 'PX', period / 1000 + 2)
      if new then reply = n + place * (period / 1000) end
    end
  end`;

export const FIXED_WINDOW: Algorithm = { whole: WHOLE, fast: { before: BEFORE, each: EACH } };
