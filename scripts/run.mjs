/*
 * What `npm start`, `npm test`, `npm run test:all`, `test:soak`, `build`, `check` and `bench` run. Each sets up what it needs first, from a bare
 * clone on: dependencies, the built package, a redis-server. This file has no dependencies, as none may be there yet.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { bin, CommandFailed, root, run, tell } from './process.mjs';

const commands = {
  /** Runs the quick start, on the server of REDIS_URL or else on a throw-away one. */
  async start(args) {
    await prepare();
    if (!process.env.REDIS_URL) await ensureRedis();
    await run(process.execPath, ['--import', 'tsx', 'examples/quickstart.ts', ...args]);
  },

  /** Runs the tests, or those of the files given: `npm test -- test/config`. */
  async test(args) {
    await prepare();
    await ensureRedis();
    await run(bin('vitest'), ['run', ...args]);
  },

  /** As `test`, with what takes long in full: every command and 10,000 invented lines beside three neighbours. */
  async 'test:all'(args) {
    process.env.LONG_TESTS = '1';
    await commands.test(args);
  },

  /** Lets the experiments on the locks run for SOAK_DURATION instead of some seconds. */
  async soak(args) {
    await prepare();
    await ensureRedis();
    process.env.SOAK_DURATION ??= '5m';
    await run(bin('vitest'), ['run', 'test/lock-proof', '--typecheck.enabled=false', ...args]);
  },

  async build() {
    await prepare();
  },

  /** Format, lint, types, and whether the package that npm would publish works for those who install it. */
  async check() {
    await prepare();
    await run(bin('biome'), ['check', '--error-on-warnings', '--max-diagnostics=100']);
    await run(bin('tsc'), ['--noEmit']);
    const folder = await mkdtemp(join(tmpdir(), 'lagoon-pack-'));
    try {
      const packed = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { capture: true });
      const tarball = join(folder, packed.trim().split('\n').at(-1));
      await run(bin('publint'), ['run', tarball, '--strict']);
      await run(bin('attw'), [tarball, '--profile', 'esm-only']);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },

  /** Measures; arguments are those of `bench/run.mjs`. */
  async bench(args) {
    await prepare();
    await ensureDependencies(join(root, 'bench'));
    await ensureRedis();
    await run(process.execPath, ['bench/run.mjs', ...args]);
  },
};

async function prepare() {
  await ensureDependencies(root);
  await build();
}

/** Finds or installs a redis-server, by the library's own means, and names it to all that is run from here. */
async function ensureRedis() {
  const { findRedisServer } = await import('../dist/testing/index.js');
  process.env.REDIS_SERVER = await findRedisServer({ install: true });
}

const [name, ...args] = process.argv.slice(2);
const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined;
if (!command) {
  tell(`usage: node scripts/run.mjs ${Object.keys(commands).join('|')} [arguments]`);
  process.exit(2);
}
try {
  await command(args);
} catch (error) {
  tell(
    error instanceof CommandFailed || error?.code?.startsWith?.('LAGOON_') ? error.message : (error?.stack ?? error),
  );
  process.exitCode = error instanceof CommandFailed ? error.exitCode : 1;
}
