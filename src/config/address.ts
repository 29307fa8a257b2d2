import { isIPv6 } from 'node:net';
import type { Endpoint } from './types.js';

/** What an address says; `undefined` where it says nothing. */
export interface Address {
  readonly endpoint: Endpoint;
  readonly database?: number | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** `true` for `rediss://`, `false` for `redis://`. */
  readonly tls?: boolean | undefined;
}

/** Why a text is not an address. Holds nothing of the text that could be a credential. */
export interface AddressProblem {
  readonly problem: string;
}

export const REDIS_PORT = 6379;
export const SENTINEL_PORT = 26379;
/** Highest database number: Redis counts them with a signed 32-bit integer. */
export const MAX_DATABASE = 2_147_483_647;

const FORMS = 'host:port, host:port:database, [ipv6]:port, /path/redis.sock, or a redis:// or rediss:// URL';
const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;

/** Reads `host`, `host:port`, `host:port:db`, `[ipv6]:port:db`, `/path/redis.sock:db`, `unix:/path`, `redis://` and `rediss://`. */
export function parseAddress(text: string): Address | AddressProblem {
  if (/^unix:/i.test(text)) return parseSocket(text.replace(/^unix:(\/\/)?/i, ''), text);
  if (text.startsWith('/')) return parseSocket(text, text);
  if (SCHEME.test(text)) return parseUrl(text);
  if (text.includes('@')) {
    return problem(text, 'credentials belong in "username" and "password", or in a redis:// URL');
  }
  return parseHost(text, REDIS_PORT);
}

/** Reads `host:port` of one node of a cluster or of one sentinel: nothing else can be said there. */
export function parseNode(text: string, defaultPort: number): { readonly endpoint: Endpoint } | AddressProblem {
  if (text.startsWith('/') || text.includes('@') || SCHEME.test(text) || /^unix:/i.test(text)) {
    return problem(text, 'a node is host:port; user, password, TLS and database are options of the pool');
  }
  const parsed = parseHost(text, defaultPort);
  if ('problem' in parsed) return parsed;
  if (parsed.database !== undefined) return problem(text, 'a node is host:port; the database is an option of the pool');
  return { endpoint: parsed.endpoint };
}

/** The endpoint as an address that {@link parseAddress} reads. */
export function formatEndpoint(endpoint: Endpoint): string {
  if ('path' in endpoint) return endpoint.path;
  return endpoint.host.includes(':') ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

/** The address without anything that could be a credential, for messages. */
export function redactAddress(text: string): string {
  const scheme = SCHEME.exec(text)?.[0] ?? '';
  const at = text.lastIndexOf('@');
  const rest = at < 0 ? text.slice(scheme.length) : text.slice(at + 1);
  // What is not a host, numbers or a socket's path may be a password in the wrong place.
  const [, shown = '', hidden = ''] =
    /^((?:\/[^?#]*|\[[^\]]*\]|[^:/?#\s]*)(?::\d+(?![^:/]))*(?:\/\d+(?![^?#]))?)(.*)$/s.exec(rest) ?? [];
  const credentials = at < 0 ? '' : '<redacted>@';
  return `${scheme}${credentials}${shown.slice(0, 100)}${hidden || shown.length > 100 ? '…' : ''}`;
}

function parseSocket(rest: string, text: string): Address | AddressProblem {
  const [, path = '', database] = /^(\/.*?)(?::(\d+))?$/s.exec(rest) ?? [];
  if (path.length < 2 || path.includes('\0')) return problem(text, 'a socket is given by its absolute path');
  return withDatabase({ endpoint: { path } }, database, text);
}

function parseHost(text: string, defaultPort: number): Address | AddressProblem {
  if (isIPv6(text)) return problem(text, `an IPv6 address goes in brackets: [${text}]:${defaultPort}`);
  const match = /^(?:\[([^\]]*)\]|([^\s:/?#@[\]\\%]+))(?::([^:]*))?(?::([^:]*))?$/.exec(text);
  if (!match) return problem(text, `must be ${FORMS}`);
  const [, ipv6, name, port, database] = match;
  if (ipv6 !== undefined && !isIPv6(ipv6)) return problem(text, 'what is in brackets is not an IPv6 address');
  return withPort({}, ipv6 ?? name ?? '', port, database, defaultPort, text);
}

function parseUrl(text: string): Address | AddressProblem {
  const form = 'redis://user:password@host:port/database';
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme !== 'redis' && scheme !== 'rediss') return problem(text, `must be ${FORMS}`);
  // URL drops some white space without a word, which would change a password.
  const url = !/\s/.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.hostname || url.search || url.hash) {
    return problem(
      text,
      `must be ${form}; write / ? # @ : and % in a user name or password as %2F %3F %23 %40 %3A and %25`,
    );
  }
  const database = /^\/?(\d*)$/.exec(url.pathname);
  if (!database) return problem(text, 'the path of the URL must be a database number');
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  if (host.includes('%')) return problem(text, 'the host has characters that no host name has');
  try {
    const username = decodeURIComponent(url.username) || undefined;
    const password = decodeURIComponent(url.password) || undefined;
    const said = { username, password, tls: scheme === 'rediss' };
    return withPort(said, host, url.port || undefined, database[1] || undefined, REDIS_PORT, text);
  } catch {
    return problem(text, 'the user name or password has a % that starts no escape; write it as %25');
  }
}

function withPort(
  said: Omit<Address, 'endpoint'>,
  host: string,
  port: string | undefined,
  database: string | undefined,
  defaultPort: number,
  text: string,
): Address | AddressProblem {
  const number = port === undefined ? defaultPort : wholeNumber(port);
  if (!(number >= 1 && number <= 65_535)) return problem(text, 'the port must be a number from 1 to 65535');
  return withDatabase({ ...said, endpoint: { host, port: number } }, database, text);
}

function withDatabase(address: Address, database: string | undefined, text: string): Address | AddressProblem {
  if (database === undefined) return address;
  const number = wholeNumber(database);
  if (!(number <= MAX_DATABASE)) return problem(text, `the database must be a number from 0 to ${MAX_DATABASE}`);
  return { ...address, database: number };
}

function wholeNumber(digits: string): number {
  return /^\d+$/.test(digits) ? Number(digits) : Number.NaN;
}

function problem(text: string, why: string): AddressProblem {
  return { problem: `${JSON.stringify(redactAddress(text))} is not an address: ${why}` };
}
