import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { run, succeeds } from './run.js';

/** Pinned: its download-and-compile step, which is called below, is not part of its documented API. */
const COMPILER_PACKAGE = 'redis-memory-server@0.17.1';
const REDIS_VERSION = '7.2.7';

const DOWNLOAD_AND_COMPILE =
  "require('redis-memory-server/lib/util/RedisBinary').default.getPath().catch((error) => { console.error(error); process.exit(1); })";

/** Where a compiled server is, or would be: in this user's cache folder, for all projects; `undefined` if the user has none. */
export function compiledServer(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const folder = cacheFolder(env);
  return folder && join(folder, 'binaries', REDIS_VERSION, 'redis-server');
}

/**
 * Downloads the source of Redis and compiles it, by the npm package `redis-memory-server`; takes some minutes.
 * It speaks TLS where the headers of OpenSSL are installed.
 *
 * @throws {Error} if there is no compiler, or the download or the compilation fails.
 */
export async function compileServer(): Promise<boolean> {
  const missing = ['make', 'cc'].filter((tool) => !succeeds('/bin/sh', ['-c', `command -v ${tool}`]));
  if (missing.length > 0) throw new Error(`compiling it needs ${missing.join(' and ')}, not found on the PATH`);
  const folder = cacheFolder(process.env);
  if (!folder) throw new Error('compiling it needs a folder to keep it in: set XDG_CACHE_HOME or HOME');
  mkdirSync(folder, { recursive: true });
  // Its postinstall would compile into the project's node_modules.
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save'];
  await run(`installing ${COMPILER_PACKAGE} in ${folder}`, 'npm', [
    'install',
    '--prefix',
    folder,
    ...quiet,
    COMPILER_PACKAGE,
  ]);
  const script = `process.chdir(${JSON.stringify(folder)});${DOWNLOAD_AND_COMPILE}`;
  await run(`compiling Redis ${REDIS_VERSION}, which takes some minutes,`, process.execPath, ['--eval', script], {
    NODE_PATH: join(folder, 'node_modules'),
    REDISMS_DOWNLOAD_DIR: join(folder, 'binaries'),
    REDISMS_VERSION: REDIS_VERSION,
    REDISMS_SYSTEM_BINARY: '',
    BUILD_TLS: hasOpensslHeaders() ? 'yes' : 'no',
    npm_config_strict_ssl: 'true', // without it the package does not check whom it downloads from
  });
  return existsSync(compiledServer() ?? '');
}

function hasOpensslHeaders(): boolean {
  return succeeds('/bin/sh', ['-c', "echo '#include <openssl/ssl.h>' | cc -E -"]);
}

function cacheFolder(env: NodeJS.ProcessEnv): string | undefined {
  const base = env.XDG_CACHE_HOME || userCacheFolder();
  return base && join(base, 'lagoon', 'redis-server');
}

function userCacheFolder(): string | undefined {
  try {
    return process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache');
  } catch {
    // Without HOME and without an entry in the password file, as in some containers, a user has no home.
    return undefined;
  }
}
