import type { Held } from './claim.js';

/** A waiter that was given what it waited for: its id and the fence. */
export type Grant = readonly [id: string, fence: string];

/** Granted just now: the fence. */
type Granted = string;
/** Held: the fence, the time that is left in ms, the server's time in µs, and who else was granted. */
type HeldAlready = readonly [1, fence: string, leftMs: number, serverUs: string, grants: readonly Grant[]];
/**
 * In how many ms to look again, whether a stranger holds it, the server's time in µs, who else was granted, and whether the
 * claim had no place in the queue before.
 */
type Denied = readonly [0, lookMs: number, foreign: 0 | 1, serverUs: string, grants: readonly Grant[], queued: 0 | 1];

export type ObtainReply = Granted | HeldAlready | Denied;
/** Whether the claim was held, with the server's time in µs and who was granted instead. */
export type GivenBack = readonly [held: 0 | 1, serverUs: string, grants: readonly Grant[]];
/** As a message has it: the id of the waiter, the fence, the server's time in µs. */
type GrantMessage = string;
/**
 * As {@link GivenBack}. Or only whether the claim was held, if nobody of this process was granted anything; or who was granted
 * what was held.
 */
export type ReleaseReply = 0 | 1 | GrantMessage | GivenBack;
/** How many wait, and who holds, soonest over first: each with its kind before it, and the time that is left in ms (-1: no expiry). */
export type LookReply = readonly [waiting: number, holders: readonly (readonly [holder: string, ttlMs: number])[]];
/** As {@link GivenBack}, or, if the claim had been granted meanwhile and was to be kept, as that. */
export type LeaveReply =
  | GivenBack
  | readonly [2, serverUs: string, grants: readonly Grant[], fence: string, leftMs: number];

/** What a reply grants, to a request that was sent at `sentAt`: the time until Redis executed it counts against the lock. */
export function heldBy(reply: ObtainReply, sentAt: number, ttlMs: number): Held | undefined {
  if (typeof reply === 'string') return { fence: reply, expiresAt: sentAt + ttlMs };
  return reply[0] === 1 ? { fence: reply[1], expiresAt: sentAt + reply[2] } : undefined;
}

const HELD: GivenBack = [1, '', []];
const NOT_HELD: GivenBack = [0, '', []];

/** What a reply to a release says, in whichever of its forms. */
export function givenBack(reply: ReleaseReply): GivenBack {
  if (typeof reply === 'number') return reply === 1 ? HELD : NOT_HELD;
  if (typeof reply !== 'string') return reply;
  const [id, fence, serverUs] = partsOf(reply);
  return [1, serverUs, [[id, fence]]];
}

/** What a message says. Without a fence, `''`, it is no grant, but the hint to look again. */
export function partsOf(message: string): [id: string, fence: string, serverUs: string] {
  const [id = '', fence = '', serverUs = ''] = message.split(' ');
  return [id, fence, serverUs];
}
