import { LagoonError, ReplyError } from '../errors.js';
import { type Hidden, mask } from './mask.js';
import { poolSecrets } from './pool-secrets.js';
import { UNSHOWN } from './printable.js';
import { MAX_ARGS, type RedactedCommand, redactCommand } from './redact.js';
import { isServerText } from './server-texts.js';

/** Where the arguments are a program, any part of any of them may come back in its error. */
const PROGRAM = /^(?:EVAL|FCALL|SCRIPT LOAD$|FUNCTION (?:LOAD|RESTORE)$)/;
/** Commands of which one argument is the source of a program, and which one: from the end if negative. */
const SOURCE: Readonly<Record<string, number>> = { EVAL: 1, EVAL_RO: 1, 'SCRIPT LOAD': 2, 'FUNCTION LOAD': -1 };
/** Replies to a program that the server words by itself. */
const OWN_WORDS = /^(?:NOSCRIPT|BUSY|OOM|READONLY|MOVED|ASK|CROSSSLOT|CLUSTERDOWN|TRYAGAIN|LOADING|MISCONF|NOPERM)$/;

/**
 * An error as it may be logged: without what its command hides, as in {@link maskReply}, and of a program's error the
 * `replyCode` alone. Lagoon's other errors name no value and stay as they are; of a foreign one, such as that of a parser
 * that quotes the text it cannot read, only the name is kept.
 */
export function redactError(error: Error, command: RedactedCommand, args: readonly (string | Buffer)[]): Error {
  // The copies also leave behind `cause`.
  if (error instanceof ReplyError) return new ReplyError(redactReply(error, command, args));
  if (error instanceof LagoonError) return error;
  const copy = new Error('(text not shown: it may quote a value)');
  copy.name = error.name;
  return copy;
}

function redactReply(error: ReplyError, command: RedactedCommand, args: readonly (string | Buffer)[]): string {
  if (!PROGRAM.test(command.operation) || OWN_WORDS.test(error.replyCode)) {
    return maskReply(error.message, args, command);
  }
  return `${error.replyCode} (text not shown: it may quote an argument)`;
}

/**
 * The text of an error reply as the caller of the command may see it. Redis quotes arguments in some (`unknown command 'X',
 * with args beginning with: 'secret'`): what quotes an argument that {@link redactCommand} hides, or a secret of a pool,
 * becomes `?`.
 */
export function maskReply(text: string, args: readonly (string | Buffer)[], command?: RedactedCommand): string {
  if (isServerText(text) || isAboutTheName(text, args)) return text;
  // The whole list, as it may be one of another command: that of a transaction, or one that a script calls.
  const short = text.replace(/( with args beginning with:).*'.*$/s, `$1 ${UNSHOWN}`);
  return mask(short, [...hiddenOf(args, command ?? redactCommand(args)), ...poolSecrets()]);
}

/** `wrong number of arguments for 'get' command`, with the name of the command that was sent. */
function isAboutTheName(text: string, [name = '', subcommand = '']: readonly (string | Buffer)[]): boolean {
  const about = /^ERR wrong number of arguments for '([^']{1,64})' command(?: or subcommand)?$/.exec(text)?.[1];
  if (about === undefined) return false;
  const lower = String(name).toLowerCase();
  return about.toLowerCase() === lower || about.toLowerCase() === `${lower}|${String(subcommand).toLowerCase()}`;
}

function hiddenOf(args: readonly (string | Buffer)[], command: RedactedCommand): Hidden[] {
  const source = SOURCE[command.operation];
  const hidden: Hidden[] = [];
  for (const [i, text] of args.entries()) {
    if (command.args[i] !== UNSHOWN && i < MAX_ARGS) continue;
    const isSource = source !== undefined && (source < 0 ? i === args.length + source : i === source);
    hidden.push({ kind: isSource ? 'program' : 'value', text });
  }
  return hidden;
}
