import { CLOCK_AND_SAID } from './book.js';
import { TELL } from './tell.js';

/**
 * Hands an exclusive lock that is released alone to the head of its queue, if that is an exclusive claim on this key alone, as
 * it mostly is. When a server had nothing to do for some ms, the first use of each command is most of what a script costs, so
 * here are few of them. Follows what was `said` of the book and the key; leaves all as it was to what comes behind it, but that
 * the head is gone if its process is. A head that has left is not in the set of those that wait.
 */
export const HAND_OVER_AT_ONCE = `
if not KEYS[4] and said[2] == ARGV[2] then
  local queue = KEYS[1] .. KEYS[3]
  local set = KEYS[2] .. '!' .. KEYS[3]
  local head = redis.call('LINDEX', queue, '0')
  if not head then return redis.call('DEL', KEYS[3]) end
  local claim = cmsgpack.unpack(head)
  -- Whoever waits behind it must be told if its time is over sooner than the holder's would have been.
  if claim[4] == 'x' and not claim[7] and redis.call('PTTL', KEYS[3]) <= claim[3] + 0
    and redis.call('SREM', set, head) == 1 then
    ${CLOCK_AND_SAID}${TELL}
    local own, grant = claim[2] == ARGV[1], claim[1] .. ' ' .. fence .. ' ' .. us
    local ok, told = true, own
    if not own then ok, told = pcall(tell, claim[2], claim[1], grant) end
    if not ok then
      call('SADD', set, head)
      error({ err = told })
    end
    call('LPOP', queue)
    if told then
      call('SET', KEYS[2], waiting_until and fence .. ' ' .. waiting_until or fence)
      call('SET', KEYS[3], claim[6] .. '#' .. fence, 'PX', claim[3])
      return own and grant or 1
    end
  end
end
`;
