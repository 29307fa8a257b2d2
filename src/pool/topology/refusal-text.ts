import type { ErrorReply } from 'redis';
import { hideSecrets } from '../../observe/pool-secrets.js';
import { isServerText } from '../../observe/server-texts.js';
import { withText } from '../reply-error.js';

/** What a server must be that Lagoon can speak to. */
export const NEEDS_HELLO = 'Lagoon needs HELLO with RESP3: Redis 6.2 or later, Valkey; is HELLO renamed?';

const UNKNOWN =
  /\b(?:unknown|unsupported|unrecogni[sz]ed|invalid|illegal) (?:command|cmd)\b|\bnot (?:supported|recogni[sz]ed|implemented)\b/i;
/** Commands that are said while connecting, and the names of which may be repeated. */
const SAID = /\b(?:HELLO|AUTH|SELECT|CLIENT|CLUSTER|ROLE|READONLY|SENTINEL|SUBSCRIBE)\b/i;
const NO_RIGHT =
  /^NOPERM (?:User (\S+)|this user) has no permissions to run the '([a-z|-]{1,40})' command( or its subcommand)?$/i;
const NO_PERMISSION_TO_ACCESS = /^NOPERM .*\b(command|key|channel)s?\b/is;
const PROTECTED = /^DENIED (?:Redis|Valkey) is running in protected mode\b/;

/**
 * The reply to what is said while connecting, as it may be passed on. Servers and proxies quote what they were sent, a
 * password among it: only texts that are known to quote nothing stay, and all others become their code and our own words.
 */
export function cleanRefusal(reply: ErrorReply, username: string | undefined): ErrorReply {
  const text = isServerText(reply.message) ? reply.message : reworded(reply.message, username);
  return text === reply.message ? reply : withText(reply, text);
}

/** Whether a reply, made clean, says that the server cannot speak as Lagoon does. */
export function lacksHello(message: string): boolean {
  return message.startsWith('NOPROTO') || message === unknownCommand('HELLO');
}

function reworded(message: string, username: string | undefined): string {
  const right = NO_RIGHT.exec(message);
  if (right) return noRight(right, username);
  const code = /^[A-Z][A-Z0-9_]*(?= |$)/.exec(message)?.[0] ?? 'ERR';
  if (code === 'NOPROTO') return 'NOPROTO unsupported protocol version';
  if (PROTECTED.test(message))
    return 'DENIED the server runs in protected mode, and takes connections of its own host alone';
  // The first that is named: a password may be the name of a command.
  const named = SAID.exec(message)?.[0].toUpperCase();
  if (UNKNOWN.test(message) && named) return unknownCommand(named);
  const about = code === 'NOPERM' && NO_PERMISSION_TO_ACCESS.exec(message)?.[1];
  if (about) return `NOPERM no permission to use a ${about.toLowerCase()}`;
  // The code might be the password itself.
  return `${hideSecrets(code) === code ? code : 'ERR'} (text not shown: it may quote a password)`;
}

function noRight([, user, command = '', rest = '']: readonly (string | undefined)[], username = 'default'): string {
  const who = user === undefined ? 'this user' : `User ${user === username ? user : '?'}`;
  return `NOPERM ${who} has no permissions to run the '${hideSecrets(command)}' command${rest}`;
}

function unknownCommand(name: string): string {
  return `ERR unknown command '${name}'`;
}
