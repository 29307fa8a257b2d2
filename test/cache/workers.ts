import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { CacheOptions } from '../../src/index.js';
import type { WorkerReply, WorkerRequest } from './worker.js';

const PROGRAM = fileURLToPath(new URL('worker.ts', import.meta.url));

/** Another process with a cache of its own; killed after the test if it still runs. */
export interface Worker {
  ask(request: WorkerRequest): Promise<WorkerReply>;
  /** Resolves once a loader runs in it. */
  loading(): Promise<void>;
  /** SIGKILL, and resolves once it is gone. */
  kill(): Promise<void>;
}

export async function startWorker(
  server: { address: string },
  options: CacheOptions,
  finished: (clean: () => Promise<void>) => void = onTestFinished,
): Promise<Worker> {
  const child = fork(PROGRAM, [server.address, JSON.stringify(options)], {
    execArgv: ['--import', 'tsx'],
    env: { PATH: process.env.PATH },
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = () => {
    child.kill('SIGKILL');
    return gone;
  };
  finished(kill);
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('exit', () => reject(new Error('a worker ended before it was ready')));
  });
  let next = 0;
  return {
    kill,
    loading: () =>
      new Promise((resolve) => {
        const look = (message: { loading?: string }) => {
          if (message.loading === undefined) return;
          child.off('message', look);
          resolve();
        };
        child.on('message', look);
      }),
    ask(request) {
      const id = next++;
      return new Promise((resolve, reject) => {
        const take = (reply: WorkerReply & { id?: number }) => {
          if (reply.id !== id) return;
          child.off('message', take);
          if (reply.error === undefined) resolve(reply);
          else reject(new Error(reply.error));
        };
        child.on('message', take);
        child.send({ id, ...request });
      });
    },
  };
}
