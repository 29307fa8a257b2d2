import { AsyncLocalStorage } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from './eventually.js';

interface Request {
  readonly id: string;
}

const requests = new AsyncLocalStorage<Request>();

/** Runs `work` as a service does that keeps what it knows of a request in its async context. */
export function inRequest<T>(id: string, work: () => T): T {
  return requests.run({ id }, work);
}

/** Runs `work` as what belongs to no request. */
export function withoutRequest<T>(work: () => T): T {
  return requests.exit(work);
}

/** The request in whose async context this is called. */
export function currentRequest(): string | undefined {
  return requests.getStore()?.id;
}

/** Runs `work` in a request, and resolves once nothing holds what was in its async context any more. */
export async function forgottenRequest(work: () => Promise<void>): Promise<void> {
  const request = await ended(work);
  await eventually(
    () => {
      collectGarbage();
      return request.deref() === undefined;
    },
    { timeout: 10_000, interval: 50 },
  );
}

async function ended(work: () => Promise<void>): Promise<WeakRef<Request>> {
  const request = { id: 'to be forgotten' };
  await requests.run(request, work);
  return new WeakRef(request);
}

/** Collects all garbage now. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
