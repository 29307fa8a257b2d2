import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { sleep } from '../async/timers.js';

/** Whether the process is stopped by SIGSTOP; `false` for one that is gone. */
export async function isStopped(pid: number): Promise<boolean> {
  return (await state(pid)).startsWith('T');
}

/** Whether the process is gone, or only left for its parent to take note of. */
export async function isGone(pid: number): Promise<boolean> {
  return /^(Z|$)/.test(await state(pid));
}

/**
 * Calls `condition` every `intervalMs` until it is true.
 *
 * @returns `false` if it was still not true after `timeoutMs`.
 */
export async function poll(condition: () => Promise<boolean>, timeoutMs: number, intervalMs = 2): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() >= deadline) return false;
    await sleep(intervalMs);
  }
  return true;
}

/** The state letter that `ps` would show. Linux has it in /proc, where slim images have no `ps`. */
async function state(pid: number): Promise<string> {
  try {
    if (process.platform === 'linux') {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      // The name before it, in parentheses, may hold spaces and parentheses of its own.
      return stat.slice(stat.lastIndexOf(')') + 2);
    }
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=', '-p', String(pid)]);
    return stdout.trim();
  } catch {
    return '';
  }
}
