import { sleep, startTimer } from '../../async/timers.js';
import { ConnectionError } from '../../errors.js';
import { unlessAborted } from '../abort.js';
import { connectLanes } from '../connect-lanes.js';
import { isDefinite } from '../topology/topology-error.js';
import type { Masters } from './masters.js';

const RETRY_MS = 100;

/** Finds the masters and connects every lane to each; see `Deployment.connect`. */
export async function connectCluster(
  code: string,
  masters: Masters,
  timeoutMs?: number,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + (timeoutMs ?? 0);
  const late = new AbortController();
  const limit = late.signal;
  const timer = timeoutMs === undefined ? undefined : startTimer(() => late.abort(), timeoutMs).unref();
  try {
    for (;;) {
      try {
        await unlessAborted(unlessAborted(masters.refresh(), signal), limit);
        if (masters.problem) throw masters.problem;
        if (masters.all.length === 0)
          throw new ConnectionError(`Pool ${code} was closed before it was connected`, false);
        const left = timeoutMs === undefined ? undefined : Math.max(1, Math.ceil(deadline - performance.now()));
        await Promise.all(masters.all.map((server) => connectLanes(server, left, signal)));
        return;
      } catch (error) {
        if (limit.aborted && !signal?.aborted) {
          throw masters.problem ?? new ConnectionError(`Pool ${code} is not connected after ${timeoutMs} ms`, false);
        }
        const over = timeoutMs === undefined || performance.now() >= deadline;
        if (over || signal?.aborted || isDefinite(error)) throw error;
        await sleep(RETRY_MS);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}
