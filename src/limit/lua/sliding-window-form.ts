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
export const MOST_UNITS = 256;
/** Calls of one turn of the event loop that are written one by one. */
export const MOST_AT_ONCE = 16;
/** In bytes: until when a key of units lives, a unit, a call of a ring, and what stands at the beginning of a ring. */
export const LIVES = 7;
export const UNIT = 6;
export const CALL = 11;
export const RING = 48;
/** So many calls of either end stand in front of the places of a wide ring, in so many bytes. */
export const NEAR = 8;
const NEAR_BYTES = NEAR * CALL;
export const NEWEST = RING + 2;
export const OLDEST = NEWEST + NEAR_BYTES;
export const WIDE = OLDEST + NEAR_BYTES;
/** A ring of more places is wide. */
export const MOST_PLACES = 64;
/** So much is read first of what may be long: all of a ring that is needed, or some units. */
export const HEAD = WIDE;
/** The last byte of units. */
export const LAST = LIVES + MOST_UNITS * UNIT - 1;

/** The forms as `struct` has them, and how many times the low bytes of a unit can tell apart. */
export const FORMATS = `local CALL, RING, WIDE, SPAN = '>I7I4', '>I1I7I7I7I7I7I4I4I4', '>I1I7I7I7I7I7I4I4I4I1I1', 2 ^ 48`;
