import { startTimer } from '../async/timers.js';
import { AbortError, CommandTimeoutError } from '../errors.js';
import type { Lock } from '../lock/lock.js';
import type { ReadWriteLock } from '../lock/read-write-lock.js';
import { log } from '../observe/debug.js';
import { withEither } from '../pool/abort.js';
import type { CacheStore } from './store.js';

/** The lock of a load expires so soon after its process has died. */
const LOCK_TTL_MS = 10_000;
/** So long a process waits at a time for another that loads, unless there is a timeout. */
const WAIT_MS = 5_000;

/** How a process that wants to load goes about it. */
interface Attempt {
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal;
  /** Whether it waits for its turn; else it waits for whoever loads, and reads what that one stored. */
  readonly inTurn: boolean;
}

/** How the processes agree who loads. */
export class LoadLocks {
  /** Whether commands are executed in the order in which they are sent, so that a round trip need not be waited for. */
  readonly inOrder: boolean;
  readonly #store: CacheStore;
  readonly #prefix: string;
  /** Where the locks are: another cache of this process may use the same. */
  readonly #place: string;

  /** `prefix`: what the keys begin with. */
  constructor(store: CacheStore, prefix: string) {
    const { pool, topology, address, master, database, keyPrefix } = store.getPoolConfig();
    this.#place = JSON.stringify([address, master, database, keyPrefix, prefix]);
    this.inOrder = pool.lanes === 1 && topology !== 'cluster';
    this.#store = store;
    this.#prefix = `lagoon:load:${prefix}`;
  }

  /** What distinguishes the lock of a key from all other locks in this process. */
  idOf(key: string): string {
    return `${this.#place} ${key}`;
  }

  /** The lock of a key, if nobody has it. */
  tryOnce(key: string): Promise<Lock | null> {
    return this.#of(key).obtainWrite(LOCK_TTL_MS, 0, { autoRenew: true });
  }

  /**
   * The lock of a key and what was read under it, or `null` and what was read once another had given it back.
   *
   * The one who loads writes, the others read: all who wait are told at once when it has stored the value.
   *
   * @param isEnough whether what was read is as good as the lock.
   */
  async obtainOrRead<Answer>(
    key: string,
    { timeoutMs, signal, inTurn }: Attempt,
    read: () => Promise<Answer>,
    isEnough: (answer: Answer) => boolean,
  ): Promise<[lock: Lock | null, answer: Answer]> {
    const lock = this.#of(key);
    const waitMs = timeoutMs ?? WAIT_MS;
    const obtaining = inTurn
      ? lock.obtainWrite(LOCK_TTL_MS, waitMs, { signal, autoRenew: true })
      : inTime((within) => lock.obtainWrite(LOCK_TTL_MS, 0, { signal: within, autoRenew: true }), signal, waitMs);
    // One who was loading may have stored the value just before it gave the lock back.
    const reading = this.inOrder && !inTurn ? read() : undefined;
    reading?.catch(() => undefined);
    const alone = await obtaining;
    if (alone) {
      try {
        return [alone, await (reading ?? read())];
      } catch (error) {
        giveBack(alone);
        throw error;
      }
    }
    const answer = await reading;
    if (answer !== undefined && isEnough(answer)) return [null, answer];
    const told = await lock.obtainRead(LOCK_TTL_MS, waitMs, { signal });
    if (told) giveBack(told);
    return [null, await read()];
  }

  #of(key: string): ReadWriteLock {
    return this.#store.getLocker().readWriteLock(this.#prefix + key);
  }
}

/** Lets the next one load; if that fails, the lock expires. */
export function giveBack(lock: Lock): void {
  lock.release().catch((error: Error) => log.cache('cannot give back the lock of a load: %s', error.message));
}

/** @throws {CommandTimeoutError} if the lock was neither obtained nor refused in time. */
async function inTime(
  obtain: (within: AbortSignal) => Promise<Lock | null>,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<Lock | null> {
  const late = new AbortController();
  const timer = startTimer(() => late.abort(), timeoutMs).unref();
  try {
    return await withEither([signal, late.signal], obtain);
  } catch (error) {
    if (!(error instanceof AbortError) || signal.aborted) throw error;
    throw new CommandTimeoutError(`The lock of a load was not answered within ${timeoutMs} ms`, timeoutMs, true);
  } finally {
    clearTimeout(timer);
  }
}
