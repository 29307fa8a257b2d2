import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isGone } from '../../src/testing/process-state.js';
import { eventually } from '../support/redis.js';

/** A process that has started a server; see fixtures/owner.ts for what it then does. */
class Owner {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly exited: Promise<unknown[]>;
  pids: number[] = [];
  directory = '';

  constructor(ending: string, what: string) {
    const file = fileURLToPath(new URL('fixtures/owner.ts', import.meta.url));
    // A group of its own, as a shell gives to what it runs in the foreground: Ctrl-C goes to the group.
    const stdio = ['ignore', 'pipe', 'ignore'] as const;
    this.#child = spawn(process.execPath, ['--import', 'tsx', file, ending, what], {
      detached: true,
      stdio: [...stdio],
    });
    this.exited = once(this.#child, 'exit');
    if (!this.#child.stdout) throw new Error('no stdout');
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async started(): Promise<this> {
    Object.assign(this, JSON.parse(await this.line()));
    return this;
  }

  async line(): Promise<string> {
    return String((await this.#lines.next()).value);
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(Number(this.#child.pid), signal);
  }

  pressCtrlC(): void {
    process.kill(-Number(this.#child.pid), 'SIGINT');
  }

  async leavesNothing(): Promise<void> {
    for (const pid of this.pids) await eventually(() => isGone(pid));
    await eventually(() => !existsSync(this.directory));
    // Each server leads a group of its own, so that an empty group means that its guard is gone too.
    for (const pid of this.pids) await eventually(() => groupIsGone(pid));
  }
}

function groupIsGone(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return false;
  } catch {
    return true;
  }
}

// At the same time, as most of each is waiting for the system to clear away the dead.
describe.concurrent('a server and its folder are gone with the process that started it', () => {
  const own = (ending: string, what = 'redis') => {
    const owner = new Owner(ending, what);
    onTestFinished(() => owner.end());
    return owner.started();
  };

  test.each([
    ['exit', 3],
    ['throw', 1],
    ['reject', 1],
    ['kill', 0],
    ['stop', 0],
  ])('when it ends by %s, and by that very moment', async (ending, code) => {
    const owner = await own(ending);
    expect(await owner.exited).toEqual([code, null]);
    expect(existsSync(owner.directory)).toBe(false);
    await owner.leavesNothing();
  });

  test('when Ctrl-C ends it', async () => {
    const owner = await own('wait');
    expect(await isGone(Number(owner.pids[0]))).toBe(false);
    expect(existsSync(owner.directory)).toBe(true);
    owner.pressCtrlC();
    expect(await owner.exited).toEqual([null, 'SIGINT']);
    await owner.leavesNothing();
  });

  test.each(['SIGTERM', 'SIGHUP', 'SIGKILL'] as const)('when %s ends it', async (signal) => {
    const owner = await own('wait');
    owner.signal(signal);
    expect(await owner.exited).toEqual([null, signal]);
    await owner.leavesNothing();
  });

  test('when SIGKILL ends it while the server is frozen', async () => {
    const owner = await own('freeze');
    expect(await owner.line()).toBe('frozen');
    owner.signal('SIGKILL');
    await owner.leavesNothing();
  });

  test.each([
    ['sentinel', 5],
    ['cluster', 3],
  ])('when it is a %s of %i processes, however it ends', async (what, count) => {
    const endings = await Promise.all([own('exit', what), own('wait', what), own('wait', what)]);
    const [exiting, interrupted, killed] = endings;
    for (const { pids } of endings) expect(new Set(pids).size).toBe(count);
    expect(await exiting.exited).toEqual([3, null]);
    expect(existsSync(exiting.directory)).toBe(false);
    interrupted.pressCtrlC();
    killed.signal('SIGKILL');
    await Promise.all(endings.map((owner) => owner.leavesNothing()));
  });

  test('but not before: a handler of Ctrl-C still finds its server', async () => {
    const owner = await own('handler');
    expect(await owner.line()).toBe('ready');
    owner.pressCtrlC();
    expect(await owner.line()).toBe('PONG');
    expect(await owner.exited).toEqual([0, null]);
    await owner.leavesNothing();
  });
});
