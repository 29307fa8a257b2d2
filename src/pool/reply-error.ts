import type { ErrorReply, RedisArgument } from 'redis';
import { ReplyError } from '../errors.js';
import { redactArgs } from '../observe/redact.js';

/** What Redis says, under one code or another, of a script that did what its user may not do. */
const SCRIPT_REFUSED = /^(?:ERR |NOPERM )?(The user executing the script can't|ACL failure in script)/;
const LONGEST_COMMAND = 300;

/** The error for a caller. Of a right that is missing Redis names neither key nor channel: the command `args` does. */
export function replyError(reply: ErrorReply, args?: readonly RedisArgument[]): ReplyError {
  const inScript = SCRIPT_REFUSED.test(reply.message);
  if (!inScript && !reply.message.startsWith('NOPERM')) return new ReplyError(reply.message, { cause: reply });
  const command = args ? `in ${shown(args)}; ` : '';
  const text = reply.message.replace(SCRIPT_REFUSED, 'NOPERM $1');
  return new ReplyError(`${text} (${command}ACL LOG on the server has more)`, { cause: reply });
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
