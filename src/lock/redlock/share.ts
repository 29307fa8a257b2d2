import type { RedisArgument } from 'redis';
import type { Duration } from '../../duration.js';
import { tagOfKeys } from '../book.js';
import type { Claim } from '../claim.js';
import { nameOf } from '../keys.js';
import { givenBack, type ReleaseReply } from '../replies.js';
import { Requests, replyTo } from '../requests.js';
import type { LockStore } from '../store.js';

/** What a Redlock needs of a pool. */
export interface RedlockPool extends LockStore {
  getPoolConfig(): ReturnType<LockStore['getPoolConfig']> & {
    readonly address: string;
    readonly database: number;
    readonly commandTimeout: number;
  };
  withTimeout(timeout: Duration): RedlockPool;
  withAbortSignal(signal: AbortSignal): RedlockPool;
}

/** No process listens to it: whoever waits at this key for an ordinary lock is told by a message. */
const NO_CHANNEL = '';

/** One pool's share in one attempt at a Redlock. */
export class Share {
  /** The pool's code. */
  readonly pool: string;
  /** The same for all shares of a resource at a pool. */
  readonly place: string;
  readonly #pool: RedlockPool;
  readonly #claim: Claim;
  /** Settles when Redis has said whether it gives the lock, or is not waited for any more. */
  #asked: Promise<unknown> = Promise.resolve();
  /** Whether it was held when it was released. */
  #released = false;

  constructor(pool: RedlockPool, resource: RedisArgument, token: string, ttlMs: number) {
    this.pool = pool.getPoolConfig().code;
    this.#pool = pool;
    this.place = `${this.pool} ${nameOf(resource)}`;
    const tag = tagOfKeys(pool, [resource]);
    this.#claim = {
      keys: [resource],
      tag,
      kind: 'x',
      permits: 1,
      token,
      drawn: true,
      metadata: '',
      value: token,
      ttlMs,
    };
  }

  /** Whether the pool gives the lock. What was not sent within the timeout is not sent at all. */
  obtain(timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    // A view with a timeout of its own: calls that are gathered with those of others would keep the pool's.
    const inTime = this.#pool.withTimeout(timeoutMs);
    const asking = requests(signal ? inTime.withAbortSignal(signal) : inTime);
    const obtained = replyTo((call) => asking.obtain(this.#claim, call)).then((said) => typeof said === 'string');
    this.#asked = obtained.catch(() => undefined);
    return obtained;
  }

  /** Whether the lock was held there, and now has `ttlMs` left. */
  extend(ttlMs: number, timeoutMs: number): Promise<boolean> {
    return requests(this.#pool.withTimeout(timeoutMs)).refresh(this.#claim, undefined, ttlMs);
  }

  /** Whether the lock was held there, and is not any more. Never sent ahead of the question whether the pool gives it. */
  async release(timeoutMs: number): Promise<boolean> {
    await this.#asked;
    if (this.#released) return true;
    const { commandTimeout } = this.#pool.getPoolConfig();
    const pool = timeoutMs < commandTimeout ? this.#pool.withTimeout(timeoutMs) : this.#pool;
    const reply = await replyTo<ReleaseReply>((call) => requests(pool).release(this.#claim, undefined, call));
    this.#released = givenBack(reply)[0] === 1;
    return this.#released;
  }
}

/** The fence is never given: of a lock whose reply was not seen it is not known, and the token is enough. */
function requests(pool: RedlockPool): Requests {
  return new Requests(pool, NO_CHANNEL);
}
