/** Milliseconds on the system's monotonic clock, which all processes of a machine share; `performance.now()` is not shared. */
export function monotonicMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}
