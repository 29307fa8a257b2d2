import { InvalidArgumentError } from '../errors.js';
import { checkOptions, type OptionTable } from '../options.js';
import type { MessageListener, SubscriptionKind } from './subscription.js';

/** Options of `subscribe`, `pSubscribe` and `sSubscribe`. */
export interface SubscribeOptions {
  /** Whether the listener gets Buffers; default `false`: strings. */
  buffers?: boolean;
  /** Called when the subscription is back after its connection was lost; messages sent meanwhile were missed. */
  onResubscribe?: () => void;
}

const SUBSCRIBE: OptionTable<SubscribeOptions> = {
  buffers: ['bufferMode', 'returnBuffers'],
  onResubscribe: ['onReconnect'],
};

const CALLS: Readonly<Record<SubscriptionKind, string>> = {
  channel: 'subscribe',
  pattern: 'pSubscribe',
  shard: 'sSubscribe',
};

/**
 * Checks what a subscription was asked for with.
 *
 * @throws {InvalidArgumentError} for no channel, no listener, or options that cannot be.
 */
export function checkSubscription(
  kind: SubscriptionKind,
  channels: string | readonly string[],
  listener: MessageListener | MessageListener<Buffer>,
  options: SubscribeOptions,
): { list: readonly string[]; buffers: boolean; onResubscribe: (() => void) | undefined } {
  const call = CALLS[kind];
  const list = typeof channels === 'string' ? [channels] : channels;
  if (!Array.isArray(list) || list.length === 0 || list.some((channel) => typeof channel !== 'string')) {
    throw new InvalidArgumentError(
      `${call} needs the name of a channel, or an array of at least one: ${call}(channel, listener)`,
    );
  }
  if (typeof listener !== 'function') {
    throw new InvalidArgumentError(
      `${call} needs a function that is called with each message: ${call}(channel, listener)`,
    );
  }
  // node-redis has a boolean there.
  if (typeof options === 'boolean') {
    throw new InvalidArgumentError(
      `${call} takes options as its third argument, got a boolean; for Buffers: ${call}(channel, listener, { buffers: true })`,
    );
  }
  checkOptions(call, options, SUBSCRIBE);
  const { buffers = false, onResubscribe } = options;
  if (typeof buffers !== 'boolean') {
    throw new InvalidArgumentError(`buffers of ${call} must be true or false, got a value of type ${typeof buffers}`);
  }
  if (onResubscribe !== undefined && typeof onResubscribe !== 'function') {
    throw new InvalidArgumentError('onResubscribe must be a function');
  }
  return { list, buffers, onResubscribe };
}
