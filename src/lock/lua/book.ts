/*
 * What the scripts of the locks have in common, so that there is one account of what it means to hold, to wait and to
 * hand over.
 *
 * A claim is what one caller asks for, on one key or on several. At each key there are in Redis:
 *   the key  who holds it: a holder is written `<value>#<fence>`. Kind `x` (exclusive): a string with an expiry, as SET NX PX
 *            makes it. Kinds `r` and `w` (readers, a writer) and `s` (a semaphore): a sorted set of kind and holder, by the
 *            expiry in ms.
 *   a queue  a list of the claims that wait there, packed, in their order; its name is KEYS[1] with that of the key behind it.
 *   waiting  a set of the same claims: a claim of the list that is not in the set has left. Leaving so costs the same in a queue
 *            of any length. The name is KEYS[2], `!` and the key.
 * and for all keys that a script can reach, which in a cluster are those of a slot, KEYS[2]:
 *   the book the last fence, and, behind a space, until when in ms somebody may be waiting somewhere. Who waits says so again
 *            before that time. As long as nobody does, no queue needs a look.
 *   marks    since when, in ms, nobody listens to the channel of a process that keeps others waiting; the name is KEYS[2], `?` and
 *            the channel.
 *
 * KEYS[1] by itself is no key, and that is of use: in a cluster a script with a key that is missing runs on neither side
 * while its slot moves (TRYAGAIN). So none ever sees the queue without the key, or stops in the middle because what it has just
 * deleted counts as moved.
 */

/** The queue of a key is in the slot of the key, because the name of the book begins it. */
export const QUEUE_OF = `
local function queue_of(key) return KEYS[1] .. key end
local function waiting_of(key) return KEYS[2] .. '!' .. key end
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
