import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { checkOptions, type OptionTable } from '../options.js';
import { TestingError } from './errors.js';
import { compiledServer, installRedisServer } from './install/index.js';

/** Options of {@link findRedisServer}. */
export interface FindRedisOptions {
  /**
   * Install a server if there is none: by `apt-get`, `apk` or `dnf` (as root, or where `sudo` asks for no password), by
   * Homebrew, else by compiling it with the npm package `redis-memory-server` in this user's cache folder. No service is
   * left running. What is done is told on stderr. Default `false`.
   */
  install?: boolean;
}

const FIND: OptionTable<FindRedisOptions> = { install: true };

const NAMES = ['redis-server', 'valkey-server'];

/** Where package managers put it, for a PATH that does not have them. */
const USUAL_FOLDERS = [
  '/usr/local/bin',
  '/usr/bin',
  '/usr/sbin',
  '/opt/homebrew/bin',
  '/home/linuxbrew/.linuxbrew/bin',
  '/opt/local/bin',
  '/snap/bin',
];

/**
 * The path of a `redis-server`: the environment variable `REDIS_SERVER`, else `redis-server` or `valkey-server` on the
 * PATH, else in the usual folders, else one that was compiled before, else, only with `install`, a newly installed one.
 *
 * @throws {TestingError} if there is none; the message says how to get one.
 */
export async function findRedisServer(options: FindRedisOptions = {}): Promise<string> {
  checkOptions('findRedisServer', options, FIND);
  return find(process.env, USUAL_FOLDERS, options.install ? installRedisServer : undefined);
}

/**
 * The executable that the options of a start name, else what {@link findRedisServer} finds.
 *
 * @throws {TestingError} if there is none.
 */
export async function serverBinary(options: FindRedisOptions & { binary?: string }): Promise<string> {
  if (options.binary) return executable(options.binary, 'binary');
  return findRedisServer({ install: options.install ?? false });
}

/** {@link findRedisServer} with all it depends on as arguments, for its tests. `install` gives why it did not work. */
export async function find(
  env: NodeJS.ProcessEnv,
  usualFolders: readonly string[],
  install: (() => Promise<string[]>) | undefined,
): Promise<string> {
  const { REDIS_SERVER: named, PATH: path = '' } = env;
  if (named) return executable(named, 'REDIS_SERVER');
  const folders = [...path.split(delimiter).filter(Boolean), ...usualFolders];
  // Every folder for the first name, then every folder for the next: Redis itself wins if both are there.
  const candidates = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  const present = () => [...candidates, compiledServer(env) ?? ''].find(isExecutable);
  const found = present();
  if (found) return found;
  const failures = await install?.();
  const installed = failures && present();
  if (installed) return installed;
  throw new TestingError('LAGOON_TESTING_NO_BINARY', notFound(failures));
}

/** @throws {TestingError} unless `path` is a file that can be run; `origin` is who named it. */
function executable(path: string, origin: string): string {
  if (isExecutable(path)) return path;
  throw new TestingError(
    'LAGOON_TESTING_NO_BINARY',
    `${origin} is ${JSON.stringify(path)}, which is not an executable file; correct it, or leave it out to have one found`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function notFound(failures: readonly string[] | undefined): string {
  const lines = [
    'No redis-server was found: not in REDIS_SERVER, not on the PATH, not in the usual folders.',
    ...(failures ? ['Installing one did not work:', ...failures.map((failure) => `  - ${failure}`)] : []),
    'Do one of these:',
    '  - Debian, Ubuntu: sudo apt-get install redis-server',
    '  - Alpine: sudo apk add redis',
    '  - Fedora, RHEL: sudo dnf install redis (or valkey)',
    '  - macOS: brew install redis',
    '  - set REDIS_SERVER to the path of a redis-server or valkey-server',
    ...(failures ? [] : ['  - let it be installed: startRedis({ install: true })']),
  ];
  return lines.join('\n');
}
