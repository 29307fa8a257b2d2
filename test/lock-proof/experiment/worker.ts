/*
 * One process of the experiment: some loops that take the lock, read, work, write and let go, and write down what happens.
 * It runs until it is told to stop, then finishes what it has begun and ends by itself.
 */
import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Lock, LockLostError, LockNotObtainedError, Registry } from '../../../src/index.js';
import { Locker } from '../../../src/lock/locker.js';
import { fromPerformance, now } from './clock.js';
import { access } from './guarded-store.js';
import type { Access, Attempt, Fault } from './history.js';
import { type Plan, planner } from './plan.js';
import { recording } from './recording-store.js';

/** A line of a worker's record: part of what is known of an attempt, an access, or a time in which it could not run. */
export type Line =
  | { readonly attempt: Partial<Attempt> & Pick<Attempt, 'id'> }
  | { readonly access: Access }
  | { readonly fault: Fault };

/** What a worker is told when it starts. */
export interface Orders {
  readonly worker: string;
  readonly seed: number;
  readonly loops: number;
  readonly lanes: number;
  readonly locks: string;
  readonly store: string;
  readonly commandTimeoutMs: number;
  readonly record: string;
}

/** An event loop that was held up for so long counts as stopped: nobody could have done better on this machine. */
const HELD_UP_MS = 100;
const CHECK_MS = 20;

const orders = JSON.parse(process.argv[2] ?? '') as Orders;
const file = openSync(orders.record, 'a');
const engine = new Registry()
  .registerRedis(orders.locks, 0, 'locks', {
    commandTimeout: orders.commandTimeoutMs,
    clientName: orders.worker,
    pool: { lanes: orders.lanes },
  })
  .registerRedis(orders.store, 0, 'store')
  .validate();
const locker = new Locker(recording(engine.getRedis('locks'), (id) => note({ id, queuedAt: now() })));
let stopped = false;
process.once('message', () => {
  stopped = true;
});
// The nemesis may be at it already; whoever starts while the server is away waits for it like everybody.
await engine.connect().catch(() => undefined);
const watch = watchEventLoop();
process.send?.('ready');
await Promise.all(Array.from({ length: orders.loops }, (_, loop) => work(loop)));
clearInterval(watch);
await engine.close();
process.disconnect?.();

async function work(loop: number): Promise<void> {
  const plan = planner(orders.seed + loop);
  for (let n = 0; !stopped; n++) {
    const next = plan();
    await attempt(`${orders.worker}-${loop}-${n}`, next);
    await sleep(next.pauseMs);
  }
}

async function attempt(id: string, plan: Plan): Promise<void> {
  const { keys, ttlMs, abortMs } = plan;
  const waitMs = Math.min(plan.waitMs, abortMs ?? Number.POSITIVE_INFINITY);
  note({ id, worker: orders.worker, keys, waitMs, ttlMs, askedAt: now() });
  // Behind that note, from which the time to wait is counted.
  const options = { token: id, ...(abortMs !== undefined && { signal: abortAfter(abortMs) }) };
  let obtained = false;
  try {
    if (plan.how === 'run') {
      await locker.run(keys[0] as string, { ttl: ttlMs, waitTimeout: plan.waitMs, ...options }, async (lock) => {
        obtained = true;
        await hold(id, plan, lock);
        letGo(id, lock);
      });
      return;
    }
    const lock = await locker.obtain(keys, ttlMs, plan.waitMs, { ...options, autoRenew: plan.how === 'renewed' });
    if (!lock) return note({ id, outcome: 'null', endedAt: now() });
    obtained = true;
    await hold(id, plan, lock);
    if (plan.forgets) await sleep(Math.max(0, lock.expiresAt - performance.now()));
    letGo(id, lock);
    if (!plan.forgets) await lock.release();
  } catch (error) {
    const { name, message, code } = error as Error & { code?: string };
    const at = now();
    if (obtained) {
      if (!(error instanceof LockLostError)) note({ id, laterError: { at, error: message } });
    } else if (error instanceof LockNotObtainedError || code === 'ABORT_ERR') {
      note({ id, outcome: 'null', endedAt: at });
    } else note({ id, outcome: 'error', error: `${name}: ${message}`, endedAt: at });
  }
}

/** Aborts after so many ms, and not before: timers go by a clock that is some ms behind on a busy machine. */
function abortAfter(ms: number): AbortSignal {
  const abort = new AbortController();
  const at = now() + ms;
  const watch = () => {
    if (now() >= at) abort.abort();
    else setTimeout(watch, Math.ceil(at - now()));
  };
  watch();
  return abort.signal;
}

async function hold(id: string, plan: Plan, lock: Lock): Promise<void> {
  const heldUntil = fromPerformance(lock.expiresAt);
  note({ id, outcome: 'granted', endedAt: now(), fence: lock.fence, heldUntil });
  const holds = () => lock.held && !lock.signal.aborted;
  if (plan.watches) lock.signal.addEventListener('abort', () => letGo(id, lock));
  const read = new Map<string, number>();
  for (const resource of plan.keys) {
    if (!holds()) return;
    const { accepted, value } = await recorded({ attempt: id, resource, kind: 'read', fence: lock.fence, value: 0 });
    if (accepted) read.set(resource, value);
  }
  await sleep(plan.holdMs);
  for (const [resource, value] of read) {
    // A careless holder does not look whether it still holds: the fence must save the store from it.
    if (!plan.careless && !holds()) return;
    await recorded({ attempt: id, resource, kind: 'write', fence: lock.fence, value: value + 1 });
  }
}

/** From here on it does not claim to hold any more, if it still did. */
function letGo(id: string, lock: Lock): void {
  const at = now();
  note({ id, heldUntil: lock.held ? at : Math.min(at, fromPerformance(lock.expiresAt)) });
}

async function recorded(what: Parameters<typeof access>[1]): Promise<{ accepted: boolean; value: number }> {
  const sentAt = now();
  const answer = await access(engine.getRedis('store'), what);
  const { attempt, resource, kind } = what;
  write({ access: { attempt, resource, kind, sentAt, answeredAt: now(), accepted: answer.accepted } });
  return answer;
}

function note(attempt: Partial<Attempt> & Pick<Attempt, 'id'>): void {
  write({ attempt });
}

// At once and not when there is time: whoever is killed must leave what it knew.
function write(line: Line): void {
  writeSync(file, `${JSON.stringify(line)}\n`);
}

function watchEventLoop(): NodeJS.Timeout {
  let last = now();
  return setInterval(() => {
    const at = now();
    if (at - last > CHECK_MS + HELD_UP_MS) {
      write({ fault: { kind: 'stop worker', worker: orders.worker, from: last, to: at } });
    }
    last = at;
  }, CHECK_MS);
}
