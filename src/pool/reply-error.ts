import type { ErrorReply, RedisArgument } from 'redis';
import { ReplyError } from '../errors.js';
import { redactArgs } from '../observe/redact.js';
import { maskReply } from '../observe/redact-error.js';

/** What Redis says, under one code or another, of a script that did what its user may not do. */
const SCRIPT_REFUSED = /^(?:ERR |NOPERM )?(The user executing the script can't|ACL failure in script)/;
const LONGEST_COMMAND = 300;

/**
 * The error for a caller, without what the command `args` hides: neither in its text nor in its cause. Of a right that is
 * missing Redis names neither key nor channel: the command does.
 */
export function replyError(reply: ErrorReply, args: readonly RedisArgument[]): ReplyError {
  const cause = cleanReply(reply, args);
  const { message } = cause;
  const inScript = SCRIPT_REFUSED.test(message);
  if (!inScript && !message.startsWith('NOPERM')) return new ReplyError(message, { cause });
  const text = message.replace(SCRIPT_REFUSED, 'NOPERM $1');
  return new ReplyError(`${text} (in ${shown(args)}; ACL LOG on the server has more)`, { cause });
}

/** The reply as it is if it shows nothing that the command `args` hides, or else a copy without that. */
export function cleanReply(reply: ErrorReply, args: readonly RedisArgument[]): ErrorReply {
  const text = maskReply(reply.message, args);
  return text === reply.message ? reply : withText(reply, text);
}

/** A reply of the same kind with another text. */
export function withText(reply: ErrorReply, text: string): ErrorReply {
  return new (reply.constructor as new (message: string) => ErrorReply)(text);
}

/** Whether a command was refused for one of its keys, and so before anything of it was executed. */
export function isKeyRefused(error: unknown): boolean {
  if (!(error instanceof ReplyError) || !(error.cause instanceof Error)) return false;
  const { message } = error.cause;
  return message.startsWith('NOPERM') && /\bkeys?\b/.test(message) && !SCRIPT_REFUSED.test(message);
}

function shown(args: readonly RedisArgument[]): string {
  const line = redactArgs(args).join(' ');
  return line.length > LONGEST_COMMAND ? `${line.slice(0, LONGEST_COMMAND)}…` : line;
}
