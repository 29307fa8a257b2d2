/** The longest time in ms that `setTimeout` takes, 24.8 days: anything longer would end at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls `callback` after `ms`, however long that is; with `Infinity` never. The timer keeps the process alive unless it is
 * unref'd, and `clearTimeout` stops it.
 */
export function startTimer(callback: () => void, ms: number): NodeJS.Timeout {
  if (!(ms > MAX_TIMER_MS)) return setTimeout(callback, ms);
  let stepsLeft = Math.ceil(ms / MAX_TIMER_MS);
  const step = () => {
    if (--stepsLeft > 0) timer.refresh();
    else callback();
  };
  const timer = setTimeout(step, stepMs(ms));
  return timer;
}

/** Calls `callback` every `ms`, however long that is; otherwise as {@link startTimer}. `clearInterval` stops it. */
export function startInterval(callback: () => void, ms: number): NodeJS.Timeout {
  if (!(ms > MAX_TIMER_MS)) return setInterval(callback, ms);
  const steps = Math.ceil(ms / MAX_TIMER_MS);
  let stepsLeft = steps;
  const step = () => {
    if (--stepsLeft > 0) return;
    stepsLeft = steps;
    callback();
  };
  return setInterval(step, stepMs(ms));
}

/** Resolves after `ms`; keeps the process alive until then. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void startTimer(resolve, ms));
}

/** All steps of a long timer are equally long. */
function stepMs(ms: number): number {
  return Number.isFinite(ms) ? ms / Math.ceil(ms / MAX_TIMER_MS) : MAX_TIMER_MS;
}
