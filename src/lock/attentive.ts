/** A controller whose signal calls `notice` before it says whether it has aborted, so that it can still be told to. */
export function attentive(notice: () => void): AbortController {
  const abort = new AbortController();
  const { signal } = abort;
  const aborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get as () => boolean;
  Object.defineProperty(signal, 'aborted', {
    configurable: true,
    get() {
      notice();
      return aborted.call(signal);
    },
  });
  Object.defineProperty(signal, 'throwIfAborted', {
    configurable: true,
    value: () => {
      if (signal.aborted) throw signal.reason;
    },
  });
  return abort;
}
