/** Ms of the machine's monotonic clock, which all processes share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** What `performance.now()` of this process said, on that clock. */
export function fromPerformance(ms: number): number {
  return ms + OFFSET;
}

const OFFSET = now() - performance.now();
