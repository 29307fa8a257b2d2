import { spawn, spawnSync } from 'node:child_process';

/**
 * Runs a command with its output on stderr, so that stdout stays the caller's own.
 *
 * @throws {Error} that begins with `what`, if the command does not end well.
 */
export function run(what: string, command: string, args: readonly string[], env: Record<string, string> = {}) {
  return new Promise<void>((resolve, reject) => {
    process.stderr.write(`lagoon: ${what}\n`);
    const child = spawn(command, args, { stdio: ['ignore', 2, 2], env: { ...process.env, ...env } });
    child.once('error', (error) => reject(new Error(`${what}: ${error.message}`, { cause: error })));
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${what} ended with ${signal ?? `code ${code}`}; its output is above`));
    });
  });
}

/** Whether the command is there and ends well; its output is thrown away. */
export function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
