import { ErrorReply } from 'redis';
import { ConnectionError } from '../errors.js';
import type { StreamClient } from './node-redis.js';
import { replyError } from './reply-error.js';

/** Plain channels, patterns, or sharded channels. */
export type SubscriptionKind = 'channel' | 'pattern' | 'shard';

/** Called with each message and the channel it came on. */
export type MessageListener<T extends string | Buffer = string> = (message: T, channel: T) => unknown;

/** What a subscription listens to. */
export interface SubscriptionRequest {
  readonly channels: readonly string[];
  /** Never throws: that would break node-redis's reading of the stream, for every subscriber. */
  readonly listener: MessageListener<string> | MessageListener<Buffer>;
  /** Whether messages and channels are Buffers. */
  readonly buffers: boolean;
  /** Called when the subscription is back after its connection was lost: messages may have been missed. Never throws. */
  readonly onResubscribe?: (() => void) | undefined;
}

type Listener = (message: never, channel: never) => void;
type Method = 'subscribe' | 'unsubscribe' | 'pSubscribe' | 'pUnsubscribe' | 'sSubscribe' | 'sUnsubscribe';

const METHODS: Readonly<Record<SubscriptionKind, readonly [add: Method, remove: Method]>> = {
  channel: ['subscribe', 'unsubscribe'],
  pattern: ['pSubscribe', 'pUnsubscribe'],
  shard: ['sSubscribe', 'sUnsubscribe'],
};

/** A listener on channels of a pool, kept through losses of the connection until it is unsubscribed. */
export class Subscription implements AsyncDisposable {
  /** The channels or patterns it listens to. */
  readonly channels: readonly string[];
  /** @internal Whether the server has confirmed it on the present connection. */
  established = false;
  readonly #kind: SubscriptionKind;
  readonly #request: SubscriptionRequest;
  readonly #deliver: Listener;
  readonly #remove: (subscription: Subscription) => Promise<void>;
  #ended: Promise<void> | undefined;

  /** @internal */
  constructor(
    kind: SubscriptionKind,
    request: SubscriptionRequest,
    remove: (subscription: Subscription) => Promise<void>,
  ) {
    this.channels = [...request.channels];
    this.#kind = kind;
    this.#request = request;
    this.#remove = remove;
    const listener: Listener = request.listener;
    this.#deliver = (message, channel) => {
      if (!this.#ended) listener(message, channel);
    };
  }

  /** Stops the listener; resolves when the server has confirmed it. Safe to call again. Never rejects. */
  unsubscribe(): Promise<void> {
    this.#ended ??= this.#remove(this);
    return this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.unsubscribe();
  }

  /** @internal */
  async establishOn(client: StreamClient): Promise<void> {
    if (this.#ended) return;
    await this.#call(client, METHODS[this.#kind][0]);
    // Its caller gave up before the server confirmed it.
    if (this.#ended) await this.withdrawFrom(client);
    else this.established = true;
  }

  /** @internal */
  withdrawFrom(client: StreamClient): Promise<void> {
    return this.#call(client, METHODS[this.#kind][1]);
  }

  /** @internal */
  resumed(): void {
    this.#request.onResubscribe?.();
  }

  async #call(client: StreamClient, method: Method): Promise<void> {
    try {
      const call = client[method] as (channels: string[], listener: Listener, buffers: boolean) => Promise<unknown>;
      await call.call(client, [...this.channels], this.#deliver, this.#request.buffers);
    } catch (error) {
      if (error instanceof ErrorReply) throw replyError(error, [method.toUpperCase(), ...this.channels]);
      // Only the connection ends what the server has not answered.
      const { message } = error as Error;
      throw new ConnectionError(`The connection was lost during ${method} (${message})`, true, { cause: error });
    }
  }
}
