import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './process.mjs';

/** Runs `npm ci` in a folder, unless what its lock file names is there already. */
export async function ensureDependencies(folder) {
  const wanted = await packages(join(folder, 'package-lock.json'));
  const installed = await packages(join(folder, 'node_modules', '.package-lock.json'));
  const stale = Object.entries(wanted).some(([path, { version, link, optional, devOptional }]) => {
    if (!path.startsWith('node_modules/') || link) return false;
    const found = installed[path];
    // What is optional may be for another system than this one.
    return found ? found.version !== version : !(optional || devOptional);
  });
  if (!stale) return;
  await run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], { cwd: folder, setup: true });
}

async function packages(lockFile) {
  try {
    return JSON.parse(await readFile(lockFile, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
}
