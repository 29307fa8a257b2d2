import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const modules = join(root, 'node_modules');
const exec = promisify(execFile);

/**
 * A project whose packages are linked, as pnpm lays them out: it can import `lagoon` and `@types/node`, and nothing that lagoon
 * depends on.
 */
let project: string;

beforeAll(async () => {
  await exec(process.execPath, ['scripts/run.mjs', 'build'], { cwd: root });
  project = await mkdtemp(join(tmpdir(), 'lagoon-declarations-'));
  const store = join(project, 'node_modules', '.store');
  const lagoon = join(store, 'lagoon', 'node_modules', 'lagoon');
  await mkdir(lagoon, { recursive: true });
  await cp(join(root, 'dist'), join(lagoon, 'dist'), { recursive: true });
  await cp(join(root, 'package.json'), join(lagoon, 'package.json'));
  await cp(join(modules, 'redis'), join(store, 'redis', 'node_modules', 'redis'), { recursive: true });
  await link(join(store, 'redis', 'node_modules', 'redis'), join(dirname(lagoon), 'redis'));
  for (const name of await readdir(join(modules, '@redis'))) {
    const real = join(store, name, 'node_modules', '@redis', name);
    await cp(join(modules, '@redis', name), real, { recursive: true });
    await link(real, join(store, 'redis', 'node_modules', '@redis', name));
    if (name !== 'client') {
      await link(join(store, 'client', 'node_modules', '@redis', 'client'), join(dirname(real), 'client'));
    }
  }
  await link(lagoon, join(project, 'node_modules', 'lagoon'));
  await link(join(modules, '@types', 'node'), join(project, 'node_modules', '@types', 'node'));
  await writeFile(join(project, 'package.json'), '{ "type": "module" }');
}, 120_000);

afterAll(() => rm(project, { recursive: true, force: true }));

async function link(target: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await symlink(target, path);
}

/** The errors of the compiler about a library with this source. */
async function errorsOf(source: string, ...flags: string[]): Promise<string> {
  await writeFile(join(project, 'main.ts'), source);
  const settings = ['--declaration', '--outDir', 'out', '--strict', '--skipLibCheck', '--types', 'node'];
  const modern = ['--target', 'es2022', '--module', 'nodenext', '--moduleResolution', 'nodenext'];
  const tsc = join(modules, '.bin', 'tsc');
  return exec(tsc, [...settings, ...modern, ...flags, 'main.ts'], { cwd: project }).then(
    () => '',
    ({ stdout }) => stdout,
  );
}

describe('a library whose declarations are published', { timeout: 120_000 }, () => {
  test('can export what returns anything of Lagoon, where only Lagoon can be imported', async () => {
    const source = `
      import { defineScript, Registry, compressed, jsonCodec, type IsolatedRedis } from 'lagoon';
      import { rateLimitExpress, rateLimitFastify, rateLimitHono, rateLimitKoa, rateLimitRequests } from 'lagoon/http';
      import { KeyvLagoon } from 'lagoon/keyv';
      import { startRedis, startCluster, startSentinel } from 'lagoon/testing';

      export const registry = () => new Registry().registerRedis('a:1').registerRedis('a:2', 0, 'b');
      export const engine = registry().validate();
      export const redis = engine.getRedis();
      export const health = () => engine.health();
      export const redlock = () => engine.getRedlock(['default', 'b']);
      export const redlocked = () => redlock().lock('a', '1s');

      export const get = () => redis.get('a');
      export const bits = () => redis.getBit('a', 1);
      export const expiries = () => redis.hExpire('a', 'f', 1);
      export const entries = () => redis.xRead({ key: 'a', id: '$' });
      export const info = () => redis.ts.info('a');
      export const added = () => redis.ts.mAdd([]);
      export const evaluated = () => redis.eval('return 1');
      export const scan = () => redis.scanIterator();
      export const json = () => redis.json;
      export const search = () => redis.ft.search('index', '*');
      export const buffers = () => redis.withTypeMapping({ 36: Buffer });
      export const view = () => redis.withTimeout('1s').withReplicas('never');

      export const multi = () => redis.multi();
      export const chain = (id: string) => redis.multi().incr(id).get(id).json.get(id);
      export const jsonOfChain = (id: string) => redis.multi().incr(id).json;
      export const bufferChain = () => buffers().multi().get('a');
      export const exec = () => redis.multi().get('a').exec();
      export const typed = () => redis.multi().get('a').execTyped();
      export const own = () => redis.isolated(async (connection) => connection);
      export const ownChain = (connection: IsolatedRedis) => connection.multi().get('a');
      export const transaction = () => redis.transaction((connection) => connection.multi().incr('a').execTyped());
      export const subscription = () => redis.subscribe('a', () => {});
      export const script = () => defineScript({ lua: 'return 1', transform: Number });
      export const run = () => redis.runScript(script(), []);
      export const config = () => redis.getPoolConfig();
      export const tls = () => redis.getPoolConfig().tls;
      export const stats = () => redis.stats();

      export const locker = () => redis.getLocker();
      export const lock = () => locker().obtain('a', '1s');
      export const state = () => locker().inspect('a');
      export const mutex = () => locker().mutex('a', { ttl: '1s' });
      export const limiter = redis.getRateLimiter({ limit: 1, period: '1s' });
      export const decision = () => limiter.consume('a');
      export const cache = () => redis.getCache({ prefix: 'a' });
      export const cached = () => cache().getOrSet('a', (context) => ({ context }));
      export const cacheStats = () => cache().stats();
      export const codec = () => compressed(jsonCodec);

      export const decide = rateLimitRequests(limiter, { key: (request: { user: string }) => request.user });
      export const middlewares = () => [
        rateLimitExpress(limiter), rateLimitFastify(limiter), rateLimitKoa(limiter), rateLimitHono(limiter),
      ] as const;
      export const keyv = () => new KeyvLagoon(redis);
      export const servers = () => [startRedis(), startCluster(), startSentinel()] as const;`;
    expect(await errorsOf(source)).toBe('');
  });

  test('can name what it returns, as isolatedDeclarations wants it', async () => {
    const source = `
      import {
        type Cache, type Engine, type Loader, type Lock, type MultiCommands, type ModuleCommands, type PoolHealth,
        type PublicPoolConfig, type PublicTlsConfig, type RedisArgument, type RedisPool, type DefaultTypeMapping, Registry,
      } from 'lagoon';
      export const engine: Engine<'default'> = new Registry().registerRedis('a:1').validate();
      export const redis: RedisPool = engine.getRedis();
      export const chain = (id: RedisArgument): MultiCommands<DefaultTypeMapping, [number]> => redis.multi().incr(id);
      export const json = (): ModuleCommands<'json'> => redis.json;
      export const lock = (): Promise<Lock | null> => redis.getLocker().obtain('a', '1s');
      export const health = (): Promise<Record<'default', PoolHealth>> => engine.health();
      export const config = (): PublicPoolConfig => redis.getPoolConfig();
      export const tls = (): PublicTlsConfig | boolean | undefined => redis.getPoolConfig().tls as PublicTlsConfig;
      export const cache = (): Cache => redis.getCache();
      export const loader: Loader<number> = async () => 1;`;
    expect(await errorsOf(source, '--isolatedDeclarations')).toBe('');
  });
});
