import { startTimer } from '../async/timers.js';
import { ReplyError } from '../errors.js';
import type { Subscription } from '../pool/subscription.js';
import type { LockStore } from './store.js';

/**
 * The channel on which Redis tells a process what its claims were granted. That of a slot of a cluster is a sharded one: only the
 * server of the slot can say, in the step in which it grants, whether anybody hears it. It is given up when nobody has
 * waited there for as long as the pool keeps a connection that nobody uses; the one of all locks stays.
 */
export class GrantChannel {
  readonly #store: LockStore;
  readonly #name: string;
  readonly #sharded: boolean;
  readonly #onMessage: (message: string) => void;
  readonly #onResubscribe: () => void;
  #subscription: Promise<Subscription> | undefined;
  #open = false;
  /** The last subscription ends. A new one to the same channel must come behind it. */
  #ending: Promise<unknown> | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(
    store: LockStore,
    name: string,
    sharded: boolean,
    on: { message: (message: string) => void; resubscribe: () => void },
  ) {
    this.#store = store;
    this.#name = name;
    this.#sharded = sharded;
    this.#onMessage = on.message;
    this.#onResubscribe = on.resubscribe;
  }

  /** Whether messages arrive. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Resolves once messages arrive, for all in the order in which they have called it. */
  async open(): Promise<void> {
    this.#subscription ??= this.#store.inBackground(() => this.#subscribe());
    const subscription = this.#subscription;
    try {
      await subscription;
      if (this.#subscription === subscription) this.#open = true;
    } catch (error) {
      if (this.#subscription === subscription) this.#subscription = undefined;
      throw error;
    }
  }

  /** Somebody begins to wait. */
  use(): void {
    clearTimeout(this.#idle);
  }

  /** Nobody waits any more. */
  rest(): void {
    if (!this.#sharded) return;
    clearTimeout(this.#idle);
    const { idleTimeout } = this.#store.getPoolConfig().pool;
    this.#idle = this.#store.inBackground(() => startTimer(() => this.#close(), idleTimeout).unref());
  }

  #close(): void {
    const subscription = this.#subscription;
    this.#subscription = undefined;
    this.#open = false;
    if (subscription) this.#ending = subscription.then((it) => it.unsubscribe()).catch(() => undefined);
  }

  async #subscribe(): Promise<Subscription> {
    const options = { onResubscribe: this.#onResubscribe };
    if (!this.#sharded) return this.#store.subscribe(this.#name, this.#onMessage, options);
    await this.#ending;
    try {
      return await this.#store.sSubscribe(this.#name, this.#onMessage, options);
    } catch (error) {
      if (!(error instanceof ReplyError && /unknown command/i.test(error.message))) throw error;
      const why =
        'Waiting for a lock in a cluster needs sharded messages (SSUBSCRIBE), which Redis has since version 7';
      throw new ReplyError(`ERR ${why}; this server says: ${error.message}`, { cause: error });
    }
  }
}
