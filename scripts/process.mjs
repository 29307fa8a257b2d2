import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder: everything is run there, wherever the command was given. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** How long what was interrupted may take to clean up before it is told again. */
const GRACE_MS = 3_000;

/** A command ended with something other than 0; `exitCode` is what to pass on. */
export class CommandFailed extends Error {
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Says what is being done; on stderr, so that stdout stays that of the program that is run. */
export function tell(text) {
  process.stderr.write(`${text}\n`);
}

/** Path of a command that a dependency brings. */
export function bin(name) {
  return join(root, 'node_modules', '.bin', name);
}

/**
 * Runs a command to its end, in the project's folder unless `cwd` says otherwise.
 *
 * `setup` sends its output to stderr, `capture` returns its stdout. Rejects with CommandFailed if it ends with another
 * code than 0 or this process is told to end, in which case the command is ended first.
 */
export function run(command, args, { cwd = root, setup = false, capture = false } = {}) {
  tell(`> ${[basename(command), ...args].join(' ')}`);
  return new Promise((resolve, reject) => {
    const stdout = capture ? 'pipe' : setup ? 2 : 'inherit';
    const child = spawn(command, args, { cwd, stdio: ['inherit', stdout, 'inherit'] });
    let output = '';
    child.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    const interruption = endWithUs(child);
    child.once('error', (error) => {
      interruption.stop();
      reject(new CommandFailed(`${command} could not be run: ${error.message}`, 127));
    });
    child.once('close', (code, ownSignal) => {
      interruption.stop();
      const signal = interruption.signal() ?? ownSignal;
      if (code === 0 && !signal) return resolve(output);
      const how = signal ?? `code ${code}`;
      reject(
        new CommandFailed(`${basename(command)} ended with ${how}`, signal ? 128 + constants.signals[signal] : code),
      );
    });
  });
}

/** Lets `child` end before this process does. Ctrl-C reaches the child by itself, so it is not told twice at once. */
function endWithUs(child) {
  let received;
  let timer;
  const handlers = Object.entries({ SIGINT: GRACE_MS, SIGTERM: 0, SIGHUP: 0 }).map(([signal, delayMs]) => {
    const handler = () => {
      received ??= signal;
      clearTimeout(timer);
      timer = setTimeout(() => child.kill('SIGTERM'), delayMs);
    };
    process.on(signal, handler);
    return [signal, handler];
  });
  return {
    signal: () => received,
    stop() {
      clearTimeout(timer);
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
}
