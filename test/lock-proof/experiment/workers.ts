import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { now } from './clock.js';
import type { Access, Attempt, Fault } from './history.js';
import type { Random } from './random.js';
import type { Line, Orders } from './worker.js';

const PROGRAM = fileURLToPath(new URL('worker.ts', import.meta.url));
const LOOPS = 3;

interface Worker {
  readonly name: string;
  readonly process: ChildProcess;
  readonly record: string;
  readonly output: string[];
  readonly exited: Promise<unknown>;
  readonly ready: Promise<unknown>;
  killedAt?: number;
}

/** The processes of an experiment. */
export class Workers {
  readonly #orders: Pick<Orders, 'locks' | 'store' | 'commandTimeoutMs'>;
  readonly #directory: string;
  readonly #random: Random;
  readonly #all: Worker[] = [];

  constructor(orders: Pick<Orders, 'locks' | 'store' | 'commandTimeoutMs'>, directory: string, random: Random) {
    this.#orders = orders;
    this.#directory = directory;
    this.#random = random;
  }

  /** Those that run. */
  get names(): [string, ...string[]] {
    return this.#all.filter(({ killedAt }) => killedAt === undefined).map(({ name }) => name) as [string, ...string[]];
  }

  /** Starts so many, and resolves once all of them work. */
  async start(count: number): Promise<void> {
    const started = Array.from({ length: count }, () => this.#start());
    await Promise.all(started.map(({ ready }) => ready));
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.#find(name).process.kill(signal);
  }

  /** Kills one, and starts another; resolves once the one is gone. */
  async replace(name: string): Promise<void> {
    const worker = this.#find(name);
    worker.killedAt = now();
    worker.process.kill('SIGKILL');
    await worker.exited;
    this.#start();
  }

  /** Lets them end, and resolves with what went wrong in that: an exit code, output, one that does not end. */
  async stop(withinMs: number): Promise<string[]> {
    const left = this.#all.filter(({ killedAt }) => killedAt === undefined);
    await Promise.all(left.map(({ ready }) => ready));
    for (const { process } of left) process.send('stop');
    const timer = setTimeout(() => this.kill(), withinMs);
    await Promise.all(left.map(({ exited }) => exited));
    clearTimeout(timer);
    return left.flatMap(({ name, process, output }) => {
      const how = process.signalCode ?? process.exitCode;
      return how === 0 && output.length === 0 ? [] : [`${name} ended with ${how}: ${output.join('')}`];
    });
  }

  /** Ends what is left of them at once. */
  kill(): void {
    for (const { process } of this.#all) process.kill('SIGKILL');
  }

  /** What they wrote down. */
  async records(): Promise<{ attempts: Attempt[]; accesses: Access[]; faults: Fault[] }> {
    const attempts = new Map<string, Attempt>();
    const accesses: Access[] = [];
    const faults: Fault[] = [];
    for (const { record, killedAt = Number.POSITIVE_INFINITY } of this.#all) {
      const text = await readFile(record, 'utf8').catch(() => '');
      for (const line of text
        .split('\n')
        .filter(Boolean)
        .map((json) => JSON.parse(json) as Line)) {
        if ('access' in line) accesses.push(line.access);
        else if ('fault' in line) faults.push(line.fault);
        else {
          const known = { ...attempts.get(line.attempt.id), ...line.attempt } as Attempt;
          // The dead hold nothing, as far as they can tell.
          const { heldUntil } = known;
          const attempt = heldUntil === undefined ? known : { ...known, heldUntil: Math.min(heldUntil, killedAt) };
          attempts.set(attempt.id, attempt);
        }
      }
    }
    return { attempts: [...attempts.values()], accesses, faults };
  }

  #start(): Worker {
    const name = `worker-${this.#all.length + 1}`;
    const record = join(this.#directory, `${name}.jsonl`);
    const orders: Orders = {
      ...this.#orders,
      worker: name,
      record,
      loops: LOOPS,
      lanes: this.#random.between(1, 2),
      seed: this.#random.between(0, 2 ** 31),
    };
    const child = fork(PROGRAM, [JSON.stringify(orders)], { execArgv: ['--import', 'tsx'], silent: true });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => output.push(String(chunk)));
    const exited = once(child, 'exit');
    const ready = Promise.race([once(child, 'message'), exited]);
    const worker: Worker = { name, process: child, record, output, exited, ready };
    this.#all.push(worker);
    return worker;
  }

  #find(name: string): Worker {
    return this.#all.find((worker) => worker.name === name) as Worker;
  }
}
