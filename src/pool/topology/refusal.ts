import { ErrorReply } from 'redis';
import type { ResolvedPool } from '../../config/types.js';
import { TopologyError } from './topology-error.js';

/** Who a pool is to a server, and under which options that stands. */
export interface Identity {
  readonly username: string | undefined;
  readonly usernameOption: 'username' | 'sentinelUsername';
  readonly passwordOption: 'password' | 'sentinelPassword';
}

/** Error replies to a handshake that pass by themselves. */
const TRANSIENT_REPLY = /^(LOADING|MASTERDOWN|BUSY|TRYAGAIN|CLUSTERDOWN)\b|max number of clients/;

/** What node calls a failure of TLS, and what to do about it; the first that fits. */
const TLS_REMEDIES: readonly (readonly [code: RegExp, remedy: string])[] = [
  [/^CERT_HAS_EXPIRED$/, "renew the server's certificate"],
  [/^CERT_NOT_YET_VALID$/, "the server's certificate is not valid yet: compare the clocks"],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$|HOSTNAME_MISMATCH|IP_ADDRESS_MISMATCH/,
    'connect by a name that is in the certificate, or put such a name into tls.servername',
  ],
  [
    /SELF_SIGNED|^UNABLE_TO_|^INVALID_CA$|^CERT_UNTRUSTED$/,
    "put the authority that signed the server's certificate into tls.ca",
  ],
  [
    /CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE/,
    'the server may ask for a client certificate: put one into tls.cert and tls.key',
  ],
  [
    /ALERT_UNKNOWN_CA/,
    'the server does not trust the client certificate: have tls.cert signed by an authority it knows',
  ],
  [/ALERT_.*CERTIFICATE/, 'the server refuses the client certificate: renew or replace tls.cert and tls.key'],
  [
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/,
    'the server speaks no version of TLS that is allowed here: see tls.minVersion',
  ],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/,
    'the server does not speak TLS there: leave tls out (in a URL: redis://)',
  ],
  [/^ERR_OSSL_|^ERR_CRYPTO_/, 'tls.ca, tls.cert and tls.key must be PEM, and tls.key must belong to tls.cert'],
  [/CERT|^ERR_TLS|^ERR_SSL/, 'see tls'],
];

/**
 * The error as it is, if the next attempt may fare better; else one that says what to do about it.
 *
 * @param error why an attempt to connect failed, as the system or the server gave it.
 */
export function explainRefusal(error: Error, pool: ResolvedPool, identity: Identity = identityOf(pool)): Error {
  if (error instanceof TopologyError) return error;
  const remedy = error instanceof ErrorReply ? remedyOfReply(error.message, pool, identity) : remedyOfTls(error);
  if (remedy === undefined) return error;
  return new TopologyError(remedy === '' ? reasonOf(error) : `${reasonOf(error)}: ${remedy}`, { cause: error });
}

/** Who a pool is to its Redis servers. */
export function identityOf({ username }: ResolvedPool): Identity {
  return { username, usernameOption: 'username', passwordOption: 'password' };
}

function remedyOfReply(message: string, pool: ResolvedPool, identity: Identity): string | undefined {
  if (TRANSIENT_REPLY.test(message)) return undefined;
  const user = JSON.stringify(identity.username ?? 'default');
  switch (/^[A-Z]+/.exec(message)?.[0]) {
    case 'WRONGPASS':
      return `see ${identity.usernameOption} (${user}) and ${identity.passwordOption}`;
    case 'NOAUTH':
      return `set ${identity.passwordOption}`;
    case 'NOPERM':
      return `give the user ${user} this right: docs/security.md lists those that are needed`;
  }
  return /DB index/.test(message) ? `see database (${pool.database})` : '';
}

function remedyOfTls(error: Error): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? undefined : TLS_REMEDIES.find(([pattern]) => pattern.test(code))?.[1];
}

// OpenSSL's message has memory addresses and the names of its source files around the reason.
function reasonOf(error: Error): string {
  const { reason } = error as { reason?: unknown };
  const text = typeof reason === 'string' && error.message.includes(':error:') ? reason : error.message.trim();
  return text.replace(/[.:]+$/, '');
}
