import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `attempt` until it gives something truthy (or, giving nothing at all, does not throw), and resolves to it.
 *
 * @param options `timeout` in ms, default 5 s; `interval` in ms, default 5.
 * @throws the last error of `attempt`, or an error that says what it gave last.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { timeout = 5_000, interval = 5 }: { timeout?: number; interval?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeout;
  for (;;) {
    let failure: unknown;
    try {
      const result = await attempt();
      if (result || result === undefined) return result;
      failure = new Error(`Not so after ${timeout} ms: ${attempt} gave ${String(result)}`);
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= deadline) throw failure;
    await sleep(interval);
  }
}
