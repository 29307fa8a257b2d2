import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { startTimer } from '../async/timers.js';
import { TestingError } from './errors.js';
import { guardedProcess } from './exit-hook.js';
import { isStopped, poll } from './process-state.js';

/** How a server process ended. */
export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What to run, and where. */
export interface ServerSpec {
  /** Path of the executable. */
  readonly binary: string;
  readonly args: readonly string[];
  /** The working directory. */
  readonly directory: string;
  /** The folder that is removed once this Node process is gone: `directory`, or one that holds it. */
  readonly tempFolder: string;
  /** File that takes what the server prints. */
  readonly logFile: string;
}

/** How long a signal that cannot be refused may take to show; far beyond what it needs. */
const SIGNAL_TIMEOUT_MS = 5_000;

/*
 * The shell turns into the server (exec keeps the pid), after leaving a guard behind in the server's own process
 * group. The guard waits on a pipe that only this Node process holds, so that however Node ends, SIGKILL included,
 * the guard is told by the kernel. SIGKILL works on a frozen server too.
 *
 * First line on the pipe: the server has ended. Second line: the folder is no concern of this guard's any more.
 * `kill 0` addresses the guard's own group, hence never a process that happens to have got an old pid, and takes the
 * guard and the server's snapshot children along.
 */
const GUARDED = `
(
  trap '' INT TERM HUP
  read -r _ || kill -9 $$
  read -r _ || rm -rf "$0"
  kill -9 0
) <&3 3<&- >/dev/null 2>&1 &
exec "$@" 3<&-
`;

/** One server process, of whatever kind: it cannot outlive this Node process. */
export class ServerProcess {
  readonly pid: number;
  /** Resolves once the process is gone; never rejects. */
  readonly exited: Promise<ServerExit>;
  #exit: ServerExit | undefined;
  readonly #guard: Socket;
  readonly #unhook: () => void;

  /**
   * Starts the process; it need not be ready for anything yet.
   *
   * @throws {TestingError} if it cannot be started at all.
   */
  constructor(spec: ServerSpec) {
    const log = openSync(spec.logFile, 'a');
    let child: ChildProcess;
    try {
      child = spawn('/bin/sh', ['-c', GUARDED, spec.tempFolder, spec.binary, ...spec.args], {
        cwd: spec.directory,
        // A process group of its own: Ctrl-C reaches this process first, so that its handlers still find their Redis.
        detached: true,
        stdio: ['ignore', log, log, 'pipe'],
      });
    } finally {
      closeSync(log);
    }
    this.#guard = child.stdio[3] as Socket;
    this.#guard.on('error', () => {}); // the guard is gone already: nothing left to tell it
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(this.#ended({ code, signal })));
      child.once('error', () => resolve(this.#ended({ code: null, signal: null })));
    });
    if (child.pid === undefined) {
      const error = new TestingError('LAGOON_TESTING_START', `Cannot start ${spec.binary}: /bin/sh could not be run`);
      child.once('error', (reason) => {
        error.cause = reason; // Node says why a little later
      });
      throw error;
    }
    this.pid = child.pid;
    this.#guard.unref();
    this.#unhook = guardedProcess(this.pid, spec.tempFolder);
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** SIGTERM, then SIGKILL for a process that has not ended within `timeoutMs`. */
  async terminate(timeoutMs: number): Promise<ServerExit> {
    this.#send('SIGCONT'); // a frozen process would only see SIGTERM once thawed
    this.#send('SIGTERM');
    const timer = startTimer(() => this.#send('SIGKILL'), timeoutMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** SIGKILL; resolves once the process is gone. */
  kill(): Promise<ServerExit> {
    this.#send('SIGKILL');
    return this.exited;
  }

  /** SIGSTOP; resolves once the process is stopped. */
  async freeze(): Promise<void> {
    await this.#sendUntil('SIGSTOP', () => isStopped(this.pid));
  }

  /** SIGCONT; resolves once the process runs again. */
  async thaw(): Promise<void> {
    await this.#sendUntil('SIGCONT', async () => !(await isStopped(this.pid)));
  }

  /** To be called once ended: the folder is another process's now, or gone, and no longer to be removed with this one. */
  disown(): void {
    this.#unhook();
    this.#guard.end('disowned\n', () => this.#guard.destroy());
  }

  #send(signal: NodeJS.Signals): void {
    // The pid stays this process's own until Node has reaped it, which is when #exit is set.
    if (this.running) process.kill(this.pid, signal);
  }

  async #sendUntil(signal: NodeJS.Signals, done: () => Promise<boolean>): Promise<void> {
    const check = async () => {
      if (!this.running) {
        throw new TestingError(
          'LAGOON_TESTING_NOT_RUNNING',
          `Cannot send ${signal}: the server (pid ${this.pid}) ended`,
        );
      }
      return done();
    };
    this.#send(signal);
    if (await poll(check, SIGNAL_TIMEOUT_MS)) return;
    throw new TestingError(
      'LAGOON_TESTING_TIMEOUT',
      `${signal} had no effect on the server (pid ${this.pid}) within ${SIGNAL_TIMEOUT_MS} ms`,
    );
  }

  #ended(exit: ServerExit): ServerExit {
    this.#exit = exit;
    this.#guard.write('ended\n');
    return exit;
  }
}
