import type { AsyncResource } from 'node:async_hooks';
import type { ResolvedPool } from '../../config/types.js';
import { log } from '../../observe/debug.js';
import { pause } from '../abort.js';
import type { PoolCore } from '../core.js';
import type { Intake } from '../intake.js';
import { Subscription, type SubscriptionKind, type SubscriptionRequest } from '../subscription.js';
import { type LeaseSource, Subscriptions } from '../subscriptions.js';
import { NO_SLOT, sharedSlot } from './keys.js';
import type { Masters } from './masters.js';
import { ServerLeftError } from './redirect.js';
import type { Route, SlotRouter } from './router.js';

const RETRY_MS = 100;

/** A subscription to sharded channels: where they are heard now. */
interface Shard {
  readonly slot: number;
  readonly request: SubscriptionRequest;
  server: PoolCore | undefined;
  inner: Subscription | undefined;
  moving: boolean;
}

/** Ends a subscription without a word: the server drops it with the slot, and would not let anybody unsubscribe after that. */
function forget(subscription: Subscription | undefined): void {
  if (!subscription) return;
  subscription.established = false;
  void subscription.unsubscribe();
}

/**
 * Every subscription of a pool on a cluster. A plain message is told to all servers, so one connection to any of them hears
 * all; a sharded one only to the server of its channel's slot, and its subscription follows the slot.
 */
export class ClusterSubscriptions {
  readonly #config: ResolvedPool;
  readonly #closing: AbortController;
  readonly #background: AsyncResource;
  readonly #masters: Masters;
  readonly #router: SlotRouter;
  readonly #plain: Subscriptions;
  readonly #byServer = new Map<PoolCore, Subscriptions>();
  readonly #shards = new Map<Subscription, Shard>();
  readonly #stopListening: () => void;

  constructor(config: ResolvedPool, { background, closing }: Intake, masters: Masters, router: SlotRouter) {
    this.#config = config;
    this.#background = background;
    this.#closing = closing;
    this.#masters = masters;
    this.#router = router;
    this.#plain = new Subscriptions(this.#anyServer());
    this.#stopListening = masters.onChange(() => this.#follow());
  }

  get size(): number {
    return this.#plain.size + this.#shards.size;
  }

  async add(kind: SubscriptionKind, request: SubscriptionRequest, signal?: AbortSignal): Promise<Subscription> {
    if (kind !== 'shard') return this.#plain.add(kind, request, signal);
    const slot = sharedSlot('A sharded subscription', request.channels);
    const shard: Shard = { slot, request, server: undefined, inner: undefined, moving: false };
    await this.#settle(shard, signal);
    const subscription = new Subscription(kind, request, (ended) => this.#remove(ended));
    this.#shards.set(subscription, shard);
    // The slot may have moved while the server confirmed it.
    this.#follow();
    return subscription;
  }

  close(): void {
    this.#stopListening();
    this.#plain.close();
    for (const subscriptions of this.#byServer.values()) subscriptions.close();
    this.#shards.clear();
  }

  /** Subscribes on the server that has the slot. */
  async #settle(shard: Shard, signal?: AbortSignal): Promise<void> {
    await this.#router.send(this.#route(shard.slot, signal), async (server) => {
      shard.inner = await this.#on(server).add('shard', shard.request, signal);
      shard.server = server;
    });
  }

  async #remove(subscription: Subscription): Promise<void> {
    const shard = this.#shards.get(subscription);
    this.#shards.delete(subscription);
    await shard?.inner?.unsubscribe();
  }

  #follow(): void {
    for (const [subscription, shard] of this.#shards) {
      if (!shard.moving && !this.#isInPlace(shard)) void this.#move(subscription, shard);
    }
    const servers = new Set(this.#masters.all);
    for (const [server, subscriptions] of [...this.#byServer]) {
      if (servers.has(server) || server.connections.counts.open > 0) continue;
      this.#byServer.delete(server);
      // Who is about to subscribe there is sent on.
      subscriptions.close(new ServerLeftError(this.#masters.addressOf(server) || 'A server'));
    }
  }

  #isInPlace({ slot, server }: Shard): boolean {
    return this.#masters.of(slot) === server;
  }

  /** A server has given up a channel, because the slot is not its own any more. */
  #lose(server: PoolCore, channel: string): void {
    for (const [subscription, shard] of this.#shards) {
      if (shard.server !== server || !shard.request.channels.includes(channel)) continue;
      shard.server = undefined;
      if (!shard.moving) void this.#move(subscription, shard);
    }
  }

  async #move(subscription: Subscription, shard: Shard): Promise<void> {
    shard.moving = true;
    while (this.#shards.has(subscription) && !this.#closing.signal.aborted) {
      forget(shard.inner);
      try {
        await this.#settle(shard);
        if (this.#isInPlace(shard)) break;
      } catch (error) {
        log.pool('%s: cannot resubscribe: %s', this.#config.code, (error as Error).message);
        await pause(RETRY_MS, this.#closing.signal);
      }
    }
    shard.moving = false;
    if (!this.#shards.has(subscription)) void shard.inner?.unsubscribe();
    else shard.request.onResubscribe?.();
  }

  #on(server: PoolCore): Subscriptions {
    let subscriptions = this.#byServer.get(server);
    if (!subscriptions) {
      subscriptions = new Subscriptions(this.#listening(server));
      this.#byServer.set(server, subscriptions);
    }
    return subscriptions;
  }

  /** A server that says so when a slot, and the channels in it, leave it. */
  #listening(server: PoolCore): LeaseSource {
    return {
      background: this.#background,
      config: this.#config,
      closing: this.#closing,
      command: (...args) => server.command(...args),
      lease: async (...args) => {
        const lease = await server.lease(...args);
        lease.link.client.on('sharded-channel-moved', (channel: string) => this.#lose(server, channel));
        return lease;
      },
    };
  }

  #anyServer(): LeaseSource {
    let server: PoolCore | undefined;
    return {
      background: this.#background,
      config: this.#config,
      closing: this.#closing,
      command: (...args) => (server as PoolCore).command(...args),
      lease: async (signal, lost) => {
        server = await this.#router.server(this.#route(NO_SLOT, signal));
        return server.lease(signal, lost);
      },
    };
  }

  #route(slot: number, signal: AbortSignal | undefined): Route {
    return {
      slot,
      deadline: performance.now() + this.#config.commandTimeoutMs,
      options: { ...(signal && { signal }) },
    };
  }
}
