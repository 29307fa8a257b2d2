import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'vitest';

/**
 * `test`, for what needs a redis-server that speaks TLS. Where it was built without (a compiled one may be), the test is
 * reported as skipped, with the reason.
 */
export const testTls = speaksTls() ? test : test.skip;

/** A certificate and its key, PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

/** An authority of our own, and what it signed; all PEM. */
export interface Certificates {
  ca: string;
  /** For `localhost`, 127.0.0.1 and ::1. */
  server: Certificate;
  /** For `localhost` only, by name. */
  named: Certificate;
  /** As `server`, but over since it was made. */
  expired: Certificate;
  client: Certificate;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const NAMES = 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1\n';

/**
 * Makes an authority, certificates of a server and one of a client, valid for two days, with the `openssl` command.
 *
 * @throws {Error} if there is no `openssl`: tests of TLS fail then, as skipping them would hide that TLS is untested.
 */
export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'lagoon-tls-'));
  const openssl = async (...args: string[]) => {
    try {
      await promisify(execFile)('openssl', args, { cwd: folder });
    } catch (error) {
      throw new Error(`Tests of TLS need the openssl command (install the package openssl): ${error}`, {
        cause: error,
      });
    }
  };
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  const signed = async (name: string, extensions: string, days = 2): Promise<Certificate> => {
    await writeFile(join(folder, `${name}.ext`), extensions);
    await openssl('req', ...KEY, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const authority = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
    const files = ['-in', `${name}.csr`, '-extfile', `${name}.ext`, '-out', `${name}.crt`];
    await openssl('x509', '-req', '-days', String(days), ...authority, ...files);
    return { cert: await read(`${name}.crt`), key: await read(`${name}.key`) };
  };
  try {
    await openssl(
      'req',
      '-x509',
      '-days',
      '2',
      ...KEY,
      '-subj',
      '/CN=lagoon test authority',
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
    );
    const server = await signed('localhost', NAMES);
    const named = await signed('named', 'subjectAltName=DNS:localhost\n');
    const expired = await signed('expired', NAMES, 0);
    const client = await signed('client', 'extendedKeyUsage=clientAuth\n');
    return { ca: await read('ca.crt'), server, named, expired, client };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function speaksTls(): boolean {
  const binary = process.env.REDIS_SERVER ?? 'redis-server';
  // It ends at once, as it has nowhere to listen; one without TLS does so because it does not know the setting.
  const { stdout, stderr } = spawnSync(binary, ['-'], { input: 'port 0\ntls-port 0\n', encoding: 'utf8' });
  if (!/Bad directive/.test(`${stdout}${stderr}`)) return true;
  console.warn(`Tests of TLS are skipped: ${binary} was built without TLS`);
  return false;
}
