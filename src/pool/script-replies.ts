import { ErrorReply, type RedisArgument } from 'redis';
import { LagoonError } from '../errors.js';
import { replyError } from './reply-error.js';

/**
 * The replies of a batched script to so many calls; node-redis's error where a call failed. To one call, what is no array
 * is the reply.
 *
 * @throws {LagoonError} if there is not one reply per call.
 */
export function repliesOf(reply: unknown, calls: number): unknown[] {
  if (calls === 1 && !Array.isArray(reply)) return [reply];
  if (!Array.isArray(reply) || reply.length !== calls) {
    const got = Array.isArray(reply) ? `${reply.length} replies` : typeof reply;
    throw new LagoonError('LAGOON_SCRIPT', `A batched script must return one reply per call: ${calls}, got ${got}`);
  }
  return reply;
}

/**
 * The reply of a batched script to the one call that it was sent for.
 *
 * @throws {ReplyError} if the call failed. {@link LagoonError} if there is not one reply.
 */
export function onlyReply(reply: unknown, command: readonly RedisArgument[]): unknown {
  const [own] = repliesOf(reply, 1);
  if (own instanceof ErrorReply) throw replyError(own, command);
  return own;
}
