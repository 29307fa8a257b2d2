import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isGone } from './process-state.js';

/*
 * A server that is down for a while, killed by its test, has its port to itself no longer, and another process that looks for
 * a free one may be given it. So whoever takes a port says so, in a file that its name is.
 */
/** Takes a port for this process until it gives it up or ends; `false` if it is another's, or has just been found to be nobody's. */
export async function claimPort(port: number): Promise<boolean> {
  await mkdir(folder(), { recursive: true, mode: 0o700 });
  try {
    await writeFile(fileOf(port), String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const owner = Number(await readFile(fileOf(port), 'utf8').catch(() => ''));
    // Empty for the moment in which it is written.
    if (owner > 0 && (await isGone(owner))) await rm(fileOf(port), { force: true });
    return false;
  }
}

/** Gives up what this process has taken. */
export async function giveUpPort(port: number): Promise<void> {
  const owner = await readFile(fileOf(port), 'utf8').catch(() => undefined);
  if (owner === String(process.pid)) await rm(fileOf(port), { force: true });
}

function fileOf(port: number): string {
  return join(folder(), String(port));
}

/** One folder for each user, by number: a container's user need not have a name. */
function folder(): string {
  return join(tmpdir(), `lagoon-testing-ports-${process.getuid?.() ?? -1}`);
}
