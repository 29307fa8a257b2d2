import type { RedisArgument } from 'redis';
import type { Duration } from '../../duration.js';
import { ClosedError, InvalidArgumentError } from '../../errors.js';
import { log } from '../../observe/debug.js';
import { checkOptions } from '../../options.js';
import { aborted } from '../../pool/abort.js';
import { LockNotObtainedError } from '../errors.js';
import { checkKeys } from '../keys.js';
import { REDLOCK_LOCK } from '../option-tables.js';
import { Attempt, type AttemptContext } from './attempt.js';
import { RedlockError } from './errors.js';
import { createHeldLocks, type HeldLocks } from './held-locks.js';
import { type RedlockOptions, resolveStore, resolveTiming } from './options.js';
import { Quorum, type Tally } from './quorum.js';
import { RedlockLock } from './redlock-lock.js';
import { Releases } from './releases.js';
import type { RedlockPool } from './share.js';
import { checkedTtl, delayOf, expiryOf, pause } from './timing.js';

/**
 * Locks that hold if more than half of several independent Redis servers give them, so that the loss of a server is not the
 * loss of its locks. Made by `engine.getRedlock()`.
 */
export class Redlock<Names extends string = string> {
  /** The codes of the pools. */
  readonly codes: readonly Names[];
  readonly #context: AttemptContext;
  readonly #held: HeldLocks;

  /** @internal */
  constructor(pools: readonly RedlockPool[], options: RedlockOptions = {}) {
    const [first] = pools;
    if (!first) throw new InvalidArgumentError('A Redlock needs the code of at least one pool');
    refuseSamePlace(pools);
    const { closing } = first;
    this.codes = pools.map((pool) => pool.getPoolConfig().code as Names);
    const timing = resolveTiming(options);
    const releases = new Releases(timing, closing);
    this.#context = { pools, quorum: new Quorum(pools.length), timing, releases, closing };
    this.#held = createHeldLocks(resolveStore(options.store), closing);
  }

  /** How many of the pools must give a lock: more than half. */
  get quorum(): number {
    return this.#context.quorum.size;
  }

  /**
   * Obtains the lock on a resource from a quorum of the pools, all asked at once.
   *
   * Without a quorum, or with nothing left of its validity, what was given is given back everywhere, and after a random delay
   * it is tried again, `retryCount` times at most.
   *
   * @param resource the key of the lock in every pool.
   * @param ttl the lock expires after it, unless it is extended.
   * @throws {LockNotObtainedError} if others held it at so many pools that there could be no quorum.
   * @throws {RedlockError} if too few pools could be asked in time, which is not the same.
   * @throws {InvalidArgumentError} for what can never be right; nothing was sent. {@link AbortError} when `signal` aborts.
   */
  async lock(resource: RedisArgument, ttl: Duration, options: { signal?: AbortSignal } = {}): Promise<RedlockLock> {
    checkOptions('lock', options, REDLOCK_LOCK);
    const { signal } = options;
    const { quorum, timing, closing } = this.#context;
    const { ttlMs, tryTimeoutMs } = checkedTtl(ttl, timing);
    for (let retries = 0; ; retries++) {
      const attempt = new Attempt(this.#context, resource, ttlMs, tryTimeoutMs);
      if (signal?.aborted) throw aborted(signal);
      const startedAt = performance.now();
      const tally = await attempt.obtain(signal);
      const expiresAt = expiryOf(startedAt, ttlMs, timing.driftFactor);
      const validity = expiresAt - performance.now();
      if (quorum.reached(tally) && validity > 0 && !signal?.aborted) {
        const lock = new RedlockLock(this.#context, attempt, resource, expiresAt, validity, (it) =>
          this.#held.delete(it),
        );
        this.#held.add(lock);
        return lock;
      }
      const givenBack = attempt.release(() => true);
      if (signal?.aborted) throw aborted(signal);
      if (closing.aborted) throw new ClosedError('The engine was closed while a Redlock was asked for');
      const why = reason(resource, tally, quorum);
      log.lock('try %d: %s', retries + 1, why.message);
      if (retries >= timing.retryCount) {
        await givenBack;
        throw why;
      }
      await Promise.all([givenBack, pause(delayOf(timing), closing, signal)]);
    }
  }

  /**
   * Releases the lock that this object holds on a resource, as its own `release()` does; it need not be at hand.
   *
   * @returns whether it was still held at a quorum of the pools; `false` if no such lock is remembered.
   * @throws {RedlockError} if too few pools could be asked. {@link InvalidArgumentError} if the resource is not a key.
   */
  async unlock(resource: RedisArgument): Promise<boolean> {
    checkKeys([resource]);
    const lock = this.#held.get(resource);
    return lock ? lock.release() : false;
  }
}

function reason(resource: RedisArgument, tally: Tally, quorum: Quorum): LockNotObtainedError | RedlockError {
  if (quorum.refused(tally)) return new LockNotObtainedError([resource]);
  const { yes, no, failures } = tally;
  const what = `The Redlock ${JSON.stringify(String(resource))} was not obtained`;
  if (quorum.reached(tally)) {
    return new RedlockError(`${what}: the pools took so long to answer that nothing is left of its ttl`, failures);
  }
  const said = `${yes} of ${quorum.pools} pools gave it, ${no} did not, ${failures.length} could not be asked`;
  return new RedlockError(`${what}, it needs ${quorum.size}: ${said}`, failures);
}

/** Two pools on the same keys would deny each other every lock. */
function refuseSamePlace(pools: readonly RedlockPool[]): void {
  const codes = new Map<string, string>();
  for (const pool of pools) {
    const { code, address, database, keyPrefix } = pool.getPoolConfig();
    const place = JSON.stringify([address, database, keyPrefix]);
    const other = codes.get(place);
    if (other !== undefined) {
      throw new InvalidArgumentError(
        `Pools ${JSON.stringify(other)} and ${JSON.stringify(code)} are the same server, database and key prefix; a Redlock needs independent servers`,
      );
    }
    codes.set(place, code);
  }
}
