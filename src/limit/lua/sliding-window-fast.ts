import type { FastPath } from './algorithm.js';
import {
  CALL,
  FORMATS,
  HEAD,
  LAST,
  LIVES,
  MOST_AT_ONCE,
  MOST_UNITS,
  NEAR,
  NEWEST,
  OLDEST,
  UNIT,
  WIDE,
} from './sliding-window-form.js';

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

export const SLIDING_WINDOW_FAST: FastPath = { before: BEFORE, each: EACH };
