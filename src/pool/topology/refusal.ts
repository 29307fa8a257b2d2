import { ErrorReply } from 'redis';
import type { ResolvedPool, ResolvedTopology } from '../../config/types.js';
import { withoutSecrets } from '../../observe/pool-secrets.js';
import { cleanRefusal, lacksHello, NEEDS_HELLO } from './refusal-text.js';
import { TopologyError } from './topology-error.js';

/** Who a pool is to a server, how it speaks to it, and under which options that stands. */
export interface Identity {
  readonly username: string | undefined;
  readonly usernameOption: 'username' | 'sentinelUsername';
  readonly passwordOption: 'password' | 'sentinelPassword';
  readonly tls: ResolvedPool['tls'];
  readonly tlsOption: 'tls' | 'sentinelTls';
  /** What to do where TLS is spoken and not asked for, and the other way round. */
  readonly askForTls: string;
  readonly leaveTlsOut: string;
}

/** Error replies to a handshake that pass by themselves. */
const TRANSIENT_REPLY = /^(LOADING|MASTERDOWN|BUSY|TRYAGAIN|CLUSTERDOWN)\b|max number of clients/;

/** What node calls it that the other side speaks no TLS. */
const NO_TLS = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/;

/** What node calls any other failure of TLS, and what to do about it; the first that fits. */
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
  [/^ERR_OSSL_|^ERR_CRYPTO_/, 'tls.ca, tls.cert and tls.key must be PEM, and tls.key must belong to tls.cert'],
  [/CERT|^ERR_TLS|^ERR_SSL/, 'see tls'],
];

/**
 * The error as it is, if the next attempt may fare better; else one that says what to do about it. Neither shows a secret, nor a
 * text of the server that might quote one.
 *
 * @param error why an attempt to connect failed, as the system or the server gave it.
 */
export function explainRefusal(error: Error, pool: ResolvedPool, identity: Identity = identityOf(pool)): Error {
  if (error instanceof TopologyError) return error;
  const cause = withoutQuotation(error, identity);
  const remedy =
    cause instanceof ErrorReply ? remedyOfReply(cause.message, pool, identity) : remedyOfTls(cause, identity);
  if (remedy === undefined) return cause;
  return new TopologyError(remedy === '' ? reasonOf(cause) : `${reasonOf(cause)}: ${remedy}`, { cause });
}

/** The error of an attempt to connect without what a server may have quoted in it. */
export function withoutQuotation(error: Error, { username }: Identity): Error {
  return error instanceof ErrorReply ? cleanRefusal(error, username) : withoutSecrets(error);
}

/** Who a pool is to its Redis servers. */
export function identityOf({ username, tls }: ResolvedPool): Identity {
  return {
    username,
    usernameOption: 'username',
    passwordOption: 'password',
    tls,
    tlsOption: 'tls',
    askForTls: 'set tls (in a URL: rediss://)',
    leaveTlsOut: 'leave tls out (in a URL: redis://)',
  };
}

/** Who a pool is to its sentinels. */
export function identityOfSentinel(
  pool: ResolvedPool,
  { username, tls }: Extract<ResolvedTopology, { kind: 'sentinel' }>,
): Identity {
  const own = tls !== pool.tls;
  return {
    username,
    usernameOption: 'sentinelUsername',
    passwordOption: 'sentinelPassword',
    tls,
    tlsOption: own ? 'sentinelTls' : 'tls',
    askForTls: own ? 'set sentinelTls' : 'set tls, or sentinelTls for the sentinels alone',
    leaveTlsOut: own
      ? 'set sentinelTls to false'
      : 'leave tls out, or set sentinelTls to false for the sentinels alone',
  };
}

/** What to tell whoever speaks TLS to a server that does not. */
export function speaksNoTls({ leaveTlsOut }: Identity): string {
  return `the server does not speak TLS there: ${leaveTlsOut}`;
}

function remedyOfReply(message: string, pool: ResolvedPool, identity: Identity): string | undefined {
  if (TRANSIENT_REPLY.test(message)) return undefined;
  if (lacksHello(message)) return NEEDS_HELLO;
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

function remedyOfTls(error: Error, identity: Identity): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return undefined;
  if (NO_TLS.test(code)) return speaksNoTls(identity);
  return TLS_REMEDIES.find(([pattern]) => pattern.test(code))?.[1].replace(/\btls\b/g, identity.tlsOption);
}

// OpenSSL's message has memory addresses and the names of its source files around the reason.
function reasonOf(error: Error): string {
  const { reason } = error as { reason?: unknown };
  const text = typeof reason === 'string' && error.message.includes(':error:') ? reason : error.message.trim();
  return text.replace(/[.:]+$/, '');
}
