import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
// Those that start groups of servers come last in the alphabet and take longest.
const examples = readdirSync(join(root, 'examples'))
  .filter((name) => name.endsWith('.ts'))
  .sort()
  .reverse();
const exec = promisify(execFile);

// Some at a time, as most of each is waiting.
describe.concurrent('every example runs by itself', () => {
  // They import the package by its name, as its users do, hence as it is built.
  beforeAll(() => exec(process.execPath, ['scripts/run.mjs', 'build'], { cwd: root }), 120_000);

  test.each(examples)('%s', async (name) => {
    // On a server of its own: one named by REDIS_URL may hold anything.
    const { REDIS_URL: _, ...env } = process.env;
    const { stdout } = await exec(process.execPath, ['--import', 'tsx', join('examples', name)], { cwd: root, env });
    const expected = join(root, 'examples', name.replace(/\.ts$/, '.out'));
    if (existsSync(expected)) expect(stdout).toBe(readFileSync(expected, 'utf8'));
  });
});
