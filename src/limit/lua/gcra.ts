import type { Algorithm } from './algorithm.js';

/*
 * Blocked, until when the key lives, the drain that `used` is in units of, the time that `used` is of, used: what a call changes
 * comes last. A key lives for up to twice as long as it must, or 10 s, as to set its expiry costs as much as a command.
 */
const FORMAT = '>I7I7I7I7I7';
/** What a call changes begins behind so many bytes. */
const CHANGED = 21;

const WHOLE = `
function read.g(key, rule)
  local packed = call('GET', key)
  if not packed then return { blocked = 0, lives = 0, used = 0, now = now } end
  local blocked, lives, drain, at, used = parse('${FORMAT}', packed)
  -- The limit of this key is another than it was.
  if drain ~= rule.drain then used = math.ceil(used / drain * rule.drain) end
  local s = { blocked = blocked, lives = lives, now = math.max(now, at) }
  s.used = math.max(0, used - (s.now - at) * rule.drain)
  return s
end

function charge.g(key, rule, s, cost)
  s.used = math.min(9007199254740991, math.max(0, s.used + cost * rule.unit))
  local needs, left = math.ceil(math.max(s.used / rule.drain, s.blocked - now)), s.lives - now
  local longest = math.max(2 * needs, 10000000)
  local keeps = left >= needs and left <= longest
  if not keeps then s.lives = now + longest end
  local packed = pack('${FORMAT}', s.blocked, s.lives, rule.drain, s.now, s.used)
  if keeps then call('SET', key, packed, 'KEEPTTL') else call('SET', key, packed, 'PX', ttl(longest)) end
end

amend.g = charge.g
function wait.g() return 0 end
function reset.g() return 0 end
`;

const BEFORE = `
local unit, drain, max, floor = tonumber(ARGV[3]), tonumber(ARGV[4]), math.max, math.floor
local all = call('MGET', unpack(keys))`;

const EACH = `
  local packed, usual, lives, used = all[i], true, 0, 0
  if packed then
    usual = #packed == 35
    if usual then
      local blocked, of, at
      blocked, lives, of, at, used = parse('${FORMAT}', packed)
      usual = of == drain and blocked <= now and at <= now
      used = max(0, used - (now - at) * drain)
    end
  end
  used = used + n * unit
  if usual and used <= capacity then
    local left, longest = lives - now, max(2 * used / drain, 10000000)
    if left * drain >= used and left <= longest then
      reply = used
      call('SETRANGE', key, '${CHANGED}', pack('>I7I7', now, used))
    else
      local value = pack('${FORMAT}', 0, now + floor(longest), drain, now, used)
      -- What has no value here may be of another type.
      if call('SET', key, value, packed and 'XX' or 'NX', 'PX', floor(longest / 1000) + 2) then reply = used end
    end
  end`;

export const GCRA: Algorithm = { whole: WHOLE, fast: { before: BEFORE, each: EACH } };
