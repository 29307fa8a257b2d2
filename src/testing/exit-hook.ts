import { rmSync } from 'node:fs';

/** Every server process of this Node process: the pid that leads its group, and the folder to remove. */
const guarded = new Map<number, string>();

/**
 * Kills the group of `pid` and removes `directory` when this Node process exits, while it still can. (The guard of
 * each server does the same where no exit hook runs; this one makes it so by the time the process is gone.)
 *
 * @returns what takes it back.
 */
export function guardedProcess(pid: number, directory: string): () => void {
  if (guarded.size === 0) process.on('exit', endAll);
  guarded.set(pid, directory);
  return () => {
    if (guarded.get(pid) !== directory) return;
    guarded.delete(pid);
    if (guarded.size === 0) process.off('exit', endAll);
  };
}

function endAll(): void {
  // All of them first: several can share a folder, and a server that still runs could make a file in it.
  for (const pid of guarded.keys()) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
  }
  for (const directory of new Set(guarded.values())) {
    // Retried, because a process that dies can still make a file while its folder is being emptied.
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 10 });
  }
}
