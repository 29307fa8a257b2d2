import { chmod, mkdtemp, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** TLS of a throw-away server: each is PEM text or the path of a PEM file. */
export interface TlsServerOptions {
  /** The server's certificate. */
  cert: string;
  /** The key of the server's certificate. */
  key: string;
  /** The authority that client certificates are checked against; without it, none is asked for. */
  ca?: string;
  /** Whether a client must show a certificate that `ca` signed; default: `false`, it may. */
  requireClientCertificate?: boolean;
}

/** A line of the configuration file: a name and its arguments. */
export type Setting = readonly [name: string, ...values: (string | number)[]];

/** What the configuration file says. */
export interface ServerConfig {
  readonly directory: string;
  /** TCP port; 0 for none. */
  readonly port: number;
  readonly databases: number;
  readonly password: string | undefined;
  readonly tls: TlsServerOptions | undefined;
  /** Further settings. */
  readonly settings: readonly Setting[];
}

/** The longest path that a unix socket may have everywhere (macOS allows 103 bytes). */
const LONGEST_SOCKET_PATH = 103;

/** Every server has this socket, besides its port: it is how a server is asked whether it is ready. */
export function socketPathIn(directory: string): string {
  return join(directory, 'redis.sock');
}

/** The configuration file of the server whose folder this is. */
export function configFileIn(directory: string): string {
  return join(directory, 'redis.conf');
}

/** A folder that only this user can read, as passwords and keys are written to it. */
export async function makeDirectory(): Promise<string> {
  const base = await realpath(tmpdir());
  // With room for a folder per server in it.
  const fits = Buffer.byteLength(socketPathIn(join(base, 'lagoon-XXXXXX', '99'))) <= LONGEST_SOCKET_PATH;
  return mkdtemp(join(fits ? base : '/tmp', 'lagoon-'));
}

/** Writes `redis.conf`, and the TLS files that were given as text. A file, because arguments could be read in `ps`. */
export async function writeConfig(config: ServerConfig): Promise<void> {
  const { directory, port, databases, password, tls } = config;
  const settings: Setting[] = [
    ['bind', '127.0.0.1'],
    ['port', tls ? 0 : port],
    ['unixsocket', socketPathIn(directory)],
    ['unixsocketperm', 700],
    ['dir', directory],
    ['databases', databases],
    ['save', ''],
    ['appendonly', 'no'],
    ...config.settings,
  ];
  if (password !== undefined) settings.push(['requirepass', password]);
  if (tls) {
    settings.push(['tls-port', port]);
    settings.push(['tls-cert-file', await pemFile(directory, 'server.crt', tls.cert)]);
    settings.push(['tls-key-file', await pemFile(directory, 'server.key', tls.key)]);
    if (tls.ca !== undefined) settings.push(['tls-ca-cert-file', await pemFile(directory, 'ca.crt', tls.ca)]);
    settings.push([
      'tls-auth-clients',
      tls.ca === undefined ? 'no' : tls.requireClientCertificate ? 'yes' : 'optional',
    ]);
  }
  const lines = settings.map(([name, ...values]) => [name, ...values.map((value) => quote(String(value)))].join(' '));
  await writeFile(configFileIn(directory), `${lines.join('\n')}\n`, { mode: 0o600 });
}

async function pemFile(directory: string, name: string, pem: string): Promise<string> {
  if (!pem.includes('-----BEGIN')) return resolve(pem);
  const file = join(directory, name);
  await writeFile(file, pem);
  await chmod(file, 0o600);
  return file;
}

/** As the configuration file wants it: every byte that is not plain is written as an escape. */
function quote(value: string): string {
  const escaped = value.replace(/[^ !#-[\]-~]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  );
  return `"${escaped}"`;
}
