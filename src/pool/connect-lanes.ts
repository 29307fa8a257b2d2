import { startTimer } from '../async/timers.js';
import { ConnectionError, type LagoonError } from '../errors.js';
import { aborted, whenAborted } from './abort.js';
import type { PoolCore } from './core.js';

/**
 * Connects every lane to a server. Without `timeoutMs` the first failed attempt is the answer; with it, failures that may
 * pass are tried again until then.
 */
export function connectLanes(core: PoolCore, timeoutMs?: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let last: LagoonError | undefined;
    const fail = (error: Error) => end(() => reject(error));
    const timer =
      timeoutMs === undefined ? undefined : startTimer(() => fail(last ?? tooSlow(core, timeoutMs)), timeoutMs);
    const stopListening = core.connections.onFailure((error, definite) => {
      last = error;
      if (definite || timeoutMs === undefined) fail(error);
    });
    const end = (settle: () => void) => {
      clearTimeout(timer);
      stopListening();
      stopWatching?.();
      settle();
    };
    const stopWatching = signal && whenAborted(signal, () => fail(aborted(signal)));
    if (signal?.aborted) return fail(aborted(signal));
    core.lanes.connect().then(() => {
      if (core.closing.signal.aborted) fail(core.closing.signal.reason);
      else if (core.lanes.connected === core.config.pool.lanes) end(resolve);
      else fail(last ?? tooSlow(core, timeoutMs ?? core.config.connectTimeoutMs));
    }, fail);
  });
}

function tooSlow(core: PoolCore, timeoutMs: number): ConnectionError {
  return new ConnectionError(`Pool ${core.config.code} is not connected after ${timeoutMs} ms`, false);
}
