import { LagoonError, ReplyError } from '../errors.js';
import { UNSHOWN } from './printable.js';
import { MAX_ARGS, type RedactedCommand } from './redact.js';

/** Shorter hidden arguments, such as `1`, are looked for as whole words: as a part of one they are chance. */
const MIN_PART = 4;
/** Redis cuts what it quotes, so the beginning of an argument gives it away as much as the whole. */
const MAX_PART = 16;

/** Where the arguments are a program, any part of any of them may come back in its error. */
const PROGRAM = /^(?:EVAL|FCALL|SCRIPT LOAD$|FUNCTION (?:LOAD|RESTORE)$)/;
/** Replies to a program that the server words by itself. */
const OWN_WORDS = /^(?:NOSCRIPT|BUSY|OOM|READONLY|MOVED|ASK|CROSSSLOT|CLUSTERDOWN|TRYAGAIN|LOADING|MISCONF|NOPERM)$/;

/**
 * An error as it may be logged. Redis quotes arguments in some replies (`unknown command 'X', with args beginning with:
 * 'secret'`); such a reply becomes one with the same `replyCode` and without the quotation. Lagoon's other errors name no
 * value and stay as they are; of a foreign one, such as that of a parser that quotes the text it cannot read, only the
 * name is kept.
 */
export function redactError(error: Error, command: RedactedCommand, args: readonly (string | Buffer)[]): Error {
  // The copies also leave behind `cause`, which is the error as it came.
  if (error instanceof ReplyError) return new ReplyError(redactReply(error, command, args));
  if (error instanceof LagoonError) return error;
  const copy = new Error('(text not shown: it may quote a value)');
  copy.name = error.name;
  return copy;
}

function redactReply(error: ReplyError, command: RedactedCommand, args: readonly (string | Buffer)[]): string {
  // Of a transaction, the reply may be about a command other than the one it is reported for: cut this one always.
  const message = error.message.replace(/ with args beginning with:.*$/s, ' with args not shown');
  const hidden = args.filter((_, i) => command.args[i] === UNSHOWN || i >= MAX_ARGS);
  const program = PROGRAM.test(command.operation) && !OWN_WORDS.test(error.replyCode);
  if (!program && !hidden.some((arg) => quotes(message, arg))) return message;
  return `${error.replyCode} (text not shown: it may quote an argument)`;
}

function quotes(message: string, arg: string | Buffer): boolean {
  // An error reply is one line: Redis turns line ends into spaces.
  const start = typeof arg === 'string' ? arg.slice(0, MAX_PART) : arg.toString('utf8', 0, MAX_PART);
  const part = start.replace(/[\r\n]/g, ' ');
  if (part.length >= MIN_PART) return message.includes(part);
  const word = /^[A-Za-z0-9_]+$/.test(part) ? new RegExp(`(?<![A-Za-z0-9_])${part}(?![A-Za-z0-9_])`) : undefined;
  return word ? word.test(message) : part.trim() !== '' && message.includes(part);
}
